/** Our session as oidc-provider sees it. */
import type { AdapterPayload } from 'oidc-provider';
import type { LiveSession, SessionAuth } from '../directory/sessions.ts';

/** The only authentication context the published contract knows (spec/server.md 5.7). */
export const ACR = 'goauthentik.io/providers/oauth2/default';

export function sessionPayload({ session, user }: LiveSession): AdapterPayload {
  return {
    kind: 'Session',
    jti: session.sid,
    uid: session.sid,
    accountId: user.uid,
    loginTs: authTime(session.created),
    acr: ACR,
    amr: authOf(session.auth).amr,
    authorizations: JSON.parse(session.authorizations) as NonNullable<AdapterPayload['authorizations']>,
    iat: authTime(session.created),
    exp: Math.ceil(session.expires / 1000),
  };
}

/** @param created epoch ms of the login. @returns `auth_time`, epoch seconds */
export function authTime(created: number): number {
  return Math.floor(created / 1000);
}

export function authOf(json: string): SessionAuth {
  const { auth_method = '', amr = [] } = JSON.parse(json) as Partial<SessionAuth>;
  return { auth_method, amr };
}
