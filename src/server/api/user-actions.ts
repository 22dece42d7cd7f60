/** Actions beside `/core/users/`: passwords and service accounts (spec/server.md 10.1). */
import { randomBytes } from 'node:crypto';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { createGroup } from '../directory/groups.ts';
import { hashPassword } from '../directory/passwords.ts';
import { createToken } from '../directory/tokens.ts';
import { createUser, setPassword, userById } from '../directory/users.ts';
import { actor, caller } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byPk, moment, readPk } from './fields.ts';
import { noContent, operation } from './operation.ts';
import { writable } from './validation.ts';

const SERVICE_ACCOUNT_PATH = 'goauthentik.io/service-accounts';
const TOKEN_EXPIRES_ATTRIBUTE = 'goauthentik.io/user/token-expires';
/** Published default life of a service account's password. */
const PASSWORD_LIFE_MS = 360 * 86_400_000;

/** Long enough for any pass phrase; a bound, since hashing takes the whole text. */
const password = z.string().min(1).max(4096);

const serviceAccountBody = writable(
  {
    name: z.string().trim().min(1).max(150),
    create_group: z.boolean().optional(),
    expiring: z.boolean().optional(),
    expires: moment.optional(),
  },
  [],
).full;

const ServiceAccount = z.strictObject({
  username: z.string(),
  token: z.string(),
  user_uid: z.string(),
  user_pk: z.int(),
  group_pk: z.string().optional(),
});

export const userActionRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/core/users/:pk/set_password/',
      {
        schema: {
          params: byPk,
          body: writable({ password }, []).full,
          ...operation('core_users_set_password_create', 'Set the password of a person', { 204: noContent }),
        },
      },
      async (request, reply) => {
        const pk = readPk(request.params.pk);
        if (!(await userById(ctx.db, pk))) throw notFound();
        const hash = await hashPassword(request.body.password);
        // the caller's own browser stays signed in when people change their own password
        const { sid, user } = caller(request);
        const keep = user.id === pk && sid !== undefined ? { keepSid: sid } : {};
        await ctx.change((tx) => setPassword(tx, pk, hash, keep), actor(request));
        return reply.code(204).send();
      },
    );

    app.post(
      '/core/users/service_account/',
      {
        schema: {
          body: serviceAccountBody,
          ...operation('core_users_service_account_create', 'Create a service account with a password', {
            200: ServiceAccount,
          }),
        },
      },
      async (request) => {
        const { name, create_group = false, expiring = true, expires } = request.body;
        const until = expires === undefined ? Date.now() + PASSWORD_LIFE_MS : Date.parse(expires);
        return ctx.change(async (tx) => {
          const user = await createUser(tx, {
            username: name,
            name,
            type: 'service_account',
            path: SERVICE_ACCOUNT_PATH,
            attributes: { [TOKEN_EXPIRES_ATTRIBUTE]: expiring },
          });
          const group = create_group ? await createGroup(tx, { name, users: [user.id] }) : undefined;
          const { key } = await createToken(tx, {
            identifier: `service-account-${user.id}-password-${randomBytes(3).toString('hex')}`,
            intent: 'app_password',
            user: user.id,
            expires: until,
            expiring,
          });
          return {
            username: user.username,
            token: key,
            user_uid: user.uid,
            user_pk: user.id,
            ...(group && { group_pk: group.uuid }),
          };
        }, actor(request));
      },
    );
  };
