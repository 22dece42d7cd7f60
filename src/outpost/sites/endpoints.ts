/** Which addresses of the identity server a browser uses, and which the outpost itself (spec/outpost.md 9.6). */
import { EMBEDDED_OUTPOST_MANAGED } from '../../contract/api.ts';
import type { OpenIDConnectConfiguration, OutpostInstance } from '../../contract/api.ts';

export interface Endpoints {
  readonly issuer: string;
  readonly authorize: string;
  readonly endSession: string;
  /** as applications are told in X-Authentik-Meta-Jwks */
  readonly jwks: string;
  /** fetched by the outpost */
  readonly jwksInternal: string;
  readonly token: string;
  readonly introspection: string;
  /**
   * Headers of calls whose answer names the server: it is reached by another address than the one browsers use, and has
   * to name that. Empty = both are the same.
   */
  readonly meant: Readonly<Record<string, string>>;
}

/**
 * Rewrites scheme and authority of what a browser meets; paths stay.
 * @param hostBrowser AUTHENTIK_HOST_BROWSER, for outposts that are not embedded; without it what the server says for it
 */
export function rewriteEndpoints(
  published: OpenIDConnectConfiguration,
  outpost: OutpostInstance,
  hostBrowser: string | undefined,
): Endpoints {
  const embedded = outpost.managed === EMBEDDED_OUTPOST_MANAGED;
  const { authentik_host, authentik_host_browser } = outpost.config;
  const base = URL.parse(embedded ? authentik_host : (hostBrowser ?? authentik_host_browser));
  const move = (address: string) => {
    const url = base === null ? null : URL.parse(address);
    return url === null || base === null ? address : base.origin + address.slice(originLength(address));
  };
  return {
    issuer: move(published.issuer),
    authorize: move(published.authorization_endpoint),
    endSession: move(published.end_session_endpoint),
    jwks: embedded ? move(published.jwks_uri) : published.jwks_uri,
    jwksInternal: published.jwks_uri,
    token: published.token_endpoint,
    introspection: published.introspection_endpoint,
    meant: embedded ? {} : meant(base, published.token_endpoint),
  };
}

function meant(base: URL | null, endpoint: string): Record<string, string> {
  if (base === null || base.origin === URL.parse(endpoint)?.origin) return {};
  return { host: base.host, 'x-forwarded-proto': base.protocol.slice(0, -1) };
}

/** Length of `scheme://authority`. The rest is kept byte for byte: an issuer is compared as text. */
function originLength(address: string): number {
  const start = address.indexOf('://') + 3;
  const end = address.slice(start).search(/[/?#]/);
  return end < 0 ? address.length : start + end;
}
