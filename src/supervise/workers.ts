import type { Logger } from 'pino';
import { CodedError } from '../contract/errors.ts';
import { sumMetrics } from '../outpost/metrics.ts';
import type { MetricSnapshot } from '../outpost/metrics.ts';
import type { Channel } from './channel.ts';
import { Keeper } from './keeper.ts';
import type { Running } from './keeper.ts';
import type { FromWorker, ToWorker } from './messages.ts';

export interface WorkersOptions {
  count: number;
  start: () => Running<ToWorker, FromWorker>;
  /** everything a worker that starts now must know, in order; asked for at each start */
  briefing: () => ToWorker[];
  /** from a worker: sign-outs and problems */
  onMessage: (message: FromWorker) => void;
  log: Logger;
}

/** How long workers get for their share of `/metrics`, ms. */
const MEASURE_MS = 2000;

/** All workers of an outpost: kept running, told the same, measured together. */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #keepers: Keeper<ToWorker, FromWorker>[] = [];
  readonly #ready = new Set<number>();
  readonly #measures = new Map<number, { snapshots: MetricSnapshot[]; left: number; done: () => void }>();
  #measure = 0;
  #whenReady: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#whenReady.promise.catch(() => undefined); // the failure is told to whoever asks
  }

  /** Starts them all. Before, they are nobody: what they are told is lost, and the briefing must hold it. */
  start(): void {
    for (let i = this.#keepers.length; i < this.#options.count; i++) this.#keepers.push(this.#keep(i));
  }

  /** When every worker listens for the first time. Rejects with a CodedError when one says that it cannot. */
  get ready(): Promise<void> {
    return this.#whenReady.promise;
  }

  /** whether any worker listens */
  get listening(): boolean {
    return this.#ready.size > 0;
  }

  /** process ids; empty with everything in one process */
  get pids(): number[] {
    return this.#keepers.map((keeper) => keeper.pid).filter((pid) => pid !== undefined);
  }

  tell(message: ToWorker): void {
    for (const keeper of this.#keepers) keeper.send(message);
  }

  /** Text for `/metrics`: the sum of all workers that answer in time, and `more`. */
  async metrics(more: MetricSnapshot): Promise<string> {
    const id = ++this.#measure;
    const snapshots: MetricSnapshot[] = [];
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, MEASURE_MS);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#measures.set(id, { snapshots, left: this.#ready.size, done });
      if (this.#ready.size === 0) done();
      else this.tell({ kind: 'measure', id });
    });
    this.#measures.delete(id);
    return sumMetrics([...snapshots, more]);
  }

  /** Lets every worker finish what is under way, at most `ms`. */
  async drain(ms: number): Promise<void> {
    await Promise.all(this.#keepers.map((keeper) => keeper.stop({ kind: 'drain', ms }, ms + 1000)));
  }

  kill(): void {
    for (const keeper of this.#keepers) keeper.kill();
  }

  #keep(index: number): Keeper<ToWorker, FromWorker> {
    const { start, briefing, log } = this.#options;
    return new Keeper({
      name: `worker ${index + 1}`,
      start,
      onStart: (channel: Channel<ToWorker, FromWorker>) => {
        for (const message of briefing()) channel.send(message);
      },
      onMessage: (message) => this.#heard(index, message),
      onLost: () => this.#ready.delete(index),
      log,
    });
  }

  #heard(index: number, message: FromWorker): void {
    const { log, onMessage, count } = this.#options;
    switch (message.kind) {
      case 'ready':
        this.#ready.add(index);
        log.info({ worker: index + 1, worker_pid: this.#keepers[index]?.pid }, 'a worker is ready');
        if (this.#ready.size === count) this.#whenReady.resolve();
        return;
      case 'measured': {
        const measure = this.#measures.get(message.id);
        measure?.snapshots.push(message.snapshot);
        if (measure && --measure.left === 0) measure.done();
        return;
      }
      case 'fatal':
        log.error({ code: message.code, detail: message.detail }, message.sentence);
        this.#whenReady.reject(new CodedError(message.code, 503, message.sentence));
        return;
      default:
        onMessage(message);
    }
  }
}
