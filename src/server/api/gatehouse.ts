/** What only our own outposts ask (contract/extension.ts). An official server answers these addresses with 404. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { EXTENSION_VERSION, REFRESH_PATH, SIGN_OUT_PATH } from '../../contract/extension.ts';
import { GATEHOUSE_VERSION } from '../../contract/version.ts';
import type { ServerContext } from '../context.ts';
import { baseForOutpost } from '../oidc/issuer.ts';
import { refreshSession } from '../outposts/session-refresh.ts';
import { signOut } from '../outposts/sign-out.ts';
import { actor, callingOutpost } from './authenticate.ts';
import { intPk } from './fields.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

/** Names a session at an outpost: `sid` is the hash, which opens nothing. */
const named = { provider: intPk, sid: z.string().max(128), uid: z.string().min(1).max(128) };
const session = writable(named, []).full;
const refreshed = writable({ ...named, token: z.string().max(16_384).optional() }, []).full;

const Capabilities = z.strictObject({ extension: z.string(), version: z.string() });

const RefreshAnswer = z.discriminatedUnion('result', [
  z.strictObject({
    result: z.literal('token'),
    access_token: z.string(),
    gatehouse: z.strictObject({
      cursor: z.strictObject({ epoch: z.string(), n: z.int() }),
      headers: z.array(z.tuple([z.string(), z.string()])),
      rule_groups: z.array(z.string()).optional(),
      applications: z.array(z.string()).optional(),
      credentials: z.array(z.string()).optional(),
    }),
  }),
  z.strictObject({ result: z.literal('ended') }),
  z.strictObject({ result: z.literal('denied'), reason: z.string() }),
]);

export const gatehouseRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/gatehouse/capabilities/',
      {
        config: { access: ['outpost', 'superuser'] },
        schema: operation('gatehouse_capabilities_retrieve', 'Does this server speak the extension?', {
          200: Capabilities,
        }),
      },
      async () => ({ extension: EXTENSION_VERSION, version: GATEHOUSE_VERSION }),
    );

    app.post(
      `/${REFRESH_PATH}`,
      {
        config: { access: ['outpost'] },
        schema: {
          body: refreshed,
          ...operation('gatehouse_session_refresh_create', 'Fresh claims for a session that an event made stale', {
            200: RefreshAnswer,
          }),
        },
      },
      async (request) =>
        refreshSession(ctx, callingOutpost(request), defined(request.body), baseForOutpost(ctx, request)),
    );

    app.post(
      `/${SIGN_OUT_PATH}`,
      {
        config: { access: ['outpost'] },
        schema: {
          body: session,
          ...operation('gatehouse_sign_out_create', 'A sign-out made at the outpost', { 204: noContent }),
        },
      },
      async (request, reply) => {
        await signOut(ctx, callingOutpost(request), request.body, actor(request).clientIp);
        return reply.code(204).send();
      },
    );
  };
