/** Everything a configuration says, immutable, swapped as a whole (design/models.md 7). */
import { isDeepStrictEqual } from 'node:util';
import type { OutpostInstance, ProxyOutpostConfig } from '../../contract/api.ts';
import type { Upstream } from '../proxy/target.ts';
import { HostTable } from '../../rules/hosts.ts';
import { buildSite, surroundingsOf } from '../sites/site.ts';
import type { Site, SiteSurroundings } from '../sites/site.ts';

export interface OutpostState {
  readonly outpost: OutpostInstance;
  readonly sites: ReadonlyMap<number, Site>;
  readonly hosts: HostTable<Site>;
  readonly upstreams: ReadonlySet<Upstream>;
  /** longest life of a session of any site, seconds */
  readonly longestValidity: number;
}

/** Part of the configuration that could not be used. */
export interface ConfigurationProblem {
  provider: number;
  name: string;
  text: string;
}

/**
 * Builds the state a configuration describes. Sites whose configuration did not change are taken over, with all they
 * have prepared.
 */
export function buildState(
  around: SiteSurroundings,
  providers: readonly ProxyOutpostConfig[],
  previous: OutpostState | undefined,
): { state: OutpostState; problems: ConfigurationProblem[] } {
  const sites = new Map<number, Site>();
  const problems: ConfigurationProblem[] = [];
  const surroundings = surroundingsOf(around);
  for (const provider of providers) {
    const known = previous?.sites.get(provider.pk);
    if (known?.surroundings === surroundings && isSame(known.provider, provider)) {
      sites.set(provider.pk, known);
      continue;
    }
    const built = buildSite(provider, around);
    if (built.site !== undefined) sites.set(provider.pk, built.site);
    problems.push(...built.problems.map((text) => ({ provider: provider.pk, name: provider.name, text })));
  }
  const all = [...sites.values()];
  const { table, problems: clashes } = HostTable.build(all);
  problems.push(...clashes.map(({ site, text }) => ({ provider: site.pk, name: site.provider.name, text })));
  const upstreams = new Set(all.map((site) => site.upstream).filter((u) => u !== undefined));
  const longestValidity = all.reduce((longest, site) => Math.max(longest, site.validity), 0);
  return { state: { outpost: around.outpost, sites, hosts: table, upstreams, longestValidity }, problems };
}

/** Mostly the very object: only what changed comes anew, and there may be thousands. */
const isSame = (a: ProxyOutpostConfig, b: ProxyOutpostConfig) => a === b || isDeepStrictEqual(a, b);
