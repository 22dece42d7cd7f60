/** Signing a browser in and out. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isSuperuser } from '../directory/membership.ts';
import type { LiveSession } from '../directory/sessions.ts';
import { userById } from '../directory/users.ts';
import type { ServerContext } from '../context.ts';
import type { Actor } from '../events/audit.ts';
import type { UserRow } from '../storage/rows.ts';
import { clearSessionCookie, sessionKey, setSessionCookie } from './cookies.ts';

/** Who is signed in in this browser, within all limits. Notes the use of the session. */
export async function currentSession(ctx: ServerContext, request: FastifyRequest): Promise<LiveSession | undefined> {
  const key = sessionKey(request);
  if (key === '') return undefined;
  const live = await ctx.sessions.findByKey(key);
  if (live !== undefined) await ctx.sessions.touch(live.session, request.link.clientIp, userAgent(request));
  return live;
}

/**
 * Signs a person in after they proved who they are with their password. The browser gets a new key, and the session it
 * had before is over: an identifier known before the login is worth nothing after it (spec/security.md G).
 * @param user as checked: `password` is the hash the typed password belongs to
 * @returns false when the password or the account was changed since: then nobody is signed in
 */
export async function signIn(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  user: UserRow,
): Promise<boolean> {
  const before = await ctx.sessions.findByKey(sessionKey(request));
  const made = await ctx.change(
    async (tx) => {
      // The check took its time, and a change of the password ends only the sessions that are there
      const now = await userById(tx.db, user.id);
      if (now?.is_active !== 1 || now.password !== user.password) return undefined;
      if (before !== undefined) await ctx.sessions.end(tx, before.session.sid);
      await tx.audit('login', { app: 'gatehouse.flows', context: { auth_method: 'password', auth_method_args: {} } });
      return ctx.sessions.create(tx, {
        userId: user.id,
        ip: request.link.clientIp,
        userAgent: userAgent(request),
        auth: { auth_method: 'password', amr: ['pwd'] },
      });
    },
    actorOf(user, request),
  );
  if (made === undefined) return false;
  setSessionCookie(ctx, request, reply, made.key);
  if (await isSuperuser(ctx.db, user.id)) {
    await ctx.baseAddress.learn(ctx, request.link.scheme, request.link.host);
  }
  return true;
}

/** Ends the session for every application, here and at the outposts. */
export async function signOut(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  live: LiveSession,
): Promise<void> {
  await ctx.change(
    async (tx) => {
      if (await ctx.sessions.end(tx, live.session.sid)) await tx.audit('logout', { app: 'gatehouse.flows' });
    },
    actorOf(live.user, request),
  );
  clearSessionCookie(ctx, request, reply);
}

/** The person as audit entries name them. */
export function actorOf(user: UserRow, request: FastifyRequest): Actor {
  return {
    user: { pk: user.id, username: user.username, email: user.email },
    clientIp: request.link.clientIp,
  };
}

/** What we call a person. */
export function displayName(user: UserRow): string {
  return user.name === '' ? user.username : user.name;
}

function userAgent(request: FastifyRequest): string {
  return request.headers['user-agent'] ?? '';
}
