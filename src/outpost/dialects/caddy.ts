/** Caddy, forward_auth directive: `<prefix>/auth/caddy` (spec/outpost.md 20.3). */
import { forwardedUri } from './forwarded-uri.ts';
import type { RelayingProxy } from './relayed.ts';

export const caddy: RelayingProxy = {
  name: 'Caddy',
  hint: 'The directive forward_auth of Caddy sets X-Forwarded-Uri by itself: use it as it is, without a header_up that removes the header.',
  ...forwardedUri,
};
