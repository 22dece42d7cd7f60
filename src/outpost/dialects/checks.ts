/** Which reverse proxy asks, by the endpoint it asks at (spec/outpost.md 3.1 and 22). */
import type { Generation } from '../../contract/paths.ts';
import { caddy } from './caddy.ts';
import { envoy, ENVOY_PATH } from './envoy.ts';
import type { AddressRule } from './nginx.ts';
import type { RelayingProxy } from './relayed.ts';
import { traefik } from './traefik.ts';

export type Check =
  { readonly by: 'nginx'; readonly rule: AddressRule } | { readonly by: 'relaying'; readonly proxy: RelayingProxy };

const NGINX: Check = { by: 'nginx', rule: 'required' };
const NGINX_WITH_METHOD: Check = { by: 'nginx', rule: 'with-method' };
const OLDER_NGINX: Check = { by: 'nginx', rule: 'optional' };
const BARE_NGINX: Check = { by: 'nginx', rule: 'none' };
const TRAEFIK: Check = { by: 'relaying', proxy: traefik };
const CADDY: Check = { by: 'relaying', proxy: caddy };
export const ENVOY: Check = { by: 'relaying', proxy: envoy };

/**
 * @param rest path below the prefix
 * @returns `undefined` for addresses nobody is asked at
 */
export function checkOf(generation: Generation, rest: string, query: string): Check | undefined {
  switch (rest) {
    case '/auth/nginx':
      return generation === 'akprox' ? OLDER_NGINX : NGINX;
    case '/auth/nginx/with-method':
      return NGINX_WITH_METHOD;
    case '/auth/traefik':
      return TRAEFIK;
    case '/auth/caddy':
      return CADDY;
    case '/auth':
      if (generation !== 'akprox') return undefined;
      return namesTraefik(query) ? TRAEFIK : BARE_NGINX;
  }
  const envoys = rest.startsWith(ENVOY_PATH) && (rest.length === ENVOY_PATH.length || rest[ENVOY_PATH.length] === '/');
  return envoys ? ENVOY : undefined;
}

/** `?traefik`; the published texts of nginx ask with no query, or with `?nginx`. */
function namesTraefik(query: string): boolean {
  if (query === '' || query === 'nginx') return false;
  return query === 'traefik' || new URLSearchParams(query).has('traefik');
}
