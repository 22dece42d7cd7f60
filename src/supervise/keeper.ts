import type { Logger } from 'pino';
import type { Channel } from './channel.ts';
import { Backoff } from './control/backoff.ts';

/** One run of a part, in a process of its own or inside this one. */
export interface Running<Out, In> {
  channel: Channel<Out, In>;
  /** pid of its process; `undefined` inside this one */
  pid: number | undefined;
  /** ends it at once */
  kill(): void;
}

export interface KeeperOptions<Out, In> {
  /** for logs, e.g. `worker 1` */
  name: string;
  start: () => Running<Out, In>;
  /** a run began: send what it needs, in order */
  onStart: (channel: Channel<Out, In>) => void;
  onMessage: (message: In) => void;
  /** a run ended unasked */
  onLost?: () => void;
  log: Logger;
}

/** A run that lasted this long was a good one: the next failure starts again with the shortest pause. */
const STABLE_MS = 10_000;

/** Keeps a part running: starts it, and starts it again when it ends unasked. */
export class Keeper<Out, In> {
  readonly #options: KeeperOptions<Out, In>;
  readonly #backoff = new Backoff(50, 5000);
  #running: Running<Out, In> | undefined;
  #startedAt = 0;
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;
  #ended: (() => void)[] = [];

  constructor(options: KeeperOptions<Out, In>) {
    this.#options = options;
    this.#start();
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  send(message: Out): void {
    this.#running?.channel.send(message);
  }

  /**
   * Ends it for good.
   * @param ask message that asks it to end by itself
   * @param ms how long it may take before it is killed
   */
  async stop(ask: Out, ms: number): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    const running = this.#running;
    if (!running) return;
    const ended = new Promise<void>((resolve) => this.#ended.push(resolve));
    running.channel.send(ask);
    const timer = setTimeout(() => running.kill(), ms);
    await ended;
    clearTimeout(timer);
  }

  /** Ends it for good, at once. */
  kill(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#running?.kill();
  }

  #start(): void {
    const { start, onStart, onMessage } = this.#options;
    this.#startedAt = Date.now();
    const running = start();
    this.#running = running;
    running.channel.onMessage((message) => {
      if (this.#running === running) onMessage(message);
    });
    running.channel.onClose(() => this.#lost(running));
    onStart(running.channel);
  }

  #lost(running: Running<Out, In>): void {
    if (this.#running !== running) return;
    this.#running = undefined;
    for (const resolve of this.#ended.splice(0)) resolve();
    if (this.#stopped) return;
    if (Date.now() - this.#startedAt > STABLE_MS) this.#backoff.reset();
    const pause = this.#backoff.next();
    this.#options.log.error(
      { pid: running.pid, pause: Math.round(pause) },
      `${this.#options.name} ended; it starts again`,
    );
    this.#options.onLost?.();
    this.#retry = setTimeout(() => this.#start(), pause);
  }
}
