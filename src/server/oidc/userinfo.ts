/** `/application/o/userinfo/` (spec/server.md 5.8). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';
import { userByUid } from '../directory/users.ts';
import { formOf, queryOf } from '../flows/forms.ts';
import { evaluateScopes } from '../proxy-provider/evaluate-scopes.ts';
import { askerOf } from './asker.ts';
import { allowOrigin } from './cors.ts';
import { liveAccessToken } from './tokens.ts';

export function userinfoRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  const path = '/application/o/userinfo/';

  scope.options(path, async (request, reply) => {
    allowOrigin(request, reply, undefined);
    return reply.code(204).send();
  });

  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const token = presentedToken(request);
    if (token === '') return refuse(reply, 400, 'invalid_request', 'The request carries no access token');
    const live = await liveAccessToken(ctx, token);
    if (live === undefined)
      return refuse(reply, 401, 'invalid_token', 'The access token is expired, revoked or not ours');
    allowOrigin(request, reply, live.client.provider);
    if (!live.scopes.includes('openid'))
      return refuse(reply, 403, 'insufficient_scope', 'The token lacks the scope openid');
    const user = await userByUid(ctx.db, String(live.claims.sub));
    if (user === undefined || user.is_active === 0) return refuse(reply, 401, 'invalid_token', 'The account is gone');
    const { sid } = live.claims;
    const { claims } = await evaluateScopes(ctx, {
      ...live.client,
      user,
      scopes: live.scopes,
      attributes: live.attributes,
      asker: () => askerOf(ctx, typeof sid === 'string' ? sid : '', live.clientIp),
    });
    const { nonce } = live.claims;
    return reply
      .header('cache-control', 'no-store')
      .send({ ...claims, sub: user.uid, ...(nonce === undefined ? {} : { nonce }) });
  };

  scope.get(path, handler);
  scope.post(path, handler);
}

/** From the header, the form, or the query, as published. */
function presentedToken(request: FastifyRequest): string {
  const { authorization } = request.headers;
  if (authorization !== undefined) return /^bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1] ?? '';
  return formOf(request).text('access_token') || queryOf(request).text('access_token');
}

function refuse(reply: FastifyReply, status: number, error: string, description: string): FastifyReply {
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .header('www-authenticate', `Bearer error="${error}", error_description="${description}"`)
    .send();
}
