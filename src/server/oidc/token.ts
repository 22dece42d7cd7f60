/** `/application/o/token/` (spec/server.md 5.5). Every error is HTTP 400 with `{error, error_description}`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EXTENSION_HEADER } from '../../contract/extension.ts';
import { checkAccess } from '../access/check-access.ts';
import { checkSignIn } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import { endCredential } from '../directory/credentials.ts';
import { userByUid } from '../directory/users.ts';
import { modelRef, writeAudit } from '../events/audit.ts';
import { readCursor } from '../events/identity-log.ts';
import { formOf } from '../flows/forms.ts';
import { askAgainLater } from '../proxy-provider/incomplete.ts';
import { tokenExtension } from '../proxy-provider/person-headers.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import { findArtefact } from './artefacts.ts';
import type { Client } from './clients.ts';
import { clientById, presentedCredentials } from './clients.ts';
import { allowOrigin } from './cors.ts';
import type { EngineAnswer, OidcEngine } from './engine.ts';
import { baseOf, issuerOf } from './issuer.ts';
import { MACHINE_GRANTS, sendMachineToken } from './machine-token.ts';
import { noStore, sendTokenError } from './token-answers.ts';
import { issueTokens } from './tokens.ts';
import { WrongCredentials } from './wrong-credentials.ts';

export function tokenRoutes(ctx: ServerContext, scope: FastifyInstance, engine: OidcEngine): void {
  const path = '/application/o/token/';
  const wrong = new WrongCredentials();

  scope.options(path, async (request, reply) => {
    allowOrigin(request, reply, undefined);
    return reply.code(204).send();
  });

  scope.post(path, async (request, reply) => {
    const form = formOf(request);
    const presented = presentedCredentials(request.headers.authorization, form);
    const client = presented && (await clientById(ctx.db, presented.clientId));
    if (presented === undefined || client === undefined)
      return sendTokenError(reply, 'invalid_client', 'client authentication failed');
    allowOrigin(request, reply, client.provider);
    if (MACHINE_GRANTS.has(form.text('grant_type')))
      return sendMachineToken(ctx, wrong, request, reply, { client, presented, form });
    // Before the claims are read: what happens after this is later than the token (docs/architecture.md, decision 2)
    const cursor = await readCursor(ctx.db);
    const scopes = await scopeNames(ctx.db, client.provider.id);
    const issuer = issuerOf(baseOf(ctx, request), client.application.slug);
    const exchange = { ctx, client, live: undefined, loginUrl: '', replayed: false };
    const answer = await engine.run(issuer, scopes, exchange, {
      method: 'POST',
      path: '/token',
      parameters: form.parameters,
      authorization: request.headers.authorization,
    });
    if (exchange.replayed) await reportReplay(ctx, request, client);
    if (answer.status !== 200) return sendEngineError(reply, answer);
    const source = answer.entities.RefreshToken ?? answer.entities.AuthorizationCode;
    const user = source?.accountId === undefined ? undefined : await userByUid(ctx.db, source.accountId);
    if (source === undefined || user === undefined)
      return sendTokenError(reply, 'invalid_grant', 'the grant is not usable');
    const extension = request.headers[EXTENSION_HEADER.toLowerCase()] !== undefined;
    // An outpost that does not know applications of a domain lets whoever has a token onto every host of it
    const access = extension
      ? await checkSignIn(ctx.db, user, client.provider, client.application)
      : await checkAccess(ctx.db, user, client.application);
    if (!access.passing) return sendTokenError(reply, 'invalid_grant', 'access to the application is denied');

    const granted = (answer.entities.AccessToken?.scope ?? '').split(' ').filter((s) => s !== '');
    const tokens = await issueTokens(ctx, {
      ...client,
      user,
      issuer,
      scopes: granted,
      purpose: 'login',
      extension,
      sid: source.sessionUid ?? '',
      authTime: (source.authTime ?? 0) * 1000,
      amr: source.amr ?? [],
      nonce: source.nonce,
      grantId: source.grantId,
    });
    // Whoever presented the same code meanwhile revoked the grant, perhaps before our token was there to be found
    if (source.grantId !== undefined && (await findArtefact(ctx, 'Grant', source.grantId)) === undefined) {
      const { grantId } = source;
      await ctx.change((tx) => endCredential(tx, grantId));
      return sendTokenError(reply, 'invalid_grant', 'the grant was revoked');
    }
    if (extension) await askAgainLater(ctx, user, tokens.evaluated);
    const { refresh_token } = JSON.parse(answer.body) as { refresh_token?: string };
    return noStore(reply).send({
      access_token: tokens.accessToken,
      token_type: 'Bearer',
      scope: granted.join(' '),
      expires_in: tokens.expiresIn,
      id_token: tokens.idToken,
      ...(refresh_token === undefined ? {} : { refresh_token }),
      ...(extension
        ? { gatehouse: await tokenExtension(ctx.db, client.provider, user, tokens.evaluated, cursor) }
        : {}),
    });
  });
}

function sendEngineError(reply: FastifyReply, answer: EngineAnswer): FastifyReply {
  if (answer.status >= 500)
    return noStore(reply).code(500).send({ error: 'server_error', error_description: 'the server failed; try again' });
  const { error = 'invalid_request', error_description = '' } = JSON.parse(answer.body) as Record<string, string>;
  return sendTokenError(reply, error, error_description);
}

/** Somebody used a code or refresh token a second time: its tokens are revoked, and the administrator should know. */
async function reportReplay(ctx: ServerContext, request: FastifyRequest, { provider }: Client): Promise<void> {
  const context = {
    message: 'A code or refresh token was used a second time. What came of it is revoked.',
    provider: modelRef('proxyprovider', provider.id, provider.name),
  };
  const actor = { user: undefined, clientIp: request.link.clientIp };
  await writeAudit(ctx.db, 'suspicious_request', { app: 'gatehouse.oidc', actor, context }, Date.now());
}
