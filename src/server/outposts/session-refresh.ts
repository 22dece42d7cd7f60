/** Fresh claims for a session of an outpost that an identity event made stale (contract/extension.ts). */
import type { RefreshAnswer, RefreshRequest, TokenExtension } from '../../contract/extension.ts';
import { CodedError } from '../../contract/errors.ts';
import { applicationOfProvider } from '../access/applications.ts';
import { checkSignIn } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import { readCursor } from '../events/identity-log.ts';
import { askerOf } from '../oidc/asker.ts';
import { acceptedAccessToken, handlesOf } from '../oidc/accepted.ts';
import type { Client } from '../oidc/clients.ts';
import { issuerOf } from '../oidc/issuer.ts';
import { evaluateScopes } from '../proxy-provider/evaluate-scopes.ts';
import { refuseIncomplete } from '../proxy-provider/incomplete.ts';
import type { IssueRequest } from '../proxy-provider/issue.ts';
import { tokenExtension } from '../proxy-provider/person-headers.ts';
import { providerById } from '../proxy-provider/providers.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import type { OutpostRow, UserRow } from '../storage/rows.ts';
import { servedBy } from './served-by.ts';

/**
 * @param outpost the caller; it may ask for its own providers only
 * @param base address of the server as this outpost was told it, without a slash at the end
 * @throws CodedError `outpost-forbidden` for a provider of another outpost
 */
export async function refreshSession(
  ctx: ServerContext,
  outpost: OutpostRow,
  request: RefreshRequest,
  base: string = ctx.baseAddress.current(),
): Promise<RefreshAnswer> {
  await servedBy(ctx.db, outpost, request.provider);
  const cursor = await readCursor(ctx.db); // before everything it vouches for
  const provider = await providerById(ctx.db, request.provider);
  const application = await applicationOfProvider(ctx.db, request.provider);
  const { token: shown } = request;
  const find =
    shown === undefined || provider === undefined || application === undefined
      ? () => loginOf(ctx, request.sid)
      : () => credentialOf(ctx, { provider, application }, shown);
  const login = await find();
  if (login === undefined || login.user.uid !== request.uid || login.from.sid !== request.sid)
    return { result: 'ended' };
  if (provider === undefined || application === undefined) return { result: 'denied', reason: 'no-application' };
  const access = await checkSignIn(ctx.db, login.user, provider, application);
  if (!access.passing) return { result: 'denied', reason: access.reasons[0] ?? 'denied' };
  if (ctx.tokens.issue === undefined) {
    throw new CodedError('not-ready', 503, 'The server is still starting. Try again in a moment.');
  }
  const { user, from } = login;
  const scopes = login.scopes ?? (await scopeNames(ctx.db, provider.id));
  const asker = () => askerOf(ctx, from.sid, from.clientIp);
  const wanted = { provider, application, user, scopes, attributes: 'none', purpose: 'refresh', asker } as const;
  const evaluated = await evaluateScopes(ctx, wanted);
  refuseIncomplete(ctx, user, evaluated);
  const issuer = issuerOf(base, application.slug);
  const issued = { provider, application, issuer, ...from, user, scopes, extension: true, evaluated };
  const { token } = await ctx.tokens.issue(issued);
  // Whoever ended it meanwhile found no token to end; this one nobody gets
  if ((await find()) === undefined) return { result: 'ended' };
  const extension = await tokenExtension(ctx.db, provider, user, evaluated, cursor);
  return { result: 'token', access_token: token, gatehouse: { ...extension, ...login.made } };
}

/** What a session of an outpost rests on. */
interface Basis {
  user: UserRow;
  from: Pick<IssueRequest, 'sid' | 'authTime' | 'amr' | 'origins' | 'renews' | 'notAfter' | 'clientIp'>;
  /** what it has; absent = all of the provider */
  scopes?: readonly string[];
  made: Pick<TokenExtension, 'credentials'>;
}

async function loginOf(ctx: ServerContext, sid: string): Promise<Basis | undefined> {
  const live = await ctx.sessions.findBySid(sid);
  if (live === undefined) return undefined;
  const { amr } = JSON.parse(live.session.auth) as { amr: string[] };
  return { user: live.user, from: { sid, authTime: live.session.created, amr }, made: {} };
}

/** Not a login, but credentials: the token that was made from them is as good as they are. */
async function credentialOf(ctx: ServerContext, client: Client, token: string): Promise<Basis | undefined> {
  const accepted = await acceptedAccessToken(ctx, token, client);
  if (accepted === undefined) return undefined;
  const { user, scopes, uid, sid, authTime, amr, clientIp, expires: notAfter } = accepted;
  const made = { credentials: handlesOf(accepted) };
  // The session's own token is renewed and stays the same to whoever ends it. One of a trusted provider never comes here.
  if (accepted.client.provider.id !== client.provider.id) return undefined;
  return { user, scopes, from: { sid, authTime, amr, clientIp, notAfter, renews: uid }, made };
}
