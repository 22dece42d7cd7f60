/** The identity server as oauth4webapi wants it, and how it is called. */
import * as oauth from 'oauth4webapi';
import { EXTENSION_HEADER, EXTENSION_VERSION } from '../../contract/extension.ts';
import { OUTPOST_USER_AGENT } from '../../contract/version.ts';
import type { BackChannel } from '../back-channel.ts';
import type { Site } from '../sites/site.ts';
import { usesSharedSecret } from './verify-token.ts';

const TIMEOUT_MS = 10_000;

/** Metadata of the identity server (RFC 8414). */
export function serverOf(site: Site): oauth.AuthorizationServer {
  return {
    issuer: site.endpoints.issuer,
    token_endpoint: site.endpoints.token,
    introspection_endpoint: site.endpoints.introspection,
    id_token_signing_alg_values_supported: [usesSharedSecret(site) ? 'HS256' : 'RS256'],
  };
}

export const clientOf = (site: Site): oauth.Client => ({ client_id: site.provider.client_id });

/**
 * Options of one call; our own server adds the member `gatehouse` to its answer.
 * @param headers more of them
 */
export function callOptions(site: Site, backChannel: BackChannel, headers: Readonly<Record<string, string>> = {}) {
  return {
    // the way to the server may be a private socket or a cluster's inner network
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: (url: string, init: unknown) => backChannel.fetch(url, init as RequestInit),
    headers: {
      'user-agent': userAgent(site),
      [EXTENSION_HEADER]: EXTENSION_VERSION,
      ...site.endpoints.meant,
      ...headers,
    },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  };
}

/** Product tokens may not hold every character a provider's name may (spec/outpost.md 9.6). */
const userAgent = (site: Site) => `${OUTPOST_USER_AGENT} (provider=${site.provider.name.replace(/[^\w .-]/g, '')})`;
