/** Access tokens a provider takes as proof of who somebody is: its own, and those of providers it trusts. */
import type { ServerContext } from '../context.ts';
import { userByUid } from '../directory/users.ts';
import { trusts } from '../proxy-provider/federation.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import type { UserRow } from '../storage/rows.ts';
import type { Client } from './clients.ts';
import { liveAccessToken } from './tokens.ts';
import type { LiveToken } from './tokens.ts';

export interface AcceptedToken extends LiveToken {
  user: UserRow;
  /** scopes of the token that the accepting provider has, too */
  scopes: string[];
  /** of the session it comes from; empty without one */
  sid: string;
  /** when its owner signed in, epoch ms */
  authTime: number;
  amr: string[];
  /** epoch ms */
  expires: number;
}

/**
 * @param client the provider it is shown to
 * @returns `undefined` unless it is alive, of this provider or one it trusts, and its owner is active. Whether the
 *   rules of the application let the owner in is another question: checkAccess(), for our own outposts checkSignIn().
 */
export async function acceptedAccessToken(
  ctx: ServerContext,
  token: string,
  client: Client,
): Promise<AcceptedToken | undefined> {
  const live = token === '' ? undefined : await liveAccessToken(ctx, token);
  if (live === undefined || !(await trusts(ctx.db, client.provider.id, live.client.provider.id))) return undefined;
  const user = await userByUid(ctx.db, String(live.claims.sub));
  if (user === undefined || user.is_active === 0) return undefined;
  const own = new Set(await scopeNames(ctx.db, client.provider.id));
  const { sid, auth_time, amr, exp = 0 } = live.claims;
  return {
    ...live,
    user,
    scopes: live.scopes.filter((scope) => own.has(scope)),
    sid: typeof sid === 'string' ? sid : '',
    authTime: (typeof auth_time === 'number' ? auth_time : 0) * 1000,
    amr: Array.isArray(amr) ? amr.map(String) : [],
    expires: exp * 1000,
  };
}

/** What a token made from this one depends on (directory/credentials.ts): it must not outlive it. */
export function madeFrom({ sid, uid, credential, grantId, expires, authTime, amr, clientIp }: AcceptedToken) {
  return { sid, authTime, amr, clientIp, notAfter: expires, credential: credential ?? uid, grantId: grantId ?? uid };
}

/** Handles that end what is made from this token, for outposts. */
export function handlesOf({ uid, credential, grantId }: AcceptedToken): string[] {
  return [...new Set([credential, uid, grantId].filter((handle) => handle !== null))];
}
