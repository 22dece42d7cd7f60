/** The published event about a reverse proxy that does not say what was asked for (spec/outpost.md 16.6). */
import { tellingValue } from '../../contract/misconfiguration.ts';
import type { Exchange } from '../exchange.ts';
import type { Site } from '../sites/site.ts';

/** Headers more than this are cut: a stranger may send thousands. */
const MAX_HEADERS = 100;
const MAX_VALUE = 1000;

/** @param proxy who asks, and what it should be told to do */
export function reportMisconfiguration(
  { request, services }: Exchange,
  site: Site,
  proxy: { readonly name: string; readonly hint: string },
): void {
  const outpost = services.state?.outpost.name ?? '';
  const { rawHeaders, peer, trusted } = request;
  const headers: Record<string, unknown> = {};
  for (let i = 0; i < rawHeaders.length && i < 2 * MAX_HEADERS; i += 2) {
    const name = rawHeaders[i] as string;
    headers[name] ??= tellingValue(name, (rawHeaders[i + 1] as string).slice(0, MAX_VALUE));
  }
  services.onProblem({
    code: 'no-original-address',
    message: `Outpost ${outpost} (Provider ${site.provider.name}) failed to detect a forward URL from ${proxy.name}`,
    provider: site.pk,
    clientIp: request.clientAddress,
    context: {
      provider: site.provider.name,
      outpost,
      hint: trusted ? proxy.hint : `What ${peer} says does not count: it is in none of the trusted networks.`,
      url: `${request.scheme}://${request.host}${request.rawPath}`,
      headers,
    },
  });
}
