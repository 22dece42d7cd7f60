/** `/application/o/introspect/` (RFC 7662, spec/server.md 5.9) and `/application/o/revoke/` (RFC 7009). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';
import { formOf } from '../flows/forms.ts';
import { deleteArtefact, findArtefact } from './artefacts.ts';
import type { Client } from './clients.ts';
import { authenticatedClient, presentedCredentials } from './clients.ts';
import { ACCESS_TOKEN, liveAccessToken, verifyIssued } from './tokens.ts';
import { sendTokenError } from './token.ts';

export function introspectionRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  scope.post('/application/o/introspect/', async (request, reply) => {
    void reply.header('cache-control', 'no-store');
    const client = await callingClient(ctx, request);
    // Only the client's own tokens: another client learns nothing, not even that the token exists (CVE-2024-47077)
    const live = client && (await liveAccessToken(ctx, formOf(request).text('token'), client));
    if (client === undefined || live === undefined) return reply.send({ active: false });
    return reply.send({
      ...live.claims,
      active: true,
      scope: live.scopes.join(' '),
      client_id: client.provider.client_id,
    });
  });

  scope.post('/application/o/revoke/', async (request, reply) => {
    const client = await callingClient(ctx, request);
    if (client === undefined) return sendTokenError(reply, 'invalid_client', 'client authentication failed');
    await revoke(ctx, client, formOf(request).text('token'));
    // Also for a token that is none (RFC 7009 2.2): there is nothing left to revoke
    return reply.header('cache-control', 'no-store').send();
  });
}

async function callingClient(ctx: ServerContext, request: FastifyRequest): Promise<Client | undefined> {
  return authenticatedClient(ctx, presentedCredentials(request.headers.authorization, formOf(request)));
}

async function revoke(ctx: ServerContext, client: Client, token: string): Promise<void> {
  const uid = (await verifyIssued(ctx, token, client, { expired: 'accepted' }))?.['uid'];
  if (typeof uid === 'string') return deleteArtefact(ctx.db, ACCESS_TOKEN, uid);
  const refresh = token === '' ? undefined : await findArtefact(ctx, 'RefreshToken', token);
  if (refresh?.payload['clientId'] === client.provider.client_id) await deleteArtefact(ctx.db, 'RefreshToken', token);
}
