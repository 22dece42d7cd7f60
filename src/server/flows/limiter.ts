/**
 * Slows down guessing of passwords (spec/security.md L): attempts are counted per account, whatever its spelling, and
 * per client address. An attempt is counted before the password is looked at, so that a burst cannot slip through.
 */
import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';

/** Wrong passwords one account may get in a window. People mistype; a guesser needs thousands. */
export const ACCOUNT_ATTEMPTS = 10;
/** Wrong passwords one address may send in a window: an office behind one address stays below it. */
export const ADDRESS_ATTEMPTS = 60;
export const WINDOW_MS = 10 * 60_000;

/** Bound of memory: about 100 bytes each. When full, those not tried for the longest time are forgotten first. */
const MAX_KEYS = 50_000;

interface Count {
  attempts: number;
  /** epoch ms when the window ends */
  ends: number;
}

export class AttemptLimiter {
  readonly #counts = new LRUCache<string, Count>({ max: MAX_KEYS });
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Counts one attempt.
   * @param account folded name of the account, or what was typed when there is none
   * @param address client address
   * @returns 0 when the attempt may go on, else the seconds to wait; a refused attempt is not counted
   */
  take(account: string, address: string): number {
    const wait = Math.max(
      this.#wait(accountKey(account), ACCOUNT_ATTEMPTS),
      this.#wait(addressKey(address), ADDRESS_ATTEMPTS),
    );
    if (wait > 0) return wait;
    this.#add(accountKey(account));
    this.#add(addressKey(address));
    return 0;
  }

  /** The password was right: the account starts afresh, and the address gets this attempt back. */
  succeeded(account: string, address: string): void {
    this.#counts.delete(accountKey(account));
    const count = this.#counts.get(addressKey(address));
    if (count !== undefined) count.attempts = Math.max(0, count.attempts - 1);
  }

  /** keys remembered */
  get size(): number {
    return this.#counts.size;
  }

  #wait(key: string, most: number): number {
    const count = this.#counts.get(key);
    if (count === undefined || count.ends <= this.#now() || count.attempts < most) return 0;
    return Math.max(1, Math.ceil((count.ends - this.#now()) / 1000));
  }

  #add(key: string): void {
    const count = this.#counts.get(key);
    if (count === undefined || count.ends <= this.#now()) {
      this.#counts.set(key, { attempts: 1, ends: this.#now() + WINDOW_MS });
    } else {
      count.attempts += 1;
    }
  }
}

const accountKey = (account: string) => `u ${account.slice(0, 200)}`;

/** One IPv6 subscriber has a whole /64: it counts as one address. */
export function addressKey(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return `a ${address}`;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined
      ? left
      : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return `a ${groups
    .slice(0, 4)
    .map((g) => Number.parseInt(g, 16).toString(16))
    .join(':')}`;
}
