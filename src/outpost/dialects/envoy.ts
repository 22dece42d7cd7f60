/**
 * Envoy, ext_authz over HTTP: `<prefix>/auth/envoy` with path and query of the original request behind it, its method
 * and its Host (spec/outpost.md 20.4). Behind the prefix everything is the visitor's: `/auth/envoy/../start` is a path
 * nobody may open, and never another endpoint of ours.
 */
import type { NormalisedRequest } from '../listen/request.ts';
import type { RelayingProxy } from './relayed.ts';

export const ENVOY_PATH = '/auth/envoy';

/** Envoy takes out of the request what this header of a permission names. */
const REMOVE_AUTHORIZATION: readonly string[] = ['X-Envoy-Auth-Headers-To-Remove', 'authorization'];
const NONE: readonly string[] = [];

export const envoy: RelayingProxy = {
  name: 'Envoy',
  hint: 'Set path_prefix of the http_service to the address of this endpoint.',
  hidesAccept: true,
  target({ query, rawTarget }: NormalisedRequest, rest: string) {
    const path = rest.slice(ENVOY_PATH.length) || '/';
    return rawTarget.includes('?') ? `${path}?${query}` : path;
  },
  method: ({ method }: NormalisedRequest) => method,
  scheme: (request, external) => (tellsScheme(request) ? request.scheme : external.scheme),
  permitHeaders: (_request, consumed) => (consumed ? REMOVE_AUTHORIZATION : NONE),
};

/** The published configuration hands on cookies only. */
function tellsScheme({ scheme, trusted, rawHeaders }: NormalisedRequest): boolean {
  if (scheme === 'https') return true;
  return trusted && rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'x-forwarded-proto');
}

/**
 * Envoy keeps the Host of the visitor. What else names a host comes from the visitor then.
 * @returns the request as it is, where nothing else does
 */
export function withOwnHost(request: NormalisedRequest): NormalisedRequest {
  return request.host === request.hostHeader ? request : { ...request, host: request.hostHeader };
}
