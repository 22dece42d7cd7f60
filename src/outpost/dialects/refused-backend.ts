/** A token that leads a person where the provider lets nobody be led (spec/security.md K). */
import { readBackend } from '../../rules/backend-hosts.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { sendProblem } from '../pages.ts';
import { REASONS } from '../reasons.ts';
import type { LiveSession } from '../session/live.ts';
import type { Site } from '../sites/site.ts';

const MAX_SHOWN = 200;

/** Answers 502 and tells an administrator; the application's own backend is no way out, it may be somebody else's. */
export function refuseBackend(exchange: Exchange, site: Site, live: LiveSession | undefined): void {
  const { backend_override: override = '', host_header: host = '' } = live?.session.claims.ak_proxy ?? {};
  // no path: it may be made of anything
  const backend = readBackend(override)?.host ?? (override === '' ? '' : 'an address that cannot be used');
  exchange.services.onProblem({
    code: 'backend-refused',
    message: `A token for ${site.provider.name} names a backend that the provider does not allow.`,
    provider: site.pk,
    clientIp: exchange.request.clientAddress,
    context: {
      provider: site.provider.name,
      outpost: exchange.services.state?.outpost.name ?? '',
      reason: REASONS['backend-refused'],
      hint: 'Add the host to "backend_hosts" of the provider, or correct the scope mapping that names it.',
      person: live?.user ?? '',
      backend: backend.slice(0, MAX_SHOWN),
      host_header: host.slice(0, MAX_SHOWN),
    },
  });
  sendProblem(exchange, 'backend-refused', { site });
  report(exchange, 'backend-refused', site, live?.user);
}
