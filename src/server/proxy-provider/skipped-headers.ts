/** Tells of entries of `additionalHeaders` that cannot be sent: merged ones may be wrong though each was right when saved. */
import { modelRef, writeAudit } from '../events/audit.ts';
import type { Db } from '../storage/database.ts';
import type { ProviderRow, UserRow } from '../storage/rows.ts';

/** Every login and every refresh would tell the same: once in this time is enough. */
const QUIET_MS = 5 * 60_000;
const APP = 'gatehouse.headers';
const MAX_SHOWN = 1000;

/**
 * Writes an event, unless the same was told in the last five minutes.
 * @param problems name the headers, never their values
 */
export async function auditSkipped(
  db: Db,
  provider: Pick<ProviderRow, 'id' | 'name'>,
  user: Pick<UserRow, 'id' | 'username'>,
  problems: readonly string[],
  now: number = Date.now(),
): Promise<void> {
  const what = problems.join('; ').slice(0, MAX_SHOWN);
  const message = `Headers of ${user.username} for ${provider.name} are left out: ${what}`;
  const recent = await db
    .selectFrom('event')
    .select('context')
    .where('action', '=', 'configuration_error')
    .where('app', '=', APP)
    .where('created', '>', now - QUIET_MS)
    .execute();
  if (recent.some(({ context }) => (JSON.parse(context) as { message?: unknown }).message === message)) return;
  const context = {
    message,
    provider: modelRef('proxyprovider', provider.id, provider.name),
    user: modelRef('user', user.id, user.username),
    hint: 'Correct "additionalHeaders" of the person or of a group of theirs.',
  };
  await writeAudit(db, 'configuration_error', { app: APP, context }, now);
}
