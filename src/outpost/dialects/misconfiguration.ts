/** The published event about a reverse proxy that does not say what was asked for (spec/outpost.md 16.6). */
import { tellingValue } from '../../contract/misconfiguration.ts';
import type { Decision } from '../decide.ts';
import type { Exchange } from '../exchange.ts';
import { REASONS } from '../reasons.ts';
import type { Site } from '../sites/site.ts';

/** Headers more than this are cut: a stranger may send thousands. */
const MAX_HEADERS = 100;
const MAX_VALUE = 1000;
/** RFC 1035 2.3.4, and a port */
const MAX_NAME = 260;

/** Who asks, and what it should be told to do. */
interface ReverseProxy {
  readonly name: string;
  readonly hint: string;
}

/** Tells of a question that could not be judged because of how it was asked; of no other. */
export function reportMisconfiguration(
  exchange: Exchange,
  site: Site,
  proxy: ReverseProxy,
  { verdict, reason }: Decision,
): void {
  if (verdict !== 'error' || (reason !== 'no-original-address' && reason !== 'original-address-invalid')) return;
  const { provider, pk } = site;
  const outpost = outpostName(exchange);
  exchange.services.onProblem({
    code: reason,
    message: `Outpost ${outpost} (Provider ${provider.name}) failed to detect a forward URL from ${proxy.name}`,
    provider: pk,
    clientIp: exchange.request.clientAddress,
    context: { provider: provider.name, reason: REASONS[reason], ...described(exchange, proxy.hint) },
  });
}

/** Tells of a question about a host of no application: mostly the reverse proxy is not trusted, or says no host. */
export function reportUnknownHost(exchange: Exchange, proxy: string): void {
  const { host, clientAddress } = exchange.request;
  const hint = 'Let it say the host people typed, and compare that with the external hosts of the providers.';
  exchange.services.onProblem({
    code: 'unknown-host',
    message: `Outpost ${outpostName(exchange)} was asked by ${proxy} about "${host.slice(0, MAX_NAME)}", the host of no application`,
    clientIp: clientAddress,
    context: { reason: REASONS['unknown-host'], ...described(exchange, hint) },
  });
}

const outpostName = ({ services }: Exchange) => services.state?.outpost.name ?? '';

function described(exchange: Exchange, hint: string): Record<string, unknown> {
  const { rawHeaders, peer, trusted, scheme, host, rawPath } = exchange.request;
  const headers: Record<string, unknown> = {};
  for (let i = 0; i < rawHeaders.length && i < 2 * MAX_HEADERS; i += 2) {
    const name = rawHeaders[i] as string;
    headers[name] ??= tellingValue(name, (rawHeaders[i + 1] as string).slice(0, MAX_VALUE));
  }
  return {
    outpost: outpostName(exchange),
    hint: trusted ? hint : `What ${peer} says does not count: it is in none of the trusted networks.`,
    url: `${scheme}://${host}${rawPath}`.slice(0, MAX_VALUE),
    headers,
  };
}
