import { CodedError } from '../../contract/errors.ts';
import type { Db } from '../storage/database.ts';
import type { OutpostRow } from '../storage/rows.ts';

/** @throws CodedError `outpost-forbidden` unless this outpost serves this provider */
export async function servedBy(db: Db, outpost: OutpostRow, providerId: number): Promise<void> {
  const row = await db
    .selectFrom('outpost_provider')
    .select('provider_id')
    .where('outpost_uuid', '=', outpost.uuid)
    .where('provider_id', '=', providerId)
    .executeTakeFirst();
  if (row === undefined) {
    throw new CodedError(
      'outpost-forbidden',
      403,
      `The outpost ${outpost.name} does not serve this provider. Add the provider to the outpost.`,
    );
  }
}
