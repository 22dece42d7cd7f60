/**
 * The log of what outposts must act on (docs/architecture.md, decision 2). Numbers rise in the order of commits: one
 * process, one connection, one transaction at a time.
 */
import { randomUUID } from 'node:crypto';
import { DEFAULT_ACCESS_TOKEN_VALIDITY } from '../../contract/api.ts';
import { parseDuration } from '../../contract/durations.ts';
import type { Cursor, IdentityEvent, IdentityEventBatch } from '../../contract/extension.ts';
import type { Kysely } from 'kysely';
import type { Db } from '../storage/database.ts';
import type { Database } from '../storage/schema.ts';
import { readFact, writeFact } from '../storage/installation.ts';

/** An event before it has its number. */
export type IdentityChange = IdentityEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'n' | 'until'>
    : never
  : never;

/** Sign-ins under way (15 minutes, decision 3) read their claims before an event and end after it. */
const MARGIN_MS = 20 * 60_000;
/** The least time an entry is kept. */
const LEAST_VALIDITY_MS = DEFAULT_ACCESS_TOKEN_VALIDITY * 1000;
/** Starts of the server that are remembered: sessions from before ask for new claims. */
const KEPT_EPOCHS = 64;

/** Appends an event. Inside a change use `tx.identity`, which also pushes it after the commit. */
export async function appendIdentity(db: Db, change: IdentityChange, now: number): Promise<IdentityEvent> {
  const until = (await sessionHorizon(db, now)) + MARGIN_MS;
  const { n } = await db
    .insertInto('identity_event')
    .values({ body: JSON.stringify(change), until, created: now })
    .returning('n')
    .executeTakeFirstOrThrow();
  return { ...change, n, until };
}

/** Position of the log: every event up to it is in the database. Read it before the claims it shall vouch for. */
export async function readCursor(db: Db): Promise<Cursor> {
  const last = await db
    .selectFrom('identity_event')
    .select((e) => e.fn.max('n').as('n'))
    .executeTakeFirst();
  const epoch = await readFact(db, 'identity_epoch');
  if (epoch === undefined) throw new TypeError('the identity log has no epoch: beginEpoch() runs at start');
  return { epoch, n: last?.n ?? 0 };
}

/**
 * Gives this run of the server an epoch of its own. To be called once, before anything is appended: only while nothing runs
 * can a database be replaced by an older one, and nobody could tell what the numbers that come a second time stand for.
 */
export async function beginEpoch(db: Kysely<Database>): Promise<void> {
  await db.transaction().execute(async (tx) => {
    if ((await readFact(tx, 'identity_epoch')) !== undefined) {
      const former = [...(await formerEpochs(tx)), await readCursor(tx)].slice(-KEPT_EPOCHS);
      await writeFact(tx, 'identity_former', JSON.stringify(former));
    }
    await writeFact(tx, 'identity_epoch', randomUUID());
  });
}

/** Where earlier epochs of this database ended, by age: what they counted up to there, the present one goes on from. */
export async function formerEpochs(db: Db): Promise<Cursor[]> {
  return JSON.parse((await readFact(db, 'identity_former')) ?? '[]') as Cursor[];
}

/**
 * What an outpost at this position lacks. A position that was never given here gets the whole live set, and that is all
 * it does: outposts say what they like.
 */
export async function eventsSince(db: Db, cursor: Cursor, now: number): Promise<IdentityEventBatch> {
  const { epoch, n: last } = await readCursor(db);
  const former = await formerEpochs(db);
  const end = [...former, { epoch, n: last }].find((one) => one.epoch === cursor.epoch)?.n ?? -1;
  const known = cursor.n <= end;
  const events = await eventsAfter(db, known ? cursor.n : 0, now);
  return { epoch, snapshot: !known, former, n: Math.max(last, events.at(-1)?.n ?? 0), events };
}

/** Events after number `n` that still matter, in order. */
export async function eventsAfter(db: Db, n: number, now: number): Promise<IdentityEvent[]> {
  const rows = await db
    .selectFrom('identity_event')
    .selectAll()
    .where('n', '>', n)
    .where('until', '>', now)
    .orderBy('n')
    .execute();
  return rows.map((row) => ({ ...(JSON.parse(row.body) as IdentityChange), n: row.n, until: row.until }));
}

/** Forgets what no session can be older than. The newest entry stays: it holds the position. */
export async function pruneIdentityLog(db: Db, now: number): Promise<void> {
  await db
    .deleteFrom('identity_event')
    .where('until', '<', now)
    .where('n', '<', (q) => q.selectFrom('identity_event').select((e) => e.fn.max<number>('n').as('n')))
    .execute();
}

/** When the last of the outpost sessions that exist now is over, epoch ms. */
async function sessionHorizon(db: Db, now: number): Promise<number> {
  const rows = await db.selectFrom('proxy_provider').select('access_token_validity').distinct().execute();
  const longest = Math.max(LEAST_VALIDITY_MS, ...rows.map((r) => parseDuration(r.access_token_validity) ?? 0));
  return Math.max(now + longest, Number((await readFact(db, 'session_horizon')) ?? 0));
}

/**
 * To be called before sessions of a provider get shorter or the provider goes away: sessions made under the former
 * setting live on, and events have to outlive them.
 * @param validity the former `access_token_validity`
 */
export async function rememberHorizon(db: Db, validity: string, now: number): Promise<void> {
  const horizon = now + (parseDuration(validity) ?? 0);
  if (horizon > Number((await readFact(db, 'session_horizon')) ?? 0)) {
    await writeFact(db, 'session_horizon', String(horizon));
  }
}
