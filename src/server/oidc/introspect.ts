/** `/application/o/introspect/` (RFC 7662, spec/server.md 5.9) and `/application/o/revoke/` (RFC 7009). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { JWTPayload } from 'jose';
import { EXTENSION_HEADER } from '../../contract/extension.ts';
import type { IntrospectionExtension, RefusalExtension } from '../../contract/extension.ts';
import { checkAccess } from '../access/check-access.ts';
import { checkSignIn } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import { endCredential } from '../directory/credentials.ts';
import { readCursor } from '../events/identity-log.ts';
import { formOf } from '../flows/forms.ts';
import { evaluateScopes } from '../proxy-provider/evaluate-scopes.ts';
import type { EvaluatedScopes } from '../proxy-provider/evaluate-scopes.ts';
import { tokenExtension } from '../proxy-provider/person-headers.ts';
import { acceptedAccessToken, handlesOf, madeFrom, mayBeMadeFrom } from './accepted.ts';
import type { AcceptedToken } from './accepted.ts';
import { deleteArtefact, findArtefact } from './artefacts.ts';
import { askerOf } from './asker.ts';
import type { Client } from './clients.ts';
import { authenticatedClient, presentedCredentials } from './clients.ts';
import { baseOf, issuerOf } from './issuer.ts';
import { sendTokenError } from './token-answers.ts';
import { ACCESS_TOKEN, issueTokens, verifyIssued } from './tokens.ts';

export function introspectionRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  scope.post('/application/o/introspect/', async (request, reply) => {
    void reply.header('cache-control', 'no-store');
    const client = await callingClient(ctx, request);
    if (client === undefined) return reply.send({ active: false });
    const cursor = await readCursor(ctx.db); // before the claims it vouches for
    // Own tokens and those of trusted providers only: of others a client does not even learn that they exist (CVE-2024-47077)
    const accept = () => acceptedAccessToken(ctx, formOf(request).text('token'), client);
    const accepted = await accept();
    if (accepted === undefined) return reply.send({ active: false });
    const extension = request.headers[EXTENSION_HEADER.toLowerCase()] !== undefined;
    if (extension && !mayBeMadeFrom(accepted)) return reply.send({ active: false });
    const { user, scopes } = accepted;
    // As where codes are redeemed: who knows no applications of a domain lets whoever has a token onto every host of it
    const access = extension
      ? await checkSignIn(ctx.db, user, client.provider, client.application)
      : await checkAccess(ctx.db, user, client.application);
    if (!access.passing) {
      const refusal: RefusalExtension = { denied: access.reasons[0] ?? 'denied' };
      return reply.send({ active: false, ...(extension ? { gatehouse: refusal } : {}) });
    }
    // As they are now and at this application: another one's entitlements mean nothing here
    const evaluated = await evaluateScopes(ctx, {
      ...client,
      user,
      scopes,
      attributes: extension ? 'none' : accepted.attributes,
      asker: () => askerOf(ctx, accepted.sid, accepted.clientIp),
    });
    const gatehouse = extension ? await extensionOf(ctx, request, client, accepted, evaluated, cursor) : undefined;
    // Whoever ended it meanwhile did not find the token made of it; that one nobody gets
    if (extension && (await accept()) === undefined) return reply.send({ active: false });
    return reply.send({
      ...evaluated.claims,
      ...protocolClaims(accepted.claims),
      active: true,
      scope: scopes.join(' '),
      client_id: client.provider.client_id,
      ...(gatehouse === undefined ? {} : { gatehouse }),
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

const PROTOCOL_CLAIMS = ['iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'acr', 'amr', 'nonce', 'sid', 'azp', 'uid'];

/** What the token itself says, not the mappings. */
function protocolClaims(claims: JWTPayload): JWTPayload {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => PROTOCOL_CLAIMS.includes(name)));
}

/** For our outposts: a token of their own provider, whose claims they keep as the session. */
async function extensionOf(
  ctx: ServerContext,
  request: FastifyRequest,
  client: Client,
  accepted: AcceptedToken,
  evaluated: EvaluatedScopes,
  cursor: Awaited<ReturnType<typeof readCursor>>,
): Promise<IntrospectionExtension> {
  const { accessToken, uid } = await issueTokens(ctx, {
    ...client,
    ...madeFrom(accepted),
    user: accepted.user,
    issuer: issuerOf(baseOf(ctx, request), client.application.slug),
    scopes: accepted.scopes,
    extension: true,
    evaluated,
  });
  return {
    ...(await tokenExtension(ctx.db, client.provider, accepted.user, evaluated, cursor)),
    credentials: [...handlesOf(accepted), uid],
    access_token: accessToken,
  };
}

async function callingClient(ctx: ServerContext, request: FastifyRequest): Promise<Client | undefined> {
  return authenticatedClient(ctx, presentedCredentials(request.headers.authorization, formOf(request)));
}

async function revoke(ctx: ServerContext, client: Client, token: string): Promise<void> {
  const uid = (await verifyIssued(ctx, token, client, { expired: 'accepted' }))?.['uid'];
  if (typeof uid === 'string') {
    if ((await findArtefact(ctx, ACCESS_TOKEN, uid)) === undefined) return; // over already
    return ctx.change(async (tx) => {
      await deleteArtefact(tx.db, ACCESS_TOKEN, uid);
      await endCredential(tx, uid);
    });
  }
  const refresh = token === '' ? undefined : await findArtefact(ctx, 'RefreshToken', token);
  if (refresh?.payload['clientId'] !== client.provider.client_id) return;
  const { grantId } = refresh;
  return ctx.change(async (tx) => {
    await deleteArtefact(tx.db, 'RefreshToken', token);
    // With its authorization, and with the access tokens that came of it (RFC 7009 2.1)
    if (grantId !== null) await endCredential(tx, grantId);
  });
}
