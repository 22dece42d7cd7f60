/**
 * What the OpenID Provider has to remember: codes, grants, refresh tokens, and that an access token was issued. Rows
 * are found by the hash of their identifier, because codes and refresh tokens are secrets as long as they live.
 */
import { createHash } from 'node:crypto';
import type { ServerContext } from '../context.ts';
import type { Db } from '../storage/database.ts';

export interface ArtefactLinks {
  grantId: string | undefined;
  sid: string | undefined;
  clientId: string | undefined;
  userId: number | undefined;
  /** of what may be made from it */
  handle?: string | undefined;
  /** handles of what it was made from when that was no login: it ends with each (directory/credentials.ts) */
  origins?: readonly string[] | undefined;
  /** epoch ms after which the row may be forgotten */
  expires: number | undefined;
}

export interface Artefact {
  payload: Record<string, unknown>;
  sid: string | null;
  grantId: string | null;
  /** epoch ms of its first use */
  consumed: number | null;
}

/** A used code is remembered this much longer, so that a second use is noticed and its tokens are revoked. */
export const REPLAY_MEMORY_MS = 15 * 60_000;

export async function saveArtefact(
  ctx: ServerContext,
  model: string,
  id: string,
  payload: object,
  links: ArtefactLinks,
): Promise<void> {
  const key = hashed(id);
  const values = {
    payload: ctx.keyring.seal(JSON.stringify(payload), aad(model, key)),
    grant_id: links.grantId ?? null,
    session_sid: links.sid ?? null,
    client_id: links.clientId ?? null,
    user_id: links.userId ?? null,
    handle: links.handle ?? null,
    expires: links.expires ?? null,
  };
  const insert = (db: Db) =>
    db
      .insertInto('oidc_artefact')
      .values({ model, id: key, consumed: null, ...values })
      .onConflict((c) => c.columns(['model', 'id']).doUpdateSet(values))
      .execute();
  const origins = [...new Set(links.origins ?? [])].map((handle) => ({ model, artefact_id: key, handle }));
  if (origins.length === 0) await insert(ctx.db);
  else {
    await ctx.change(async (tx) => {
      await insert(tx.db);
      await tx.db.insertInto('oidc_artefact_origin').values(origins).execute();
    });
  }
}

/** Handles of what a row was made from. */
export async function originsOf(db: Db, model: string, id: string): Promise<string[]> {
  const rows = await db
    .selectFrom('oidc_artefact_origin')
    .select('handle')
    .where('model', '=', model)
    .where('artefact_id', '=', hashed(id))
    .execute();
  return rows.map(({ handle }) => handle);
}

export async function findArtefact(ctx: ServerContext, model: string, id: string): Promise<Artefact | undefined> {
  const key = hashed(id);
  const row = await ctx.db
    .selectFrom('oidc_artefact')
    .selectAll()
    .where('model', '=', model)
    .where('id', '=', key)
    .executeTakeFirst();
  if (row === undefined || (row.expires !== null && row.expires <= Date.now())) return undefined;
  return {
    payload: JSON.parse(ctx.keyring.open(row.payload, aad(model, key))) as Record<string, unknown>,
    sid: row.session_sid,
    grantId: row.grant_id,
    consumed: row.consumed,
  };
}

/** Marks as used, in one step. @returns false when somebody else was first */
export async function consumeArtefact(ctx: ServerContext, model: string, id: string): Promise<boolean> {
  const used = await ctx.db
    .updateTable('oidc_artefact')
    .set({ consumed: Date.now() })
    .where('model', '=', model)
    .where('id', '=', hashed(id))
    .where('consumed', 'is', null)
    .returning('id')
    .execute();
  return used.length === 1;
}

export async function deleteArtefact(db: Db, model: string, id: string): Promise<void> {
  await db.deleteFrom('oidc_artefact').where('model', '=', model).where('id', '=', hashed(id)).execute();
}

export async function pruneArtefacts(db: Db, now: number): Promise<void> {
  await db.deleteFrom('oidc_artefact').where('expires', '<', now).execute();
}

const hashed = (id: string) => createHash('sha256').update(id).digest('hex');
const aad = (model: string, key: string) => `oidc_artefact:${model}:${key}`;
