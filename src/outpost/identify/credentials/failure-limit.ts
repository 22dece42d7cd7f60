/**
 * Slows down guessing (spec/security.md L and M). Counted are credentials the identity server refused, each once for
 * a while: a script that sends the same outdated password again and again guesses nothing, and must not lock out who
 * shares its address. An attempt is counted before the server is asked, so that a burst cannot slip through.
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

interface Count {
  attempts: number;
  /** epoch ms */
  ends: number;
}

export class FailureLimit {
  readonly #counts = new LRUCache<string, Count>({ max: MAX_KEYS });
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Counts an attempt.
   * @param account user name as sent; empty for tokens, which name nobody before they are verified
   * @param address client address
   * @returns whether it may go on; a refused attempt is not counted
   */
  take(account: string, address: string): boolean {
    const keys = keysOf(account, address);
    if (keys.some(([key, most]) => (this.#current(key)?.attempts ?? 0) >= most)) return false;
    for (const [key] of keys) {
      const count = this.#current(key);
      if (count === undefined) this.#counts.set(key, { attempts: 1, ends: this.#now() + WINDOW_MS });
      else count.attempts++;
    }
    return true;
  }

  /** It was no failure. */
  giveBack(account: string, address: string): void {
    for (const [key] of keysOf(account, address)) {
      const count = this.#current(key);
      if (count !== undefined && count.attempts > 0) count.attempts--;
    }
  }

  /** keys remembered, for tests */
  get size(): number {
    return this.#counts.size;
  }

  #current(key: string): Count | undefined {
    const count = this.#counts.get(key);
    return count !== undefined && count.ends > this.#now() ? count : undefined;
  }
}

function keysOf(account: string, address: string): (readonly [key: string, most: number])[] {
  const from = networkOf(address);
  const all = [[`a ${from}`, ADDRESS_ATTEMPTS]] as (readonly [string, number])[];
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
