/**
 * Counts logins that just succeeded and yet left no session: a browser that drops the session cookie would otherwise
 * go round between application and login for ever.
 */
import { deleteCookie, findCookie, setCookie } from '../session/cookies.ts';
import type { Site } from '../sites/site.ts';

const WINDOW_S = 20;
const MAX_ROUNDS = 2;

const guardName = (site: Site) => `${site.cookie.name}_l`;

/** @returns Set-Cookie text that notes a finished login */
export function noteLogin(site: Site, cookies: string | undefined): string {
  return setCookie(guardName(site), String(rounds(site, cookies) + 1), WINDOW_S, site.cookieScope);
}

/** Whether a browser without readable session finished that many logins within the last seconds. */
export function isLooping(site: Site, cookies: string | undefined): boolean {
  return rounds(site, cookies) >= MAX_ROUNDS;
}

/** @returns Set-Cookie texts that forget it */
export function forgetLogins(site: Site, cookies: string | undefined): string[] {
  return rounds(site, cookies) > 0 ? [deleteCookie(guardName(site), site.cookieScope)] : [];
}

function rounds(site: Site, cookies: string | undefined): number {
  const value = cookies === undefined ? undefined : findCookie(cookies, guardName(site))?.value;
  return value !== undefined && /^\d{1,3}$/.test(value) ? Number(value) : 0;
}
