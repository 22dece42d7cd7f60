/** Fresh claims for a session of an outpost that an identity event made stale (contract/extension.ts). */
import type { RefreshAnswer, RefreshRequest } from '../../contract/extension.ts';
import { CodedError } from '../../contract/errors.ts';
import { applicationOfProvider } from '../access/applications.ts';
import { checkSignIn } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import { readCursor } from '../events/identity-log.ts';
import { tokenExtension } from '../proxy-provider/person-headers.ts';
import { providerById } from '../proxy-provider/providers.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import type { OutpostRow } from '../storage/rows.ts';
import { servedBy } from './served-by.ts';

/**
 * @param outpost the caller; it may ask for its own providers only
 * @throws CodedError `outpost-forbidden` for a provider of another outpost
 */
export async function refreshSession(
  ctx: ServerContext,
  outpost: OutpostRow,
  request: RefreshRequest,
): Promise<RefreshAnswer> {
  await servedBy(ctx.db, outpost, request.provider);
  const cursor = await readCursor(ctx.db); // before everything it vouches for
  const live = await ctx.sessions.findBySid(request.sid);
  if (live === undefined || live.user.uid !== request.uid) return { result: 'ended' };
  const provider = await providerById(ctx.db, request.provider);
  const application = await applicationOfProvider(ctx.db, request.provider);
  if (provider === undefined || application === undefined) return { result: 'denied', reason: 'no-application' };
  const access = await checkSignIn(ctx.db, live.user, provider, application);
  if (!access.passing) return { result: 'denied', reason: access.reasons[0] ?? 'denied' };
  if (ctx.tokens.issue === undefined) {
    throw new CodedError('not-ready', 503, 'The server is still starting. Try again in a moment.');
  }
  const { amr } = JSON.parse(live.session.auth) as { amr: string[] };
  const { token } = await ctx.tokens.issue({
    provider,
    application,
    user: live.user,
    sid: live.session.sid,
    authTime: live.session.created,
    amr,
    scopes: await scopeNames(ctx.db, provider.id),
    extension: true,
  });
  return { result: 'token', access_token: token, gatehouse: await tokenExtension(ctx.db, provider, live.user, cursor) };
}
