/** What is new in a configuration: workers are told this, not thousands of providers each time. */
import { isDeepStrictEqual } from 'node:util';
import type { ProxyOutpostConfig } from '../../contract/api.ts';
import type { Certificates } from '../../outpost/listen/certificates.ts';
import type { Configuration } from './rest.ts';

export interface ConfigurationChange {
  /** new ones, and those that are other than before */
  providers: ProxyOutpostConfig[];
  /** pks */
  removed: number[];
  /** new ones, and those that are other than before; those nobody names any more are forgotten */
  certificates: Certificates;
}

/** What of a configuration changes often or is much. */
type Parts = Pick<Configuration, 'providers' | 'certificates'>;

/**
 * @param after has the very objects of `before` where nothing changed
 * @returns undefined when all is as it was
 */
export function differenceOf(before: Configuration, after: Configuration): ConfigurationChange | undefined {
  const known = new Set(before.providers);
  const served = new Set(after.providers.map(({ pk }) => pk));
  const providers = after.providers.filter((provider) => !known.has(provider));
  const removed = before.providers.map(({ pk }) => pk).filter((pk) => !served.has(pk));
  const pairs = Object.entries(after.certificates);
  const certificates = Object.fromEntries(pairs.filter(([uuid, pair]) => before.certificates[uuid] !== pair));
  const nothing = providers.length + removed.length + Object.keys(certificates).length === 0;
  if (nothing && isDeepStrictEqual(before.outpost, after.outpost)) return undefined;
  return { providers, removed, certificates };
}

/** @returns the parts as they are now; what did not change are the very objects from before */
export function applyChange(before: Parts, change: ConfigurationChange): Parts {
  const gone = new Set([...change.removed, ...change.providers.map(({ pk }) => pk)]);
  const providers = [...before.providers.filter(({ pk }) => !gone.has(pk)), ...change.providers];
  return { providers, certificates: namedBy(providers, { ...before.certificates, ...change.certificates }) };
}

/** Those of the certificates that some provider names. */
export function namedBy(providers: readonly ProxyOutpostConfig[], certificates: Certificates): Certificates {
  const named = new Set(providers.map(({ certificate }) => certificate));
  return Object.fromEntries(Object.entries(certificates).filter(([uuid]) => named.has(uuid)));
}
