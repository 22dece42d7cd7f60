/**
 * Counts logins that just succeeded and yet left no session: a browser that drops the session cookie would otherwise
 * go round between application and login for ever.
 */
import type { Reason } from '../reasons.ts';
import { deleteCookie, findCookie, setCookie } from '../session/cookies.ts';
import type { Site } from '../sites/site.ts';

const WINDOW_S = 20;
const MAX_ROUNDS = 2;

const guardName = (site: Site) => `${site.cookie.name}_l`;

/** @returns Set-Cookie text that notes a login finished by a browser that came without a session */
export function noteLogin(site: Site, cookies: string | undefined): string {
  // never longer than the session: one that ran out is no dropped cookie
  const seconds = Math.min(WINDOW_S, Math.ceil(site.validity));
  return setCookie(guardName(site), String(rounds(site, cookies) + 1), seconds, site.cookieScope);
}

/**
 * Whether a browser without readable session finished that many logins within the last seconds.
 * @param reason why there is no session; an ended one is none that was dropped, and one that ran out only when it should
 *   have lived much longer
 */
export function isLooping(site: Site, reason: Reason, cookies: string | undefined): boolean {
  const tooSoon = reason === 'session-expired' && site.validity > 3 * WINDOW_S;
  const dropped = reason === 'no-session' || reason === 'session-unreadable' || tooSoon;
  return dropped && rounds(site, cookies) >= MAX_ROUNDS;
}

/** @returns Set-Cookie texts that forget it */
export function forgetLogins(site: Site, cookies: string | undefined): string[] {
  return rounds(site, cookies) > 0 ? [deleteCookie(guardName(site), site.cookieScope)] : [];
}

function rounds(site: Site, cookies: string | undefined): number {
  const value = cookies === undefined ? undefined : findCookie(cookies, guardName(site))?.value;
  return value !== undefined && /^\d{1,3}$/.test(value) ? Number(value) : 0;
}
