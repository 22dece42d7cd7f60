/** A sign-out made at an outpost, told to the server (contract/extension.ts). */
import type { SignOutReport } from '../../contract/extension.ts';
import type { ServerContext } from '../context.ts';
import { providerById, settingsOf } from '../proxy-provider/providers.ts';
import type { OutpostRow } from '../storage/rows.ts';
import { servedBy } from './served-by.ts';

/**
 * Ends the server session, or only the login at this application, as the provider says. Telling it twice, or for a
 * session that is over, is no error: outposts repeat until they have an answer. A repeated sign-out of one application
 * ends a login made there in between as well.
 * @param outpost the caller; it may speak for its own providers only
 */
export async function signOut(
  ctx: ServerContext,
  outpost: OutpostRow,
  report: SignOutReport,
  clientIp = '',
): Promise<void> {
  await servedBy(ctx.db, outpost, report.provider);
  const provider = await providerById(ctx.db, report.provider);
  const live = await ctx.sessions.findBySid(report.sid);
  if (provider === undefined || live === undefined || live.user.uid !== report.uid) return;
  const { id: pk, username, email } = live.user;
  await ctx.change(
    async (tx) => {
      if (settingsOf(provider).sign_out === 'everything') {
        if (await ctx.sessions.end(tx, report.sid)) await tx.audit('logout', { app: 'gatehouse.outposts' });
      } else await ctx.sessions.forgetApplication(tx, report.sid, provider.client_id);
    },
    { user: { pk, username, email }, clientIp },
  );
}
