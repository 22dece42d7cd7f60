import type { Logger } from 'pino';
import type { Problem } from '../../outpost/exchange.ts';
import { rarely } from '../problems.ts';

/** The same problem is told once in this time: requests of strangers raise some, and each is an event that is kept. */
const QUIET_MS = 5 * 60_000;
/** As many wait while the server is away; an administrator reads the first few. */
const MAX_WAITING = 100;

/** Tells the identity server what is wrong in the set-up, so that it stands in its events (spec/outpost.md 16.6). */
export class ProblemReports {
  readonly #tell: (problem: Problem) => Promise<void>;
  readonly #log: Logger;
  readonly #waiting = new Set<Problem>();
  readonly add: (problem: Problem) => void;
  #telling = false;

  /**
   * @param tell rejects when it should be tried again
   * @param now epoch ms
   */
  constructor(tell: (problem: Problem) => Promise<void>, log: Logger, now: () => number = Date.now) {
    this.#tell = tell;
    this.#log = log;
    this.add = rarely((problem) => this.#keep(problem), QUIET_MS, now);
  }

  /** Tells what waits. To be called when the server is known to be back, too. */
  async tellAll(): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    for (const problem of this.#waiting) {
      this.#waiting.delete(problem);
      try {
        await this.#tell(problem);
      } catch (error) {
        this.#log.debug(
          { error: (error as Error).message },
          'a problem of the set-up cannot be told to the server yet',
        );
        this.#waiting.add(problem); // behind the others: it may be the one the server cannot take
        break;
      }
    }
    this.#telling = false;
  }

  #keep(problem: Problem): void {
    if (this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.add(problem);
    void this.tellAll();
  }
}
