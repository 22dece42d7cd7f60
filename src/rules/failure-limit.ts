/**
 * Slows down guessing (spec/security.md L and M), for the login page and for credentials at outposts. Only failures count.
 * What is under way may turn out to be one, so together with the failures no more than the limit is under way at once: a
 * burst cannot slip through, and right passwords that come in one wait for their turn.
 */
import { isIPv6 } from 'node:net';
import { Recent } from './recent.ts';

export const WINDOW_MS = 10 * 60_000;
/** Until a try is worth making when too many wait: those are through within a second or two. */
const BUSY_S = 5;

/** What one attempt counts for: an account, an address, ... */
export interface Limit {
  readonly key: string;
  /** so many failures in a window, counted from the first of them */
  readonly most: number;
  /** so many under way at once instead, whatever becomes of them */
  readonly atOnce?: boolean;
}

/** Why an attempt may not begin. */
export interface Refusal {
  /** `busy`: too many wait already */
  readonly reason: 'failures' | 'busy';
  /** until another attempt is worth making */
  readonly seconds: number;
}

export interface FailureLimitOptions {
  /** epoch ms */
  now: () => number;
  /** About so many keys that failed are remembered, 150 bytes each; those not asked for the longest time go first. */
  keys: number;
  /** No more attempts than these wait at a time. */
  waiting: number;
}

interface Failures {
  count: number;
  /** epoch ms */
  readonly ends: number;
}

export class FailureLimit {
  readonly #failures: Recent<Failures>;
  readonly #underWay = new Map<string, number>();
  readonly #now: () => number;
  readonly #mostWaiting: number;
  #waiting = 0;
  #changed = Promise.withResolvers<void>();

  constructor({ now, keys, waiting }: FailureLimitOptions) {
    this.#now = now;
    this.#failures = new Recent(keys);
    this.#mostWaiting = waiting;
  }

  /**
   * An attempt wants to begin; it waits while others under way might fill a limit.
   * @returns undefined when it may, and {@link leave} must follow; what is refused is not counted
   */
  async enter(limits: readonly Limit[]): Promise<Refusal | undefined> {
    let waits = false;
    let seconds = this.#secondsLeft(limits);
    while (seconds === 0 && !limits.every((limit) => this.#isFree(limit))) {
      if (!waits && this.#waiting >= this.#mostWaiting) return { reason: 'busy', seconds: BUSY_S };
      if (!waits) this.#waiting++;
      waits = true;
      await this.#changed.promise;
      seconds = this.#secondsLeft(limits);
    }
    if (waits) this.#waiting--;
    if (seconds > 0) return { reason: 'failures', seconds };
    // nothing was awaited since the last look, so nobody else took the place
    for (const { key } of limits) this.#underWay.set(key, this.#atWork(key) + 1);
    return undefined;
  }

  /** @param limits as given to {@link enter} */
  leave(limits: readonly Limit[], failed: boolean): void {
    for (const { key, atOnce } of limits) {
      const left = this.#atWork(key) - 1;
      if (left < 0) throw new TypeError('an attempt ends that did not begin');
      if (left === 0) this.#underWay.delete(key);
      else this.#underWay.set(key, left);
      if (failed && atOnce !== true) this.#count(key);
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Whoever a key stands for begins afresh. */
  forget(key: string): void {
    const failures = this.#current(key);
    if (failures !== undefined) failures.count = 0;
  }

  #count(key: string): void {
    const failures = this.#current(key);
    if (failures === undefined || failures.count === 0) {
      this.#failures.set(key, { count: 1, ends: this.#now() + WINDOW_MS });
    } else failures.count++;
  }

  #secondsLeft(limits: readonly Limit[]): number {
    const full = limits.flatMap(({ key, most }) => {
      const failures = this.#current(key);
      return failures !== undefined && failures.count >= most ? [failures.ends - this.#now()] : [];
    });
    return Math.ceil(Math.max(0, ...full) / 1000);
  }

  #isFree({ key, most }: Limit): boolean {
    return (this.#current(key)?.count ?? 0) + this.#atWork(key) < most;
  }

  #atWork(key: string): number {
    return this.#underWay.get(key) ?? 0;
  }

  #current(key: string): Failures | undefined {
    const failures = this.#failures.get(key);
    return failures !== undefined && failures.ends > this.#now() ? failures : undefined;
  }
}

/** What counts as one address: one IPv6 subscriber has a whole /64. @param address in any spelling */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4);
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
