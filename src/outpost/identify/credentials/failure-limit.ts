/**
 * Slows down guessing (spec/security.md L and M). Counted are credentials the identity server refused, each once for
 * a while: a script that sends the same outdated password again and again guesses nothing, and must not lock out who
 * shares its address. What is under way may turn out to be a failure, so together with the failures no more than the
 * limit is under way at once: a burst cannot slip through, and right credentials that come in one wait for their turn.
 */
import { LRUCache } from 'lru-cache';

export const WINDOW_MS = 10 * 60_000;
/** Wrong passwords one address may send for one account. */
export const PAIR_ATTEMPTS = 10;
/** Wrong credentials one address may send at all; an IPv6 /64 is one address. */
export const ADDRESS_ATTEMPTS = 60;
/** Wrong passwords an account may get from everywhere: high, or anybody could keep a machine from its own account. */
export const ACCOUNT_ATTEMPTS = 200;

/** Bound of memory: about 150 bytes each. When full, those not tried for the longest time are forgotten first. */
const MAX_KEYS = 30_000;

/** Somebody says who it is. */
export interface Attempt {
  /** user name as sent; empty for tokens, which name nobody before they are verified */
  readonly account: string;
  /** client address */
  readonly address: string;
  /** stands for the account with its secret, wherever they are used */
  readonly secret: string;
}

interface Count {
  failures: number;
  underWay: number;
  /** epoch ms; failures before count no longer */
  ends: number;
}

interface UnderWay {
  /** how many ask about the same secret */
  count: number;
  failed: boolean;
  /** where it stands as under way */
  readonly keys: Keys;
}

export class FailureLimit {
  readonly #counts = new LRUCache<string, Count>({ max: MAX_KEYS });
  /** secrets that were counted, and until when, epoch ms */
  readonly #failed = new LRUCache<string, number>({ max: MAX_KEYS });
  readonly #underWay = new Map<string, UnderWay>();
  #changed = Promise.withResolvers<void>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * An attempt wants to begin; it waits while others under way might fill the limit.
   * @returns whether it may; then {@link leave} must follow. A refused attempt is not counted
   */
  async enter(attempt: Attempt): Promise<boolean> {
    const keys = keysOf(attempt);
    for (;;) {
      const same = this.#underWay.get(attempt.secret);
      if (same !== undefined) {
        same.count++;
        return true;
      }
      if ((this.#failed.get(attempt.secret) ?? 0) > this.#now()) return this.#begin(attempt, []);
      if (keys.some(([key, most]) => (this.#current(key)?.failures ?? 0) >= most)) return false;
      if (keys.every(([key, most]) => this.#isFree(key, most))) return this.#begin(attempt, keys);
      await this.#changed.promise;
    }
  }

  /** @param failed whether the server knows the credentials to be wrong */
  leave({ secret }: Attempt, failed: boolean): void {
    const same = this.#underWay.get(secret);
    if (same === undefined) throw new TypeError('an attempt ends that did not begin');
    same.count--;
    same.failed ||= failed;
    if (same.count > 0) return;
    this.#underWay.delete(secret);
    for (const [key] of same.keys) this.#end(key, same.failed);
    if (same.failed && same.keys.length > 0) this.#failed.set(secret, this.#now() + WINDOW_MS);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** keys remembered, for tests */
  get size(): number {
    return this.#counts.size;
  }

  #begin({ secret }: Attempt, keys: Keys): true {
    this.#underWay.set(secret, { count: 1, failed: false, keys });
    for (const [key] of keys) {
      const count = this.#current(key);
      if (count === undefined) this.#counts.set(key, { failures: 0, underWay: 1, ends: Infinity });
      else count.underWay++;
    }
    return true;
  }

  #end(key: string, failed: boolean): void {
    const count = this.#current(key); // absent: so many names were tried meanwhile that it was forgotten
    if (count === undefined) return;
    count.underWay = Math.max(0, count.underWay - 1);
    if (failed) {
      if (count.failures === 0) count.ends = this.#now() + WINDOW_MS;
      count.failures++;
    } else if (count.failures === 0 && count.underWay === 0) this.#counts.delete(key);
  }

  #isFree(key: string, most: number): boolean {
    const count = this.#current(key);
    return count === undefined || count.failures + count.underWay < most;
  }

  #current(key: string): Count | undefined {
    const count = this.#counts.get(key);
    if (count !== undefined && count.ends <= this.#now()) {
      count.failures = 0;
      count.ends = Infinity;
    }
    return count;
  }
}

type Keys = readonly (readonly [key: string, most: number])[];

function keysOf({ account, address }: Attempt): Keys {
  const from = networkOf(address);
  const all: Keys = [[`a ${from}`, ADDRESS_ATTEMPTS]];
  if (account === '') return all;
  const name = account.toLowerCase().slice(0, 200);
  return [...all, [`u ${name}`, ACCOUNT_ATTEMPTS], [`p ${from} ${name}`, PAIR_ATTEMPTS]];
}

/** One IPv6 subscriber has a whole /64. @param address as `listen/peers.ts` writes it */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':');
}
