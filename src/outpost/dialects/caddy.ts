/** Caddy, forward_auth directive: `<prefix>/auth/caddy` (spec/outpost.md 20.3). */
import { forwardedUri } from './forwarded-uri.ts';
import type { RelayingProxy } from './relayed.ts';

export const caddy: RelayingProxy = {
  name: 'Caddy',
  hint: 'Use the directive forward_auth, which sets X-Forwarded-Uri by itself, and set no header_up that removes it.',
  ...forwardedUri,
};
