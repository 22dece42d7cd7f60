/** Host -> site (design/architecture.md, section 1). */
import type { Site } from './site.ts';

export class HostTable {
  readonly #exact = new Map<string, Site>();
  readonly #byName = new Map<string, Site>();

  /**
   * @param sites in any order: of two for one host, the one made first (smaller pk) counts
   * @returns a sentence per site that cannot be reached because of another
   */
  static build(sites: readonly Site[]): { table: HostTable; problems: { site: Site; text: string }[] } {
    const table = new HostTable();
    const problems: { site: Site; text: string }[] = [];
    for (const site of sites.toSorted((a, b) => a.pk - b.pk)) {
      const { host, hostname } = site.external;
      const other = table.#exact.get(host);
      if (other !== undefined) {
        const text = `External host ${host} already belongs to provider "${other.provider.name}", which is served.`;
        problems.push({ site, text });
        continue;
      }
      table.#exact.set(host, site);
      const named = table.#byName.get(hostname);
      // without a port in the request, the site on the default port is meant
      if (named === undefined || (host === hostname && named.external.host !== hostname)) {
        table.#byName.set(hostname, site);
      }
    }
    return { table, problems };
  }

  /**
   * @param host authority of the request, lower case
   * @param scheme decides which port is the default one
   */
  find(host: string, scheme: 'http' | 'https'): Site | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    const colon = host.endsWith(']') ? -1 : host.lastIndexOf(':');
    const name = (colon < 0 ? host : host.slice(0, colon)).replace(/\.$/, '');
    const port = colon < 0 ? '' : host.slice(colon + 1);
    if (port === '' || port === (scheme === 'https' ? '443' : '80')) {
      return this.#exact.get(name) ?? this.#byName.get(name);
    }
    const rooted = name.length < colon ? this.#exact.get(`${name}:${port}`) : undefined;
    if (rooted !== undefined) return rooted;
    // Another port of a known name: a reverse proxy that passes its own port. A proxy-mode site takes every request of
    // its host, so it must not swallow a different service on the same name.
    const site = this.#byName.get(name);
    return site?.mode === 'proxy' ? undefined : site;
  }
}
