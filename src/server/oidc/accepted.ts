/** Access tokens a provider takes as proof of who somebody is: its own, and those of providers it trusts. */
import type { ServerContext } from '../context.ts';
import { userByUid } from '../directory/users.ts';
import { trusts } from '../proxy-provider/federation.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import type { UserRow } from '../storage/rows.ts';
import { originsOf } from './artefacts.ts';
import type { Client } from './clients.ts';
import { ACCESS_TOKEN, liveAccessToken } from './tokens.ts';
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
  /** handles of what it was made from (directory/credentials.ts) */
  origins: readonly string[];
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
    origins: await originsOf(ctx.db, ACCESS_TOKEN, live.uid),
    expires: exp * 1000,
  };
}

/**
 * Outposts keep the handles of everything a session was made from. More are nobody's need: a token that has so many is
 * good for what it says, but nothing is made from it.
 */
export const MAX_HANDLES = 8;

export const mayBeMadeFrom = (token: AcceptedToken): boolean => handlesOf(token).length <= MAX_HANDLES;

/** What a token made from this one depends on: it must not outlive it. Whether there may be one: mayBeMadeFrom(). */
export function madeFrom(token: AcceptedToken) {
  const { sid, expires, authTime, amr, clientIp } = token;
  return { sid, authTime, amr, clientIp, notAfter: expires, origins: handlesOf(token) };
}

/** Handles that end this token and what is made from it, for outposts. */
export function handlesOf({ uid, origins, grantId }: AcceptedToken): string[] {
  return [...new Set([...origins, ...(grantId === null ? [] : [grantId]), uid])];
}
