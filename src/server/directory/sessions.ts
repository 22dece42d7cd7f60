/** Signed-in browsers. The key lives in the cookie only; the database knows its hash, the `sid`. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Change } from '../context.ts';
import type { Db } from '../storage/database.ts';
import type { SessionRow, UserRow } from '../storage/rows.ts';
import { endTokensOf } from './credentials.ts';

/** Unused for two weeks: a holiday survives, a forgotten browser does not. */
export const SESSION_IDLE_MS = 14 * 86_400_000;
/** Whatever the use, one proof of identity lasts a month. */
export const SESSION_ABSOLUTE_MS = 30 * 86_400_000;
/** Use is noted once a minute: a write per request would cost more than the knowledge is worth. */
const TOUCH_MS = 60_000;
const KEY_BYTES = 32;

/** How the person proved who they are. */
export interface SessionAuth {
  /** published words: `password`, `auth_webauthn_pwl`, … */
  auth_method: string;
  /** RFC 8176 values */
  amr: string[];
}

export interface LiveSession {
  session: SessionRow;
  user: UserRow;
}

/** @returns lower-case hex SHA-256 of the session key: the `sid` claim and the key of the row (spec/server.md 2.6) */
export function sidOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Looks sessions up and ends them. Limits are checked at use; nothing waits for a janitor. */
export class SessionStore {
  readonly #db: Db;
  readonly #log: Logger;

  constructor(db: Db, log: Logger) {
    this.#db = db;
    this.#log = log;
  }

  /** Signs a browser in. Always makes a new key: an identifier from before the login is never kept. */
  async create(
    tx: Change,
    input: { userId: number; ip: string; userAgent: string; auth: SessionAuth },
  ): Promise<{ key: string; session: SessionRow }> {
    const key = randomBytes(KEY_BYTES).toString('base64url');
    const session = await tx.db
      .insertInto('session')
      .values({
        sid: sidOf(key),
        uuid: randomUUID(),
        user_id: input.userId,
        created: tx.now,
        last_used: tx.now,
        expires: tx.now + SESSION_ABSOLUTE_MS,
        last_ip: input.ip,
        last_user_agent: input.userAgent.slice(0, 500),
        auth: JSON.stringify(input.auth),
        authorizations: '{}',
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await tx.db.updateTable('user').set({ last_login: tx.now }).where('id', '=', input.userId).execute();
    return { key, session };
  }

  /** @param key what the cookie holds */
  findByKey(key: string): Promise<LiveSession | undefined> {
    return this.findBySid(sidOf(key));
  }

  /** @returns the session if it is within its limits and its person active, else `undefined` */
  async findBySid(sid: string, db: Db = this.#db): Promise<LiveSession | undefined> {
    const session = await db.selectFrom('session').selectAll().where('sid', '=', sid).executeTakeFirst();
    const now = Date.now();
    if (session === undefined || session.expires <= now || session.last_used + SESSION_IDLE_MS <= now) return undefined;
    const user = await db.selectFrom('user').selectAll().where('id', '=', session.user_id).executeTakeFirst();
    return user === undefined || user.is_active === 0 ? undefined : { session, user };
  }

  /** Notes that the session is in use. A failure is logged, never shown: the request itself is fine. */
  async touch(session: SessionRow, ip: string, userAgent: string): Promise<void> {
    const now = Date.now();
    if (now - session.last_used < TOUCH_MS) return;
    try {
      await this.#db
        .updateTable('session')
        .set({ last_used: now, last_ip: ip, last_user_agent: userAgent.slice(0, 500) })
        .where('sid', '=', session.sid)
        .execute();
    } catch (error) {
      this.#log.warn({ err: error }, 'the use of a session was not noted');
    }
  }

  /** Sessions of a person within their limits, newest use first. */
  listOf(db: Db, userId: number): Promise<SessionRow[]> {
    const now = Date.now();
    return db
      .selectFrom('session')
      .selectAll()
      .where('user_id', '=', userId)
      .where('expires', '>', now)
      .where('last_used', '>', now - SESSION_IDLE_MS)
      .orderBy('last_used', 'desc')
      .execute();
  }

  /** Ends a session here and at every outpost. @returns false when there was none */
  async end(tx: Change, sid: string): Promise<boolean> {
    const gone = await tx.db.deleteFrom('session').where('sid', '=', sid).returning('sid').execute();
    if (gone.length > 0) await ended(tx, sid);
    return gone.length > 0;
  }

  endAllOf(tx: Change, userId: number, exceptSid?: string): Promise<void> {
    return endSessionsOf(tx, userId, exceptSid);
  }

  /** Ends the login at one application and what was made from it, here and at every outpost of ours; the session goes on. */
  async forgetApplication(tx: Change, sid: string, clientId: string): Promise<void> {
    await endTokensOf(tx, clientId, sid);
    const row = await tx.db.selectFrom('session').select('authorizations').where('sid', '=', sid).executeTakeFirst();
    if (row === undefined) return;
    const authorizations = JSON.parse(row.authorizations) as Record<string, unknown>;
    delete authorizations[clientId];
    await tx.db
      .updateTable('session')
      .set({ authorizations: JSON.stringify(authorizations) })
      .where('sid', '=', sid)
      .execute();
    const provider = await tx.db
      .selectFrom('proxy_provider')
      .select('id')
      .where('client_id', '=', clientId)
      .executeTakeFirst();
    if (provider !== undefined) await tx.identity({ kind: 'application-ended', sid, provider: provider.id });
  }

  /** Removes sessions past their limits, and tells outposts, as published (spec/server.md 9). */
  async prune(tx: Change): Promise<void> {
    const over = await tx.db
      .deleteFrom('session')
      .where((e) => e.or([e('expires', '<=', tx.now), e('last_used', '<=', tx.now - SESSION_IDLE_MS)]))
      .returning('sid')
      .execute();
    for (const { sid } of over) await ended(tx, sid);
  }
}

/** Ends every session of a person, except the one named. */
export async function endSessionsOf(tx: Change, userId: number, exceptSid?: string): Promise<void> {
  const gone = await tx.db
    .deleteFrom('session')
    .where('user_id', '=', userId)
    .where('sid', '!=', exceptSid ?? '')
    .returning('sid')
    .execute();
  for (const { sid } of gone) await ended(tx, sid);
}

/** Codes and tokens die with their session; so do the sessions outposts made from it. */
async function ended(tx: Change, sid: string): Promise<void> {
  await tx.db.deleteFrom('oidc_artefact').where('session_sid', '=', sid).execute();
  await tx.identity({ kind: 'session-ended', sid });
}
