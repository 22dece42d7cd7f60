/** Traefik, forwardAuth middleware: `<prefix>/auth/traefik`, and the older `/akprox/auth?traefik` (spec/outpost.md 20.2). */
import { forwardedUri } from './forwarded-uri.ts';
import type { RelayingProxy } from './relayed.ts';

export const traefik: RelayingProxy = {
  name: 'Traefik',
  hint: 'In the forwardAuth middleware, set "trustForwardHeader: true", and let only Traefik call this address.',
  ...forwardedUri,
};
