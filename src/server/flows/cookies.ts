/** Our two cookies: the session of the server and the token that ties a form to its browser. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';

export const SESSION_COOKIE = 'authentik_session';
export const CSRF_COOKIE = 'authentik_csrf';
export const CSRF_FIELD = 'csrf';

const CSRF_SHAPE = /^[\w-]{43}$/;

/** @returns the session key the browser presents, or empty. The first of several equal names wins, as in browsers. */
export function sessionKey(request: FastifyRequest): string {
  return read(request, SESSION_COOKIE);
}

/** Hands the browser a session key. It lasts until the browser closes; the server's own limits end it earlier. */
export function setSessionCookie(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply, key: string): void {
  append(reply, fastifyCookie.serialize(SESSION_COOKIE, key, sessionAttributes(ctx, request)));
}

export function clearSessionCookie(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply): void {
  append(reply, fastifyCookie.serialize(SESSION_COOKIE, '', { ...sessionAttributes(ctx, request), maxAge: 0 }));
}

/**
 * The token for the forms of a page. One browser keeps one token, so that several tabs do not undo each other.
 * @returns the token to put into the hidden field {@link CSRF_FIELD}
 */
export function formToken(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply): string {
  const known = read(request, CSRF_COOKIE);
  if (CSRF_SHAPE.test(known)) return known;
  const token = randomBytes(32).toString('base64url');
  // Readable by scripts of this origin, as published: they send it back in a header of their REST calls
  append(reply, fastifyCookie.serialize(CSRF_COOKIE, token, { ...attributes(ctx, request), httpOnly: false }));
  return token;
}

/** @returns whether the field of a form carries the token of this browser */
export function formTokenMatches(request: FastifyRequest, field: string): boolean {
  const cookie = read(request, CSRF_COOKIE);
  if (!CSRF_SHAPE.test(cookie) || field.length !== cookie.length) return false;
  return timingSafeEqual(Buffer.from(cookie), Buffer.from(field.replace(/[^\w-]/g, '.')));
}

function read(request: FastifyRequest, name: string): string {
  const header = request.headers.cookie;
  return header === undefined ? '' : (fastifyCookie.parse(header)[name] ?? '');
}

function sessionAttributes(ctx: ServerContext, request: FastifyRequest) {
  const { cookieDomain } = ctx.settings;
  return { ...attributes(ctx, request), ...(cookieDomain === '' ? {} : { domain: cookieDomain }) };
}

function attributes(ctx: ServerContext, request: FastifyRequest) {
  return {
    path: ctx.settings.webPath,
    httpOnly: true,
    sameSite: 'lax' as const,
    secure: request.link.scheme === 'https',
  };
}

/** Set-Cookie may stand several times; `header()` would replace the one before. */
function append(reply: FastifyReply, cookie: string): void {
  const before = reply.getHeader('set-cookie');
  const list = before === undefined ? [] : Array.isArray(before) ? before : [String(before)];
  void reply.header('set-cookie', [...list, cookie]);
}
