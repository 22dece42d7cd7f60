/** Facts of this installation, kept as key and value. */
import { randomUUID } from 'node:crypto';
import type { Db } from './database.ts';

export type InstallationKey =
  'installation_id' | 'identity_epoch' | 'identity_former' | 'learnt_host' | 'setup_token_hash' | 'session_horizon';

/** @returns the value, or `undefined` when never set */
export async function readFact(db: Db, key: InstallationKey): Promise<string | undefined> {
  const row = await db.selectFrom('installation').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value;
}

export async function writeFact(db: Db, key: InstallationKey, value: string): Promise<void> {
  await db
    .insertInto('installation')
    .values({ key, value })
    .onConflict((c) => c.column('key').doUpdateSet({ value }))
    .execute();
}

export async function deleteFact(db: Db, key: InstallationKey): Promise<void> {
  await db.deleteFrom('installation').where('key', '=', key).execute();
}

/** The identifier users' public identifiers are derived from; made at first start, never changed. */
export async function ensureInstallationId(db: Db): Promise<string> {
  const known = await readFact(db, 'installation_id');
  if (known !== undefined) return known;
  const made = randomUUID();
  await writeFact(db, 'installation_id', made);
  return made;
}
