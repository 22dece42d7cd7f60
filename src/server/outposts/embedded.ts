/** The embedded outpost exists from the first start on, unless switched off (spec/server.md 6.3). */
import { EMBEDDED_OUTPOST_MANAGED, EMBEDDED_OUTPOST_NAME } from '../../contract/api.ts';
import type { Settings } from '../../settings/settings.ts';
import type { Change } from '../context.ts';
import type { Db } from '../storage/database.ts';
import type { OutpostRow } from '../storage/rows.ts';
import { defaultConfig } from './config.ts';
import { createOutpost, removeOutpost } from './outposts.ts';

export function embeddedOutpost(db: Db): Promise<OutpostRow | undefined> {
  return db.selectFrom('outpost').selectAll().where('managed', '=', EMBEDDED_OUTPOST_MANAGED).executeTakeFirst();
}

/** Makes it, or takes it away when it is switched off. */
export async function ensureEmbeddedOutpost(tx: Change, settings: Settings): Promise<void> {
  const outpost = await embeddedOutpost(tx.db);
  if (settings.disableEmbeddedOutpost) {
    if (outpost !== undefined) await removeOutpost(tx, outpost);
  } else if (outpost === undefined) {
    const config = defaultConfig('', settings.logLevel);
    const input = { name: EMBEDDED_OUTPOST_NAME, type: 'proxy', providers: [], config };
    await createOutpost(tx, input, EMBEDDED_OUTPOST_MANAGED);
  }
}
