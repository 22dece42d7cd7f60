/**
 * `/providers/proxy/` (spec/server.md 3 and 10). The published key set is exact, so our own two settings live in a
 * resource below: `/providers/proxy/<pk>/gatehouse/`.
 */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { PROVIDER_MODES } from '../../contract/api.ts';
import type { ServerContext } from '../context.ts';
import { createProvider, deleteProvider, providerById, updateProvider } from '../proxy-provider/providers.ts';
import type { ProviderRow } from '../storage/rows.ts';
import { actor, caller } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byPk, emptyList, reference, flag, intPk, readPk, repeatable, uuid } from './fields.ts';
import { sameText, search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { proxyProviders, ProxyProvider } from './objects/provider.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const text = z.string().max(4000).optional();
const on = z.boolean().optional();

const body = writable(
  {
    name: z.string().trim().min(1).max(1000),
    authentication_flow: uuid.nullable().optional(),
    authorization_flow: uuid,
    invalidation_flow: uuid,
    property_mappings: z.array(uuid).optional(),
    internal_host: text,
    external_host: z.string().min(1).max(4000),
    internal_host_ssl_validation: on,
    certificate: reference.optional(),
    skip_path_regex: z.string().max(100_000).optional(),
    basic_auth_enabled: on,
    basic_auth_password_attribute: text,
    basic_auth_user_attribute: text,
    mode: z.enum(PROVIDER_MODES).optional(),
    intercept_header_auth: on,
    cookie_domain: text,
    jwt_federation_sources: emptyList.optional(),
    jwt_federation_providers: z.array(intPk).max(1000).optional(),
    access_token_validity: text,
    refresh_token_validity: text,
  },
  [
    'pk',
    'component',
    'assigned_application_slug',
    'assigned_application_name',
    'assigned_backchannel_application_slug',
    'assigned_backchannel_application_name',
    'verbose_name',
    'verbose_name_plural',
    'meta_model_name',
    'client_id',
    'redirect_uris',
    'outpost_set',
  ],
);

const exact = z.string().optional();

const query = listQuery({
  application__isnull: flag.optional(),
  name__iexact: exact,
  authorization_flow__slug__iexact: exact,
  property_mappings__iexact: repeatable(uuid),
  internal_host__iexact: exact,
  external_host__iexact: exact,
  internal_host_ssl_validation__iexact: flag.optional(),
  certificate__kp_uuid__iexact: exact,
  certificate__name__iexact: exact,
  skip_path_regex__iexact: exact,
  basic_auth_enabled__iexact: flag.optional(),
  basic_auth_password_attribute__iexact: exact,
  basic_auth_user_attribute__iexact: exact,
  mode__iexact: exact,
  cookie_domain__iexact: exact,
});

/** Text columns with a filter of their name. */
const EXACT = [
  'name',
  'internal_host',
  'external_host',
  'skip_path_regex',
  'basic_auth_password_attribute',
  'basic_auth_user_attribute',
  'mode',
  'cookie_domain',
] as const;

type Sent = z.output<typeof body.partial>;

/** What our services take: without the key that is only accepted empty. */
const input = <T extends Sent>(sent: T) => {
  const { jwt_federation_sources: _, ...rest } = sent;
  return defined(rest);
};

export const proxyProviderRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (row: ProviderRow | undefined) => {
      const [object] = row ? await proxyProviders(ctx.db, [row]) : [];
      if (!object) throw notFound();
      return object;
    };

    /** Ids an outpost may see: its own providers; undefined = all. */
    const seen = async (outpostUuid: string | undefined) => {
      if (outpostUuid === undefined) return undefined;
      const rows = await ctx.db
        .selectFrom('outpost_provider')
        .where('outpost_uuid', '=', outpostUuid)
        .select('provider_id')
        .execute();
      return rows.map((row) => row.provider_id);
    };

    app.get(
      '/providers/proxy/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: {
          querystring: query,
          ...operation('providers_proxy_list', 'List proxy providers', { 200: pageOf(ProxyProvider) }),
        },
      },
      async (request) => {
        const q = request.query;
        const { superuser, outpost } = caller(request);
        let rows = ctx.db.selectFrom('proxy_provider').selectAll('proxy_provider');
        const own = superuser ? undefined : await seen(outpost?.uuid ?? '');
        if (own) rows = rows.where('id', 'in', own);
        if (q.application__isnull !== undefined) {
          const assigned = ctx.db.selectFrom('application').where('provider_id', 'is not', null).select('provider_id');
          rows = rows.where('id', q.application__isnull ? 'not in' : 'in', assigned.$castTo<{ provider_id: number }>());
        }
        for (const column of EXACT) {
          const value = q[`${column}__iexact`];
          if (value !== undefined) rows = rows.where(sameText(column, value));
        }
        if (q.authorization_flow__slug__iexact !== undefined) {
          const slug = q.authorization_flow__slug__iexact;
          rows = rows.where('authorization_flow', 'in', (eb) =>
            eb.selectFrom('flow').where(sameText('slug', slug)).select('uuid'),
          );
        }
        if (q.property_mappings__iexact !== undefined) {
          const mappings = q.property_mappings__iexact;
          rows = rows.where('id', 'in', (eb) =>
            eb.selectFrom('provider_scope_mapping').where('mapping_uuid', 'in', mappings).select('provider_id'),
          );
        }
        if (q.internal_host_ssl_validation__iexact !== undefined) {
          rows = rows.where('internal_host_ssl_validation', '=', q.internal_host_ssl_validation__iexact ? 1 : 0);
        }
        if (q.basic_auth_enabled__iexact !== undefined) {
          rows = rows.where('basic_auth_enabled', '=', q.basic_auth_enabled__iexact ? 1 : 0);
        }
        if (q.certificate__kp_uuid__iexact !== undefined || q.certificate__name__iexact !== undefined) {
          const { certificate__kp_uuid__iexact: pk, certificate__name__iexact: called } = q;
          rows = rows.where('certificate', 'in', (eb) => {
            let pairs = eb.selectFrom('certificate_keypair').select('uuid');
            if (pk !== undefined) pairs = pairs.where(sameText('uuid', pk));
            return called === undefined ? pairs : pairs.where(sameText('name', called));
          });
        }
        if (q.search) rows = rows.where(search(['name'], q.search));
        const columns = { name: 'name', pk: 'id', external_host: 'external_host', mode: 'mode' } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['name', 'asc']])) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('id'), q, (page) => proxyProviders(ctx.db, page));
      },
    );

    app.post(
      '/providers/proxy/',
      {
        schema: {
          body: body.full,
          ...operation('providers_proxy_create', 'Create a proxy provider', { 201: ProxyProvider }),
        },
      },
      async (request, reply) => {
        const row = await ctx.change((tx) => createProvider(tx, input(request.body)), actor(request));
        return reply.code(201).send(await answer(row));
      },
    );

    app.get(
      '/providers/proxy/:pk/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: {
          params: byPk,
          ...operation('providers_proxy_retrieve', 'One proxy provider', { 200: ProxyProvider }),
        },
      },
      async (request) => {
        const { superuser, outpost } = caller(request);
        const pk = readPk(request.params.pk);
        if (!superuser && !(await seen(outpost?.uuid ?? ''))?.includes(pk)) throw notFound();
        return answer(await providerById(ctx.db, pk));
      },
    );

    app.put(
      '/providers/proxy/:pk/',
      {
        schema: {
          params: byPk,
          body: body.full,
          ...operation('providers_proxy_update', 'Change a proxy provider', { 200: ProxyProvider }),
        },
      },
      async (request) => {
        const [pk, sent] = [readPk(request.params.pk), input(request.body)];
        return answer(await ctx.change((tx) => updateProvider(tx, pk, sent), actor(request)));
      },
    );

    app.patch(
      '/providers/proxy/:pk/',
      {
        schema: {
          params: byPk,
          body: body.partial,
          ...operation('providers_proxy_partial_update', 'Change a proxy provider in part', { 200: ProxyProvider }),
        },
      },
      async (request) => {
        const [pk, sent] = [readPk(request.params.pk), input(request.body)];
        return answer(await ctx.change((tx) => updateProvider(tx, pk, sent), actor(request)));
      },
    );

    app.delete(
      '/providers/proxy/:pk/',
      {
        schema: {
          params: byPk,
          ...operation('providers_proxy_destroy', 'Delete a proxy provider', { 204: noContent }),
        },
      },
      async (request, reply) => {
        await ctx.change((tx) => deleteProvider(tx, readPk(request.params.pk)), actor(request));
        return reply.code(204).send();
      },
    );
  };
