/** Which web pages may call the token and userinfo endpoints (spec/server.md 5.5). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { acceptedRedirectUris } from '../proxy-provider/redirect-uris.ts';
import type { ProviderRow } from '../storage/rows.ts';

/**
 * Allows the page's origin when it is that of one of the client's redirect URIs.
 * @param provider absent on a preflight, which names no client: the answer itself decides
 */
export function allowOrigin(request: FastifyRequest, reply: FastifyReply, provider: ProviderRow | undefined): void {
  const { origin } = request.headers;
  void reply.header('vary', 'Origin');
  if (origin === undefined) return;
  const known =
    provider === undefined ||
    acceptedRedirectUris(provider.external_host).some((uri) => new URL(uri).origin === origin);
  if (!known) return;
  void reply
    .header('access-control-allow-origin', origin)
    .header('access-control-allow-credentials', 'true')
    .header('access-control-allow-headers', 'Authorization, Content-Type')
    .header('access-control-allow-methods', 'GET, POST, OPTIONS');
}
