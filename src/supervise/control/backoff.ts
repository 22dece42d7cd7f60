/** Between attempts to reach the server, ms: an outpost is connected within 5 s of its server's return. */
export const FIRST_PAUSE_MS = 250;
export const MAX_PAUSE_MS = 4000;

/** Waiting times that double up to a limit, with jitter so that many clients do not come back at once. */
export class Backoff {
  readonly #first: number;
  readonly #limit: number;
  #failures = 0;

  /**
   * @param first ms after the first failure
   * @param limit ms, never exceeded
   */
  constructor(first: number, limit: number) {
    this.#first = first;
    this.#limit = limit;
  }

  /** @returns ms to wait now: between half and the whole of the current step */
  next(): number {
    const step = Math.min(this.#limit, this.#first * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return step / 2 + (Math.random() * step) / 2;
  }

  get failures(): number {
    return this.#failures;
  }

  reset(): void {
    this.#failures = 0;
  }
}
