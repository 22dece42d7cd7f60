/**
 * WebSockets behind reverse proxies that ask (spec/security.md J): as in proxy mode, only pages of the application may
 * open one with the login of their visitor.
 */
import { canonicalOrigin } from '../../rules/address.ts';
import { refuse } from '../decide.ts';
import type { Decision } from '../decide.ts';
import type { DecisiveHeaders, NormalisedRequest } from '../listen/request.ts';
import { originAllowed } from '../proxy/websocket-origin.ts';
import type { Site } from '../sites/site.ts';

/**
 * Whether some page opens a WebSocket by the request asked about. Upgrade belongs to one connection only, so most reverse
 * proxies do not hand it on with their question; Sec-WebSocket-Version belongs to every handshake (RFC 6455 4.1, RFC 8441
 * 5), and pages cannot set it. Without Origin the sender is no browser.
 */
export function pageOpensWebSocket({ origin, upgrade, webSocketVersion, fetchMode }: DecisiveHeaders): boolean {
  if (origin === undefined) return false;
  return webSocketVersion !== undefined || (upgrade !== undefined && upgrade !== '') || fetchMode === 'websocket';
}

/**
 * @param decision about a request with which a page opens a WebSocket; only one that lets a person in is looked at
 * @param scheme asked for, as far as the reverse proxy tells it
 * @param authority asked for
 * @returns the decision, or a refusal when a page of another origin opens the WebSocket
 */
export function fromOwnPage(
  decision: Decision,
  { mode, external, websocketOrigins }: Pick<Site, 'mode' | 'external' | 'websocketOrigins'>,
  { rawHeaders }: Pick<NormalisedRequest, 'rawHeaders'>,
  scheme: 'http' | 'https',
  authority: string,
): Decision {
  if (decision.verdict !== 'allow' || decision.live === undefined) return decision;
  // with TLS ending before the reverse proxy, pages are https though the proxy was asked by http
  const allowed = [...websocketOrigins, canonicalOrigin('https', authority)];
  if (mode === 'forward_single') allowed.push(external.origin);
  return originAllowed(rawHeaders, canonicalOrigin(scheme, authority), allowed) ? decision : refuse('websocket-origin');
}
