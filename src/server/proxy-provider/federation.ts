/** Whose access tokens a provider accepts besides its own: `jwt_federation_providers` (spec/server.md 3.1, 5.6). */
import type { Change } from '../context.ts';
import type { Db } from '../storage/database.ts';

/** @returns ids of the providers trusted by each of these */
export async function trustedProviders(
  db: Db,
  providers: readonly number[],
): Promise<ReadonlyMap<number, readonly number[]>> {
  const rows = await db
    .selectFrom('provider_federation')
    .selectAll()
    .where('provider_id', 'in', providers)
    .orderBy('trusted_id')
    .execute();
  const byProvider = Map.groupBy(rows, (row) => row.provider_id);
  return new Map([...byProvider].map(([id, trusted]) => [id, trusted.map((row) => row.trusted_id)]));
}

export async function trusts(db: Db, provider: number, other: number): Promise<boolean> {
  if (provider === other) return true;
  const row = await db
    .selectFrom('provider_federation')
    .select('trusted_id')
    .where('provider_id', '=', provider)
    .where('trusted_id', '=', other)
    .executeTakeFirst();
  return row !== undefined;
}

/** @param trusted what shall be trusted from now on, nothing else; undefined = as it is */
export async function setTrusted(tx: Change, provider: number, trusted: readonly number[] | undefined): Promise<void> {
  if (trusted === undefined) return;
  await tx.db.deleteFrom('provider_federation').where('provider_id', '=', provider).execute();
  for (const trusted_id of new Set(trusted)) {
    await tx.db.insertInto('provider_federation').values({ provider_id: provider, trusted_id }).execute();
  }
}

/** @returns a sentence for every id that is none */
export async function unknownProviders(db: Db, ids: readonly number[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('proxy_provider')
    .select('id')
    .where('id', 'in', [...ids])
    .execute();
  const known = new Set(rows.map((row) => row.id));
  return [...new Set(ids)].filter((id) => !known.has(id)).map((id) => `There is no provider ${id}.`);
}
