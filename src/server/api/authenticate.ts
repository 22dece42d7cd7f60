/**
 * Who calls the REST API, and what they may (spec/server.md 10, docs/architecture.md decision 6).
 *
 * A Bearer key (API token, OAuth access token for this API, or the embedded outpost's boot secret on its own calls),
 * else the browser's session. The server's secret key is never a credential (design/architecture.md 4). A session alone never changes anything: the request must also show that it comes from a page of ours.
 * Routes say who may call them; those that say nothing are for superusers.
 */
import { timingSafeEqual } from 'node:crypto';
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { CodedError } from '../../contract/errors.ts';
import type { ServerContext } from '../context.ts';
import { isSuperuser } from '../directory/membership.ts';
import { userByUid } from '../directory/users.ts';
import type { Actor } from '../events/audit.ts';
import { CSRF_COOKIE, sessionKey } from '../flows/cookies.ts';
import { liveAccessToken } from '../oidc/tokens.ts';
import { authenticateBearer } from '../outposts/authenticate.ts';
import type { OutpostRow, UserRow } from '../storage/rows.ts';
import { forbidden } from './errors.ts';

/** `person`: anybody signed in, but no outpost. `outpost`: the service account of an outpost. */
export type Role = 'person' | 'outpost' | 'superuser';

export interface Principal {
  user: UserRow;
  superuser: boolean;
  /** the outpost whose service account this is */
  outpost: OutpostRow | undefined;
  /** session the call was made with; undefined for Bearer calls */
  sid: string | undefined;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** who may call; default superusers only; `'anyone'` needs no credentials */
    access?: readonly Role[] | 'anyone';
  }
  interface FastifyRequest {
    principal: Principal | undefined;
  }
}

/** Scope an access token must carry to open this API (spec/server.md 10). */
const API_SCOPE = 'goauthentik.io/api';
const CSRF_HEADER = 'x-authentik-csrf';
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The caller of a route that needs one. */
export function caller(request: FastifyRequest): Principal {
  if (!request.principal) throw new TypeError('this route lets anyone in: it has no caller');
  return request.principal;
}

/** The outpost that calls. @throws CodedError 403 when the caller is none */
export function callingOutpost(request: FastifyRequest): OutpostRow {
  const { outpost } = caller(request);
  if (!outpost) throw forbidden('Only the service account of an outpost may do this.');
  return outpost;
}

/** For the audit log. */
export function actor(request: FastifyRequest): Actor {
  const user = request.principal?.user;
  return {
    user: user && { pk: user.id, username: user.username, email: user.email },
    clientIp: request.link.clientIp,
  };
}

/** First hook of every route: credentials, then permission; both before the body is read. */
export function guard(ctx: ServerContext): onRequestAsyncHookHandler {
  return async (request) => {
    const access = request.routeOptions.config.access ?? ['superuser'];
    if (access === 'anyone' || request.is404) return;
    const principal = await authenticate(ctx, request);
    if (!principal) throw new CodedError('not-authenticated', 403, 'Authentication credentials were not provided.');
    // An outpost's token serves the outpost: it makes no tokens of its own and looks at none, its own included
    const roles: Role[] = [principal.outpost ? 'outpost' : 'person'];
    if (principal.superuser) roles.push('superuser');
    if (!access.some((role) => roles.includes(role))) throw forbidden();
    request.principal = principal;
  };
}

async function authenticate(ctx: ServerContext, request: FastifyRequest): Promise<Principal | undefined> {
  const key = bearerKey(request.headers.authorization);
  if (key !== undefined) {
    const found = key === '' ? undefined : await ownerOf(ctx, key, request.link.internal);
    if (!found) throw new CodedError('token-invalid', 403, 'Token invalid/expired');
    return principalOf(ctx, found.user, found.outpost, undefined);
  }
  const presented = sessionKey(request);
  const found = presented === '' ? undefined : await ctx.sessions.findByKey(presented);
  if (!found) return undefined;
  if (!SAFE_METHODS.has(request.method) && !fromOurPage(request)) {
    throw new CodedError(
      'csrf-failed',
      403,
      'CSRF Failed: a change with a browser session needs the header X-authentik-CSRF with the value of the cookie authentik_csrf.',
    );
  }
  await ctx.sessions.touch(found.session, request.link.clientIp, request.headers['user-agent'] ?? '');
  return principalOf(ctx, found.user, undefined, found.session.sid);
}

/** Owner of an API token, or of an OAuth access token that was issued for this API. */
async function ownerOf(ctx: ServerContext, key: string, internal: boolean) {
  const found = await authenticateBearer(ctx, key, internal);
  if (found !== undefined || key.split('.').length !== 3) return found;
  const live = await liveAccessToken(ctx, key);
  if (live === undefined || !live.scopes.includes(API_SCOPE)) return undefined;
  const user = await userByUid(ctx.db, String(live.claims.sub));
  return user?.is_active === 1 ? { user, outpost: undefined } : undefined;
}

async function principalOf(
  ctx: ServerContext,
  user: UserRow,
  outpost: OutpostRow | undefined,
  sid: string | undefined,
): Promise<Principal> {
  // Whatever groups its account is put into: an outpost stands where visitors can reach it, and needs no more
  return { user, superuser: outpost === undefined && (await isSuperuser(ctx.db, user.id)), outpost, sid };
}

/** @returns the key; `undefined` when the header is absent or of another scheme, which counts as absent */
function bearerKey(header: string | undefined): string | undefined {
  const match = /^bearer(?:$|\s+(.*)$)/i.exec(header ?? '');
  return match ? (match[1] ?? '').trim() : undefined;
}

/** Browsers set Sec-Fetch-Site themselves and no page can forge it; older ones prove they can read our cookie. */
function fromOurPage(request: FastifyRequest): boolean {
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') return false;
  const header = request.headers[CSRF_HEADER];
  const cookie = request.cookies[CSRF_COOKIE];
  if (typeof header === 'string' && cookie) {
    const [a, b] = [Buffer.from(header), Buffer.from(cookie)];
    return a.length === b.length && timingSafeEqual(a, b);
  }
  return site === 'same-origin';
}
