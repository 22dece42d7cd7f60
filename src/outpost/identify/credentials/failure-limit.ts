/**
 * Who may try which credentials (spec/security.md L and M). Counted are credentials the identity server refused, each
 * once for a while: a script that sends the same outdated password again and again guesses nothing, and must not lock out
 * who shares its address.
 */
import { LRUCache } from 'lru-cache';
import { FailureLimit, networkOf, WINDOW_MS } from '../../../rules/failure-limit.ts';
import type { Limit } from '../../../rules/failure-limit.ts';

/** Wrong passwords one address may send for one account. */
export const PAIR_ATTEMPTS = 10;
/** Wrong credentials one address may send at all; an IPv6 /64 is one address. */
export const ADDRESS_ATTEMPTS = 60;
/** Wrong passwords an account may get from everywhere: high, or anybody could keep a machine from its own account. */
export const ACCOUNT_ATTEMPTS = 200;

/** Bound of memory. When full, those not tried for the longest time are forgotten first. */
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

interface UnderWay {
  /** how many ask about the same secret */
  count: number;
  failed: boolean;
  /** what it counts for */
  readonly limits: readonly Limit[];
  readonly admitted: Promise<boolean>;
}

export class CredentialsLimit {
  /** whoever calls bounds how many are under way and wait */
  readonly #limit: FailureLimit;
  /** secrets that were counted, and until when, epoch ms */
  readonly #failed = new LRUCache<string, number>({ max: MAX_KEYS });
  /** by secret; those waiting to begin included */
  readonly #underWay = new Map<string, UnderWay>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#limit = new FailureLimit({ now, keys: MAX_KEYS, waiting: Infinity });
  }

  /**
   * An attempt wants to begin; it waits while others under way might fill the limit.
   * @returns whether it may; then {@link leave} must follow. A refused attempt is not counted
   */
  async enter(attempt: Attempt): Promise<boolean> {
    const { secret } = attempt;
    const same = this.#underWay.get(secret) ?? this.#begin(attempt);
    same.count++;
    const may = await same.admitted;
    if (!may && this.#underWay.get(secret) === same) this.#underWay.delete(secret);
    return may;
  }

  /** @param failed whether the server knows the credentials to be wrong */
  leave({ secret }: Attempt, failed: boolean): void {
    const same = this.#underWay.get(secret);
    if (same === undefined) throw new TypeError('an attempt ends that did not begin');
    same.count--;
    same.failed ||= failed;
    if (same.count > 0) return;
    this.#underWay.delete(secret);
    this.#limit.leave(same.limits, same.failed);
    if (same.failed && same.limits.length > 0) this.#failed.set(secret, this.#now() + WINDOW_MS);
  }

  #begin(attempt: Attempt): UnderWay {
    const counted = (this.#failed.get(attempt.secret) ?? 0) > this.#now();
    const limits = counted ? [] : limitsOf(attempt);
    const admitted = this.#limit.enter(limits).then((refusal) => refusal === undefined);
    const made = { count: 0, failed: false, limits, admitted };
    this.#underWay.set(attempt.secret, made);
    return made;
  }
}

function limitsOf({ account, address }: Attempt): readonly Limit[] {
  const from = networkOf(address);
  const all: Limit[] = [{ key: `a ${from}`, most: ADDRESS_ATTEMPTS }];
  if (account === '') return all;
  const name = account.toLowerCase().slice(0, 200);
  return [...all, { key: `u ${name}`, most: ACCOUNT_ATTEMPTS }, { key: `p ${from} ${name}`, most: PAIR_ATTEMPTS }];
}
