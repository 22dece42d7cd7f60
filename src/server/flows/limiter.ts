/**
 * How often passwords may be tried at the login page: per account, whatever its spelling, and per client address. A browser
 * in which the account was signed in to before is counted for itself.
 */
import { FailureLimit, networkOf } from '../../rules/failure-limit.ts';
import type { Limit, Refusal } from '../../rules/failure-limit.ts';

/** Wrong passwords one account may get in a window. People mistype; a guesser needs thousands. */
export const ACCOUNT_ATTEMPTS = 10;
/** Wrong passwords one address may send in a window: an office behind one address stays below it. */
export const ADDRESS_ATTEMPTS = 60;
/** Wrong passwords such a browser may send for the account in a window. */
export const BROWSER_ATTEMPTS = 10;
/** Each check takes 19 MiB and tens of milliseconds: so many are at work at a time, whoever asks for them. */
const MAX_CHECKS = 24;
/** So many more wait for their turn, two seconds at most on a small machine; who comes then is asked to come again. */
const MAX_WAITING = 100;
const MAX_KEYS = 50_000;

/** Somebody types a password. */
export interface Attempt {
  /** folded name of the account, or what was typed when there is none */
  readonly account: string;
  /** client address */
  readonly address: string;
  /** a browser known to this account (`known-browser.ts`) */
  readonly browser: string | undefined;
}

export class AttemptLimiter {
  readonly #limit: FailureLimit;

  constructor(now: () => number = Date.now) {
    this.#limit = new FailureLimit({ now, keys: MAX_KEYS, waiting: MAX_WAITING });
  }

  /** @returns undefined when the password may be looked at, and {@link leave} must follow */
  enter(attempt: Attempt): Promise<Refusal | undefined> {
    return this.#limit.enter(limitsOf(attempt));
  }

  /**
   * @param right whether it was the account's password: then the failures of the account are forgotten, or those of the
   *   known browser, but not those of the address
   */
  leave(attempt: Attempt, right: boolean): void {
    if (right) this.#limit.forget(ownLimit(attempt).key);
    this.#limit.leave(limitsOf(attempt), !right);
  }
}

const limitsOf = (attempt: Attempt): readonly Limit[] => [
  ownLimit(attempt),
  ...(attempt.browser === undefined ? [{ key: `a ${networkOf(attempt.address)}`, most: ADDRESS_ATTEMPTS }] : []),
  { key: 'checks', most: MAX_CHECKS, atOnce: true },
];

const ownLimit = ({ account, browser }: Attempt): Limit =>
  browser === undefined
    ? { key: `u ${account.slice(0, 200)}`, most: ACCOUNT_ATTEMPTS }
    : { key: `b ${browser}`, most: BROWSER_ATTEMPTS };
