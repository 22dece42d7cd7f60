/** Where a login may lead back to (spec/security.md E, spec/outpost.md 9.4). */
import { CALLBACK_SIGNATURE, LOGOUT_SIGNATURE, outpostPath } from '../../contract/paths.ts';
import { isBelow } from '../../rules/cookie-domain.ts';
import type { Site } from '../sites/site.ts';

/** No request head is longer. What a login can take along is decided where it begins. */
const MAX_LENGTH = 65_536;
// control characters, DEL and backslash: browsers drop or bend them before they read the rest
const FORBIDDEN = /[\u0000-\u001f\u007f\\]/;

/**
 * Reads `rd` from the raw query of `start`. Published configurations put the address there unescaped, so that
 * everything behind its first `&` would be lost: such a value is taken to the end of the query.
 * @returns the address as meant, not checked yet; undefined = none
 */
export function readReturnAddress(rawQuery: string): string | undefined {
  if (rawQuery.startsWith('rd=')) {
    const raw = rawQuery.slice(3);
    if (isUnescaped(raw)) return raw;
  }
  const value = new URLSearchParams(rawQuery).get('rd');
  return value === null || value === '' ? undefined : value;
}

/**
 * Whether the address stands there as it is. ingress-nginx escapes what follows the authority, so the authority tells
 * nothing; a path whose `?` or `&` is escaped was escaped as a whole.
 */
function isUnescaped(raw: string): boolean {
  const rest = raw.replace(/^https?:\/\/[^/?#&%]*/i, '');
  if (rest === '') return raw !== '';
  if (rest.startsWith('?')) return true;
  return rest.startsWith('/') && (/[?&]/.test(rest) || !/%(?:3f|26)/i.test(rest));
}

/**
 * Accepts an address of this site only: same scheme, host and port as the external host, and none of the outpost's
 * own endpoints. At domain level any host of the domain, on the port of the external host or the usual one; https also
 * where the external host is http.
 * @param here Host header of the request: at domain level a path without host is one of the host that was asked
 * @returns the address as browsers read it, or `undefined`
 */
export function checkReturnAddress(site: Site, address: string | undefined, here = ''): string | undefined {
  if (address === undefined || address.length > MAX_LENGTH || FORBIDDEN.test(address)) return undefined;
  if (address.startsWith('//')) return undefined;
  if (!address.startsWith('/') && !/^https?:\/\//i.test(address)) return undefined;
  const url = URL.parse(address, baseAt(site, here));
  if (url === null || !isInside(site, url) || url.username !== '' || url.password !== '') return undefined;
  const below = url.pathname.startsWith(`${site.external.basePath}/`)
    ? url.pathname.slice(site.external.basePath.length)
    : url.pathname;
  if (outpostPath(url.pathname) !== undefined || outpostPath(below) !== undefined) return undefined;
  if (url.searchParams.has(CALLBACK_SIGNATURE) || url.searchParams.has(LOGOUT_SIGNATURE)) return undefined;
  return url.href;
}

function isInside({ mode, external, cookieScope: { domain } }: Site, url: URL): boolean {
  if (url.origin === external.origin) return true;
  if (mode !== 'forward_domain' || domain === undefined) return false;
  const upgraded = external.scheme === 'http' && url.protocol === 'https:';
  if (url.protocol !== `${external.scheme}:` && !upgraded) return false;
  if (url.port !== '' && url.port !== URL.parse(external.origin)?.port) return false;
  return isBelow(url.hostname.replace(/\.$/, ''), domain);
}

/** What a path alone is relative to. The scheme is never the request's: published configurations do not tell it. */
function baseAt({ mode, external, cookieScope: { domain } }: Site, here: string): string {
  if (mode !== 'forward_domain' || domain === undefined || here === '') return external.origin;
  const url = URL.parse(`${external.scheme}://${here}`);
  return url !== null && isBelow(url.hostname, domain) ? url.origin : external.origin;
}
