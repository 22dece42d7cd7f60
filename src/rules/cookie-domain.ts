/** May a cookie be set for this domain? (spec/security.md H) */

/**
 * Registries with a second level of their own, e.g. `co.uk`: enough to explain. Our server looks into the whole list
 * when a provider is saved, and browsers hold it too.
 */
const SECOND_LEVEL = /^(?:ac|co|com|edu|gob|gov|gouv|go|mil|ne|net|nom|or|org|sch)\.[a-z]{2}$/;

/**
 * @param configured `cookie_domain` of the provider, may start with a dot
 * @param host lower-case host name of the external host
 * @returns the domain for the cookie; `undefined` = a cookie of this host only, with the reason if one was asked for
 */
export function cookieDomain(configured: string, host: string): { domain: string | undefined; problem?: string } {
  const domain = configured.trim().toLowerCase().replace(/^\./, '').replace(/\.$/, '');
  if (domain === '') return { domain: undefined };
  const problem = (why: string) => ({ domain: undefined, problem: `Cookie domain "${configured}": ${why}` });
  if (!/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/.test(domain) || domain.includes('..')) return problem('not a domain.');
  if (/^[0-9.]+$/.test(domain)) return problem('an address cannot be shared by hosts.');
  if (!isBelow(host, domain)) return problem('the external host is not below it.');
  if (!domain.includes('.') || SECOND_LEVEL.test(domain)) {
    return problem('browsers refuse cookies for domains that belong to everybody.');
  }
  return { domain };
}

/** Whether a host is the domain or below it; whole labels only. Both lower case, without dot at the end. */
export const isBelow = (host: string, domain: string) => host === domain || host.endsWith(`.${domain}`);
