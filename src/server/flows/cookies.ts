/** Our cookies: the session of the server, the token that ties a form to its browser, and who signed in here before. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';
import { LOGIN } from './paths.ts';

export const SESSION_COOKIE = 'authentik_session';
export const CSRF_COOKIE = 'authentik_csrf';
export const CSRF_FIELD = 'csrf';
/** Everything in front of applications takes cookies of this prefix out, should one share our host (spec/security.md H). */
const KNOWN_BROWSER_COOKIE = 'authentik_proxy_known';

const CSRF_SHAPE = /^[\w-]{43}$/;

/** Makes this scope read and write cookies, unless an outer one does already. */
export async function acceptCookies(scope: FastifyInstance): Promise<void> {
  if (!scope.hasRequestDecorator('cookies')) await scope.register(fastifyCookie);
}

/** @returns the session key the browser presents, or empty. The first of several equal names wins, as in browsers. */
export function sessionKey(request: FastifyRequest): string {
  return read(request, SESSION_COOKIE);
}

/** Hands the browser a session key. It lasts until the browser closes; the server's own limits end it earlier. */
export function setSessionCookie(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply, key: string): void {
  void reply.setCookie(SESSION_COOKIE, key, sessionAttributes(ctx, request));
}

export function clearSessionCookie(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply): void {
  void reply.setCookie(SESSION_COOKIE, '', { ...sessionAttributes(ctx, request), maxAge: 0 });
}

/** @returns the sealed text of `known-browser.ts`, or empty */
export function knownBrowserCookie(request: FastifyRequest): string {
  return read(request, KNOWN_BROWSER_COOKIE);
}

/** Sent to the login page only. @param seconds how long the browser keeps it */
export function setKnownBrowserCookie(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  value: string,
  seconds: number,
): void {
  const path = ctx.settings.webPath + LOGIN;
  void reply.setCookie(KNOWN_BROWSER_COOKIE, value, { ...attributes(ctx, request), path, maxAge: seconds });
}

/** Tokens made for an answer under way: all forms of one page carry the same. */
const fresh = new WeakMap<FastifyRequest, string>();

/**
 * The token for the forms of a page. One browser keeps one token, so that several tabs do not undo each other.
 * @returns the token to put into the hidden field {@link CSRF_FIELD}
 */
export function formToken(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply): string {
  const known = fresh.get(request) ?? read(request, CSRF_COOKIE);
  if (CSRF_SHAPE.test(known)) return known;
  const token = randomBytes(32).toString('base64url');
  fresh.set(request, token);
  // Readable by scripts of this origin, as published: they send it back in a header of their REST calls
  void reply.setCookie(CSRF_COOKIE, token, { ...attributes(ctx, request), httpOnly: false });
  return token;
}

/** @returns whether this browser keeps our cookies at all */
export function hasFormToken(request: FastifyRequest): boolean {
  return CSRF_SHAPE.test(read(request, CSRF_COOKIE));
}

/** @returns whether the field of a form carries the token of this browser */
export function formTokenMatches(request: FastifyRequest, field: string): boolean {
  const cookie = read(request, CSRF_COOKIE);
  if (!CSRF_SHAPE.test(cookie) || field.length !== cookie.length) return false;
  return timingSafeEqual(Buffer.from(cookie), Buffer.from(field.replace(/[^\w-]/g, '.')));
}

function read(request: FastifyRequest, name: string): string {
  return request.cookies[name] ?? '';
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
