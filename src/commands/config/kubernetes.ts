/** Names of Kubernetes. */
import { isIP } from 'node:net';
import type { Address } from './values.ts';

export interface Service {
  name: string;
  namespace: string;
  port: number;
}

/**
 * The Service an address of the form `name.namespace[.svc…]` belongs to.
 * @param fallback name when the address is no such one: the person who reads the file puts theirs
 */
export function serviceOf({ host, port }: Address, fallback: string): Service {
  const [name = '', namespace] = host.split('.');
  const isName =
    !host.startsWith('[') && isIP(host) === 0 && host !== 'localhost' && /^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(name);
  if (!isName) return { name: fallback, namespace: 'default', port };
  return { name, namespace: namespace ?? 'default', port };
}

/** The same Service as an address for other programs in the cluster. */
export const clusterOrigin = (scheme: Address['scheme'], { name, namespace, port }: Service): string =>
  `${scheme}://${name}.${namespace}.svc.cluster.local:${port}`;
