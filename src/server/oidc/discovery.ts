/** Discovery and keys of one application (spec/server.md 5.2, 5.3). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';
import { redirect, sendError } from '../flows/answers.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import { clientBySlug } from './clients.ts';
import { baseOf, issuerOf } from './issuer.ts';
import { ACR } from './session-payload.ts';
import { jwks } from './tokens.ts';

export interface SlugParams {
  slug: string;
}

const CLAIMS = [
  'sub',
  'iss',
  'aud',
  'exp',
  'iat',
  'auth_time',
  'acr',
  'amr',
  'nonce',
  'sid',
  'email',
  'email_verified',
  'name',
  'given_name',
  'preferred_username',
  'nickname',
  'groups',
  'entitlements',
  'roles',
];

export function discoveryRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  const slugOf = (request: FastifyRequest) => (request.params as SlugParams).slug;
  const below = '/application/o/:slug';

  scope.get(`${below}/`, async (request, reply) => {
    const client = await clientBySlug(ctx.db, slugOf(request));
    if (client === undefined) return sendError(ctx, request, reply, 'not-found', { status: 404 });
    const issuer = issuerOf(baseOf(ctx, request), client.application.slug);
    return redirect(reply, `${issuer}.well-known/openid-configuration`);
  });

  scope.get(`${below}/.well-known/openid-configuration`, async (request, reply) => {
    const client = await clientBySlug(ctx.db, slugOf(request));
    if (client === undefined) return sendError(ctx, request, reply, 'not-found', { status: 404 });
    const base = baseOf(ctx, request);
    const issuer = issuerOf(base, client.application.slug);
    const common = `${base}/application/o`;
    return reply.header('access-control-allow-origin', '*').send({
      issuer,
      authorization_endpoint: `${common}/authorize/`,
      token_endpoint: `${common}/token/`,
      userinfo_endpoint: `${common}/userinfo/`,
      end_session_endpoint: `${issuer}end-session/`,
      introspection_endpoint: `${common}/introspect/`,
      revocation_endpoint: `${common}/revoke/`,
      jwks_uri: `${issuer}jwks/`,
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'fragment', 'form_post'],
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials', 'password'],
      id_token_signing_alg_values_supported: ['RS256'],
      subject_types_supported: ['public'],
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      acr_values_supported: [ACR],
      scopes_supported: await scopeNames(ctx.db, client.provider.id),
      claims_supported: CLAIMS,
      claims_parameter_supported: false,
      request_parameter_supported: false,
    });
  });

  scope.get(`${below}/jwks/`, async (request, reply) => {
    const client = await clientBySlug(ctx.db, slugOf(request));
    if (client === undefined) return sendError(ctx, request, reply, 'not-found', { status: 404 });
    return reply
      .header('access-control-allow-origin', '*')
      .header('cache-control', 'public, max-age=60')
      .send(await jwks(ctx));
  });
}
