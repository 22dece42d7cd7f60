/** `/core/tokens/` (spec/server.md 2.5 and 10). Superusers see all tokens, everybody else their own. */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { parseDuration } from '../../contract/durations.ts';
import type { Change, ServerContext } from '../context.ts';
import { mergedAttributes } from '../directory/attributes.ts';
import {
  createToken,
  DEFAULT_LIFE_MS,
  deleteToken,
  setTokenKey,
  tokenByIdentifier,
  updateToken,
  viewTokenKey,
} from '../directory/tokens.ts';
import { userById } from '../directory/users.ts';
import type { Db } from '../storage/database.ts';
import type { TokenRow } from '../storage/rows.ts';
import { isUniqueViolation } from '../storage/sqlite.ts';
import type { Principal } from './authenticate.ts';
import { actor, caller } from './authenticate.ts';
import { forbidden, invalid, notFound } from './errors.ts';
import { flag, intPk, moment } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { INTENTS, Token, tokens } from './objects/token.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const body = writable(
  {
    identifier: z
      .string()
      .min(1)
      .max(255)
      .regex(/^[-a-zA-Z0-9_]+$/, { error: 'Use letters, digits, underscores and hyphens only.' }),
    intent: z.enum(INTENTS).optional(),
    user: intPk.optional(),
    description: z.string().max(4000).optional(),
    expires: moment.nullable().optional(),
    expiring: z.boolean().optional(),
  },
  ['pk', 'managed', 'user_obj'],
);

const query = listQuery({
  identifier: z.string().optional(),
  intent: z.enum(INTENTS).optional(),
  user__username: z.string().optional(),
  description: z.string().optional(),
  expires: moment.optional(),
  expiring: flag.optional(),
  managed: z.string().optional(),
});

const byIdentifier = z.object({ identifier: z.string() });

const EXPIRES_ATTRIBUTE = 'goauthentik.io/user/token-expires';
const MAXIMUM_ATTRIBUTE = 'goauthentik.io/user/token-maximum-lifetime';

type Sent = z.output<typeof body.partial>;

export const tokenRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (row: TokenRow, { superuser }: Principal) => {
      const [object] = await tokens(ctx.db, [row], superuser);
      if (!object) throw notFound();
      return object;
    };

    /** The token, when the caller may see it. */
    const visible = async (db: Db, identifier: string, { superuser, user }: Principal) => {
      const row = await tokenByIdentifier(db, identifier);
      if (!row || (!superuser && row.user_id !== user.id)) throw notFound();
      return row;
    };

    /** The token, when the caller may change it. Asked inside the change: a moment ago it was perhaps another one. */
    const changeable = async (tx: Change, identifier: string, principal: Principal) => {
      const row = await visible(tx.db, identifier, principal);
      if (row.managed !== null && !principal.superuser) throw forbidden('Only administrators change this token.');
      return row;
    };

    /** Owner, expiry and intent by the published rules. */
    const ruled = async (db: Db, sent: Sent, before: TokenRow | undefined, principal: Principal) => {
      const { user: wanted, expires: sentExpires, ...rest } = sent;
      const intent = sent.intent ?? z.enum(INTENTS).parse(before?.intent ?? 'api');
      if (sent.intent !== undefined && intent !== 'api' && intent !== 'app_password' && intent !== before?.intent) {
        throw invalid('intent', `Invalid intent ${intent}: only api and app_password tokens can be made here.`);
      }
      const ownerId = principal.superuser ? (wanted ?? before?.user_id ?? principal.user.id) : principal.user.id;
      const owner = await userById(db, ownerId);
      if (!owner) throw invalid('user', `Invalid pk "${ownerId}" - object does not exist.`);
      if (before && ownerId !== before.user_id) throw invalid('user', 'A token cannot change hands: make a new one.');
      const attributes = await mergedAttributes(db, owner);
      const expiring = principal.superuser
        ? (sent.expiring ?? (before ? before.expiring === 1 : true))
        : attributes[EXPIRES_ATTRIBUTE] !== false;
      const expires = expiryOf({ intent, sent: sentExpires, before, attributes });
      return { ...defined(rest), ...(before ? {} : { user: owner.id }), intent, expiring, expires };
    };

    const change = async (request: FastifyRequest, identifier: string, sent: Sent) => {
      const row = await ctx.change(async (tx) => {
        const before = await changeable(tx, identifier, caller(request));
        return updateToken(tx, before.identifier, await ruled(tx.db, sent, before, caller(request)));
      }, actor(request));
      return answer(row, caller(request));
    };

    app.get(
      '/core/tokens/',
      {
        config: { access: ['person'] },
        schema: { querystring: query, ...operation('core_tokens_list', 'List tokens', { 200: pageOf(Token) }) },
      },
      async (request) => {
        const q = request.query;
        const { superuser, user } = caller(request);
        let rows = ctx.db.selectFrom('token').selectAll('token');
        if (!superuser) rows = rows.where('user_id', '=', user.id);
        if (q.identifier !== undefined) rows = rows.where('identifier', '=', q.identifier);
        if (q.intent !== undefined) rows = rows.where('intent', '=', q.intent);
        if (q.user__username !== undefined) {
          const name = q.user__username;
          rows = rows.where('user_id', 'in', (eb) => eb.selectFrom('user').where('username', '=', name).select('id'));
        }
        if (q.description !== undefined) rows = rows.where('description', '=', q.description);
        if (q.expires !== undefined) rows = rows.where('expires', '=', Date.parse(q.expires));
        if (q.expiring !== undefined) rows = rows.where('expiring', '=', q.expiring ? 1 : 0);
        if (q.managed !== undefined) rows = rows.where('managed', '=', q.managed);
        if (q.search) rows = rows.where(search(['identifier', 'intent', 'description'], q.search));
        const columns = {
          identifier: 'identifier',
          expires: 'expires',
          expiring: 'expiring',
          intent: 'intent',
        } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['identifier', 'asc']])) {
          rows = rows.orderBy(column, way);
        }
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => tokens(ctx.db, page, superuser));
      },
    );

    app.post(
      '/core/tokens/',
      {
        config: { access: ['person'] },
        schema: { body: body.full, ...operation('core_tokens_create', 'Create a token', { 201: Token }) },
      },
      async (request, reply) => {
        const { identifier } = request.body;
        const { token } = await ctx.change(async (tx) => {
          const input = await ruled(tx.db, request.body, undefined, caller(request));
          const owner = input.user ?? caller(request).user.id;
          return createToken(tx, { ...input, identifier, user: owner });
        }, actor(request));
        return reply.code(201).send(await answer(token, caller(request)));
      },
    );

    app.get(
      '/core/tokens/:identifier/',
      {
        config: { access: ['person'] },
        schema: { params: byIdentifier, ...operation('core_tokens_retrieve', 'One token', { 200: Token }) },
      },
      async (request) => {
        const principal = caller(request);
        return answer(await visible(ctx.db, request.params.identifier, principal), principal);
      },
    );

    app.put(
      '/core/tokens/:identifier/',
      {
        config: { access: ['person'] },
        schema: {
          params: byIdentifier,
          body: body.full,
          ...operation('core_tokens_update', 'Change a token', { 200: Token }),
        },
      },
      async (request) => change(request, request.params.identifier, request.body),
    );

    app.patch(
      '/core/tokens/:identifier/',
      {
        config: { access: ['person'] },
        schema: {
          params: byIdentifier,
          body: body.partial,
          ...operation('core_tokens_partial_update', 'Change a token in part', { 200: Token }),
        },
      },
      async (request) => change(request, request.params.identifier, request.body),
    );

    app.delete(
      '/core/tokens/:identifier/',
      {
        config: { access: ['person'] },
        schema: { params: byIdentifier, ...operation('core_tokens_destroy', 'Delete a token', { 204: noContent }) },
      },
      async (request, reply) => {
        await ctx.change(async (tx) => {
          const { identifier } = await changeable(tx, request.params.identifier, caller(request));
          await deleteToken(tx, identifier);
        }, actor(request));
        return reply.code(204).send();
      },
    );

    app.get(
      '/core/tokens/:identifier/view_key/',
      {
        config: { access: ['person'] },
        schema: {
          params: byIdentifier,
          ...operation('core_tokens_view_key_retrieve', 'Show the key; this is written to the audit log', {
            200: z.strictObject({ key: z.string() }),
          }),
        },
      },
      async (request) => {
        const key = await ctx.change(async (tx) => {
          const { identifier } = await visible(tx.db, request.params.identifier, caller(request));
          return viewTokenKey(tx, identifier);
        }, actor(request));
        return { key };
      },
    );

    app.post(
      '/core/tokens/:identifier/set_key/',
      {
        schema: {
          params: byIdentifier,
          body: writable({ key: z.string().min(32, { error: 'Use at least 32 characters.' }).max(255) }, []).full,
          ...operation('core_tokens_set_key_create', 'Set the key', { 204: noContent }),
        },
      },
      async (request, reply) => {
        try {
          await ctx.change(async (tx) => {
            const { identifier } = await changeable(tx, request.params.identifier, caller(request));
            await setTokenKey(tx, identifier, request.body.key);
          }, actor(request));
        } catch (error) {
          if (isUniqueViolation(error, 'token.key_hash')) throw invalid('key', 'Choose another key.');
          throw error;
        }
        return reply.code(204).send();
      },
    );
  };

interface ExpiryFacts {
  intent: string;
  sent: string | null | undefined;
  before: TokenRow | undefined;
  attributes: Readonly<Record<string, unknown>>;
}

/** When a token expires: API tokens after the default life, app passwords when asked, up to the person's maximum. */
function expiryOf({ intent, sent, before, attributes }: ExpiryFacts): number {
  const now = Date.now();
  // What a token of another intent was given says nothing: an app password may last for years, an API token may not
  const kept = before?.intent === intent ? before.expires : null;
  if (intent !== 'app_password') return kept ?? now + DEFAULT_LIFE_MS;
  const maximum = attributes[MAXIMUM_ATTRIBUTE];
  const life = typeof maximum === 'string' ? parseDuration(maximum) : undefined;
  if (typeof sent !== 'string') return kept ?? now + Math.min(DEFAULT_LIFE_MS, life ?? Infinity);
  const expires = Date.parse(sent);
  if (life !== undefined && expires > now + life) {
    throw invalid('expires', `Token expires exceeds maximum lifetime (${String(maximum)}).`);
  }
  return expires;
}
