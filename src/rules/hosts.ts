/** Host -> site (design/architecture.md, section 1). */
import type { ProviderMode } from '../contract/api.ts';
import { cookieDomain } from './cookie-domain.ts';
import { readExternalHost } from './external-host.ts';
import type { ExternalHost } from './external-host.ts';

/** Longest name of a host (RFC 1035 2.3.4); what is longer is nobody's, and must not cost a look-up per label. */
const MAX_NAME = 253;

/** What decides which hosts a site has. */
export interface Hosted {
  readonly pk: number;
  readonly mode: ProviderMode;
  readonly provider: { readonly name: string };
  readonly external: Pick<ExternalHost, 'host' | 'hostname'>;
  readonly cookieScope: { readonly domain: string | undefined };
}

/** @returns what decides which hosts a provider has; undefined when it cannot be served */
export function hostedOf(
  pk: number,
  name: string,
  mode: ProviderMode,
  externalHost: string,
  configuredDomain: string,
): Hosted | undefined {
  const external = readExternalHost(externalHost);
  if (external === undefined) return undefined;
  const { domain } = cookieDomain(configuredDomain, external.hostname);
  return { pk, mode, provider: { name }, external, cookieScope: { domain } };
}

/** A sentence about a site that cannot be reached because of another. */
type Clash<S> = { site: S; text: string };

export class HostTable<S extends Hosted> {
  readonly #exact = new Map<string, S>();
  readonly #byName = new Map<string, S>();
  /** cookie domain -> domain-level site */
  readonly #byDomain = new Map<string, S>();

  /**
   * @param sites in any order. Of two for one host the one for a single application counts, else the one made first
   *   (smaller pk); of two for one domain the one made first
   * @returns a sentence per site that cannot be reached because of another
   */
  static build<T extends Hosted>(sites: readonly T[]): { table: HostTable<T>; problems: Clash<T>[] } {
    const table = new HostTable<T>();
    const problems: Clash<T>[] = [];
    const domainLast = (site: T) => Number(site.mode === 'forward_domain');
    for (const site of sites.toSorted((a, b) => domainLast(a) - domainLast(b) || a.pk - b.pk)) {
      problems.push(...table.#addHost(site), ...table.#addDomain(site));
    }
    return { table, problems };
  }

  #addHost(site: S): Clash<S>[] {
    const { host, hostname } = site.external;
    const other = this.#exact.get(host);
    if (other !== undefined) {
      const text = `External host ${host} already belongs to provider "${other.provider.name}", which is served.`;
      return [{ site, text }];
    }
    this.#exact.set(host, site);
    const named = this.#byName.get(hostname);
    // without a port in the request, the site on the default port is meant
    if (named === undefined || (host === hostname && named.external.host !== hostname)) {
      this.#byName.set(hostname, site);
    }
    return [];
  }

  #addDomain(site: S): Clash<S>[] {
    const { domain } = site.cookieScope;
    if (site.mode !== 'forward_domain' || domain === undefined) return [];
    const other = this.#byDomain.get(domain);
    if (other !== undefined) {
      const text = `The hosts below ${domain} already belong to provider "${other.provider.name}", which is served.`;
      return [{ site, text }];
    }
    this.#byDomain.set(domain, site);
    return [];
  }

  /**
   * @param host authority of the request, lower case
   * @param scheme decides which port is the default one
   * @returns the site of exactly this host, else the domain-level site of the longest domain above it
   */
  find(host: string, scheme: 'http' | 'https'): S | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    const colon = host.endsWith(']') ? -1 : host.lastIndexOf(':');
    const name = (colon < 0 ? host : host.slice(0, colon)).replace(/\.$/, '');
    return this.#named(name, colon < 0 ? '' : host.slice(colon + 1), scheme) ?? this.#above(name);
  }

  #named(name: string, port: string, scheme: 'http' | 'https'): S | undefined {
    if (port === '' || port === (scheme === 'https' ? '443' : '80')) {
      return this.#exact.get(name) ?? this.#byName.get(name);
    }
    // the same with the dot of the root left out
    const rooted = this.#exact.get(`${name}:${port}`);
    if (rooted !== undefined) return rooted;
    // Another port of a known name: a reverse proxy that passes its own port. A proxy-mode site takes every request of
    // its host, so it must not swallow a different service on the same name.
    const site = this.#byName.get(name);
    return site?.mode === 'proxy' ? undefined : site;
  }

  /** Whole labels only: `evilexample.test` is not below `example.test`. */
  #above(name: string): S | undefined {
    if (this.#byDomain.size === 0 || name.length > MAX_NAME) return undefined;
    for (let domain = name; domain !== '';) {
      const site = this.#byDomain.get(domain);
      if (site !== undefined) return site;
      const dot = domain.indexOf('.');
      domain = dot < 0 ? '' : domain.slice(dot + 1);
    }
    return undefined;
  }
}
