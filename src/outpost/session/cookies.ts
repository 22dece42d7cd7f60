/** Cookie header and Set-Cookie text (RFC 6265, spec/outpost.md 10.1). */
import { createHash } from 'node:crypto';

/** Every cookie of every outpost starts so; applications never see them. */
export const COOKIE_PREFIX = 'authentik_proxy_';

/** Published name: the prefix and the first 8 hex digits of SHA-256 of the client id. */
export function cookieName(clientId: string): string {
  return COOKIE_PREFIX + createHash('sha256').update(clientId).digest('hex').slice(0, 8);
}

/** Where a cookie is valid; the same text must be used to delete it. */
export interface CookieScope {
  readonly domain: string | undefined;
  readonly secure: boolean;
}

/** @param maxAge seconds */
export function setCookie(name: string, value: string, maxAge: number, scope: CookieScope): string {
  const expires = new Date(maxAge > 0 ? Date.now() + maxAge * 1000 : 1000).toUTCString();
  return (
    `${name}=${value}; Path=/${scope.domain === undefined ? '' : `; Domain=${scope.domain}`}` +
    `; Expires=${expires}; Max-Age=${Math.max(0, Math.trunc(maxAge))}; HttpOnly${scope.secure ? '; Secure' : ''}; SameSite=Lax`
  );
}

export function deleteCookie(name: string, scope: CookieScope): string {
  return setCookie(name, '', 0, scope);
}

/**
 * Finds one cookie without parsing the others.
 * @param from position to search from
 * @returns its value and where the search may go on, or `undefined`
 */
export function findCookie(header: string, name: string, from = 0): { value: string; next: number } | undefined {
  for (let at = header.indexOf(name, from); at >= 0; at = header.indexOf(name, at + name.length)) {
    const before = at === 0 ? ';' : header[at - 1];
    if ((before !== ' ' && before !== ';' && before !== '\t') || header[at + name.length] !== '=') continue;
    const start = at + name.length + 1;
    const semicolon = header.indexOf(';', start);
    const end = semicolon < 0 ? header.length : semicolon;
    return { value: header.slice(start, end).trim(), next: end };
  }
  return undefined;
}

/** Names of the cookies that start with a prefix. */
export function cookieNames(header: string | undefined, prefix: string): string[] {
  if (header === undefined || !header.includes(prefix)) return [];
  const names = header.split(';').map((pair) => pair.slice(0, Math.max(0, pair.indexOf('='))).trim());
  return [...new Set(names.filter((name) => name.startsWith(prefix)))];
}
