/**
 * Counting and logging of answered requests, in batches. One request after the other costs several times more: the
 * code of the log and of the metrics is cold each time, and pushes the code of decisions out of the caches (measured).
 */
import type { AccessEntry, AccessLog } from './access-log.ts';
import type { AnsweredRequest, Metrics } from './metrics.ts';

/** An answered request. All members always present: one shape. */
export interface Report extends AccessEntry, AnsweredRequest {}

/** So many wait at most, and so long. */
const BATCH = 64;
const WAIT_MS = 50;

export class Reports {
  readonly #metrics: Pick<Metrics, 'answered'>;
  readonly #log: Pick<AccessLog, 'write'> | undefined;
  #waiting: Report[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(metrics: Pick<Metrics, 'answered'>, log: Pick<AccessLog, 'write'> | undefined) {
    this.#metrics = metrics;
    this.#log = log;
  }

  add(report: Report): void {
    this.#waiting.push(report);
    if (this.#waiting.length >= BATCH) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), WAIT_MS).unref();
  }

  /** Counts and logs what waits: before metrics are read, and before the process ends. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const reports = this.#waiting;
    this.#waiting = [];
    this.#metrics.answered(reports);
    if (this.#log !== undefined) for (const report of reports) this.#log.write(report);
  }
}
