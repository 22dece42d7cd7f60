/** Checking a username and a password, slowly enough for guessers and alike for known and unknown people. */
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import type { Refusal } from '../../rules/failure-limit.ts';
import type { ServerContext } from '../context.ts';
import { matchingHash } from '../directory/passwords.ts';
import { foldUsername, userByUsername } from '../directory/users.ts';
import type { Db } from '../storage/database.ts';
import type { UserRow } from '../storage/rows.ts';
import type { KnownBrowsers } from './known-browser.ts';
import type { AttemptLimiter } from './limiter.ts';

/** Longer ones are nobody's password, only work for the hash. */
const MAX_PASSWORD = 1024;
const MAX_USERNAME = 320;

export type CredentialResult =
  /** `user.password` is the hash that was checked */
  | { outcome: 'right'; user: UserRow }
  | { outcome: 'wrong'; account: string }
  | { outcome: 'refused'; refusal: Refusal };

export class CredentialCheck {
  readonly #ctx: ServerContext;
  readonly #limiter: AttemptLimiter;
  readonly #browsers: KnownBrowsers;

  constructor(ctx: ServerContext, limiter: AttemptLimiter, browsers: KnownBrowsers) {
    this.#ctx = ctx;
    this.#limiter = limiter;
    this.#browsers = browsers;
  }

  /**
   * @param typed username or email address as typed
   * @param request tells address and browser, for the limit
   */
  async check(typed: string, password: string, request: FastifyRequest): Promise<CredentialResult> {
    const found = typed.length > MAX_USERNAME ? undefined : await accountOf(this.#ctx.db, typed);
    // The username and the address of one person are one account for the limit, or it would be two chances
    const account = found?.username_folded ?? foldUsername(typed.trim());
    const browser = found && this.#browsers.find(request, found);
    const attempt = { account, address: request.link.clientIp, browser };
    const refusal = await this.#limiter.enter(attempt);
    if (refusal !== undefined) return { outcome: 'refused', refusal };
    let right = false;
    try {
      const user = found !== undefined && found.is_active === 1 && found.password !== '' ? found : undefined;
      const checked = await matchingHash(this.#ctx, user, password.slice(0, MAX_PASSWORD));
      if (checked === undefined || user === undefined || password.length > MAX_PASSWORD)
        return { outcome: 'wrong', account };
      right = true;
      return { outcome: 'right', user: { ...user, password: checked } };
    } finally {
      this.#limiter.leave(attempt, right);
    }
  }
}

/** By username, else by an email address that only one person has. */
async function accountOf(db: Db, typed: string): Promise<UserRow | undefined> {
  const name = typed.trim();
  const byName = await userByUsername(db, name);
  if (byName !== undefined || !name.includes('@')) return byName;
  const byEmail = await db
    .selectFrom('user')
    .selectAll()
    .where(sql<string>`lower(email)`, '=', name.toLowerCase())
    .limit(2)
    .execute();
  return byEmail.length === 1 ? byEmail[0] : undefined;
}
