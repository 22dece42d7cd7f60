/**
 * Slows down guessing of app passwords and client secrets (spec/security.md L, M). Each credential counts once, before it
 * is looked at: a burst cannot slip through, while a script that repeats its outdated one guesses nothing and must not
 * shut out others at its address. Apart from the limits of the login page, so that no machine locks its owner out there.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { networkOf, WINDOW_MS } from '../../rules/failure-limit.ts';

/** Credentials one address may try for one account in a window. */
export const PAIR_ATTEMPTS = 10;
/** From one address in all. */
export const ADDRESS_ATTEMPTS = 60;
/** For one account from everywhere: high, or anybody could keep a machine from its own account. */
export const ACCOUNT_ATTEMPTS = 200;

/** Bound of memory. When full, what was not tried for the longest time is forgotten first. */
const MAX_KEYS = 10_000;

interface Window {
  /** digests of what was tried */
  tried: Set<string>;
  /** epoch ms */
  ends: number;
}

export interface Attempt {
  /** 0 = it may be looked at; else seconds until another one is */
  wait: number;
  /** the same was tried before */
  repeated: boolean;
  /** to be called when it was right: it was no guess */
  right(): void;
}

export class WrongCredentials {
  readonly #windows = new LRUCache<string, Window>({ max: MAX_KEYS });
  readonly #key = randomBytes(32);
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * @param account folded name of the account; empty where the credential alone says whose it is
   * @param address of the client; empty when an outpost asks and does not say
   */
  attempt(account: string, address: string, secret: string): Attempt {
    const digest = createHmac('sha256', this.#key).update(`${account}\n${secret}`).digest('base64url').slice(0, 16);
    const limits = limitsOf(account, address).map(([key, most]) => ({ key, most, window: this.#current(key) }));
    const repeated = limits.length > 0 && limits.every(({ window }) => window?.tried.has(digest) === true);
    const ends = limits.flatMap(({ most, window }) =>
      window !== undefined && !window.tried.has(digest) && window.tried.size >= most ? [window.ends] : [],
    );
    if (ends.length > 0) {
      const wait = Math.max(1, Math.ceil((Math.max(...ends) - this.#now()) / 1000));
      return { wait, repeated, right: () => {} };
    }
    // Not before: attempts that have to wait must not push out what is remembered of others
    const windows = limits.map(({ key, window }) => window ?? this.#begin(key));
    for (const { tried } of windows) tried.add(digest);
    return { wait: 0, repeated, right: () => windows.forEach(({ tried }) => tried.delete(digest)) };
  }

  #current(key: string): Window | undefined {
    const window = this.#windows.get(key);
    return window !== undefined && window.ends > this.#now() ? window : undefined;
  }

  #begin(key: string): Window {
    const window = { tried: new Set<string>(), ends: this.#now() + WINDOW_MS };
    this.#windows.set(key, window);
    return window;
  }
}

function limitsOf(account: string, address: string): (readonly [key: string, most: number])[] {
  const from = address === '' ? '' : `a ${networkOf(address)}`;
  const name = account.slice(0, 200);
  return [
    ...(from === '' ? [] : ([[from, ADDRESS_ATTEMPTS]] as const)),
    ...(name === '' ? [] : ([[`u ${name}`, ACCOUNT_ATTEMPTS]] as const)),
    ...(from === '' || name === '' ? [] : ([[`p ${from} ${name}`, PAIR_ATTEMPTS]] as const)),
  ];
}
