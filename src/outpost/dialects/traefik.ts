/** Traefik, forwardAuth middleware: `<prefix>/auth/traefik`, and the older `/akprox/auth?traefik` (spec/outpost.md 20.2). */
import type { NormalisedRequest } from '../listen/request.ts';
import { withoutOwnCookies } from '../proxy/request-headers.ts';
import { forwardedUri } from './forwarded-uri.ts';
import type { RelayingProxy } from './relayed.ts';

/**
 * Ours: `<prefix>/auth/traefik?strip-cookies`. Traefik cannot take single cookies out of a request, but puts headers of
 * this answer in place of the visitor's. So a configuration that asks for it, and lists `Cookie` in
 * authResponseHeaders, keeps the login's cookies from the application (security rule H).
 */
const STRIP_COOKIES = 'strip-cookies';

const NONE: readonly string[] = [];

export const traefik: RelayingProxy = {
  name: 'Traefik',
  hint: 'The forwardAuth middleware of Traefik sets X-Forwarded-Uri by itself: let it call this address, with nothing in between that removes the header.',
  ...forwardedUri,
  permitHeaders({ query, headers }: NormalisedRequest) {
    if (query !== STRIP_COOKIES || headers.cookie === undefined) return NONE;
    const kept = withoutOwnCookies(headers.cookie);
    // without the header Traefik removes the visitor's whole
    return kept === '' ? NONE : ['Cookie', kept];
  },
};
