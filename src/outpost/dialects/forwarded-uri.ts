/** What Traefik and Caddy share: X-Forwarded-* beside a GET (spec/outpost.md 5.1, 20.2, 20.3). Counts from trusted peers only. */
import type { NormalisedRequest } from '../listen/request.ts';
import type { RelayingProxy } from './relayed.ts';

/** The host the site was found by is X-Forwarded-Host already (listen/normalise.ts). */
export const forwardedUri: Pick<RelayingProxy, 'target' | 'method' | 'scheme'> = {
  target: ({ headers }: NormalisedRequest) => headers.forwardedUri,
  method: ({ headers }: NormalisedRequest) => headers.forwardedMethod,
  scheme: ({ scheme }: NormalisedRequest) => scheme,
};
