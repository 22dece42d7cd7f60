/** May the cookie of a login be shared by this domain? (spec/security.md H, RFC 6265 5.3) */
import { getPublicSuffix } from 'tldts';
import { isBelow } from '../../rules/cookie-domain.ts';

/** @param configured `cookie_domain` as given, perhaps with a dot in front */
export const plainDomain = (configured: string): string =>
  configured.trim().toLowerCase().replace(/^\./, '').replace(/\.$/, '');

/**
 * Checks the cookie domain of a domain-level provider.
 * @param hostname of its external host, lower case
 * @returns a sentence, or `undefined` when browsers keep such a cookie
 */
export function cookieDomainProblem(configured: string, hostname: string): string | undefined {
  const domain = plainDomain(configured);
  if (domain === '') return 'Give the domain whose hosts share the login, such as example.com.';
  if (!/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/.test(domain) || domain.includes('..')) {
    return 'Give a domain such as example.com, other scripts as punycode (xn--…).';
  }
  if (/^[0-9.]+$/.test(domain)) return 'An IP address has no hosts below it. Give a domain such as example.com.';
  if (!isBelow(hostname, domain)) return `Give ${hostname} or a domain above it.`;
  // the list holds what anybody may register names under: co.uk, github.io; single labels are on it too
  if (getPublicSuffix(domain, { allowPrivateDomains: true }) === domain) {
    return `Browsers share no cookies below ${domain}: anybody may have a host there. Give one part more.`;
  }
  return undefined;
}
