/** `/outposts/instances/` (spec/server.md 6, 7.2, 7.7). The account of an outpost sees exactly that outpost. */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { baseOf } from '../oidc/issuer.ts';
import { defaultConfig } from '../outposts/config.ts';
import { createOutpost, deleteOutpost, outpostByUuid, updateOutpost } from '../outposts/outposts.ts';
import type { OutpostRow } from '../storage/rows.ts';
import type { Principal } from './authenticate.ts';
import { actor, caller } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, emptyReference, flag, intPk, jsonObject, repeatable } from './fields.ts';
import { sameText, search } from './filters.ts';
import { containing, listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { Outpost, OutpostHealth, outposts } from './objects/outpost.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const body = writable(
  {
    name: z.string().trim().min(1).max(1000),
    type: z.literal('proxy', { error: 'Gatehouse has outposts of the type proxy only.' }),
    providers: z.array(intPk),
    service_connection: emptyReference.optional(),
    config: jsonObject,
    managed: z.string().nullable().optional(),
  },
  ['pk', 'providers_obj', 'service_connection_obj', 'refresh_interval_s', 'token_identifier'],
);

const text = z.string().optional();

const query = listQuery({
  providers__isnull: flag.optional(),
  providers_by_pk: repeatable(z.coerce.number<string>().int()),
  name__iexact: text,
  name__icontains: text,
  service_connection__name__iexact: text,
  service_connection__name__icontains: text,
  managed__iexact: text,
  managed__icontains: text,
});

/** `managed` is the system's mark; sending back what was read is fine, setting it is not possible. */
const input = <T extends { managed?: unknown }>({ managed: _, ...sent }: T) => defined(sent);

const DefaultSettings = z.strictObject({ config: jsonObject });

export const outpostRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (row: OutpostRow | undefined) => {
      const [object] = row ? await outposts(ctx.db, [row]) : [];
      if (!object) throw notFound();
      return object;
    };

    /**
     * People get `config` back as they sent it; the outpost itself with every key there is: an official one ends without
     * `authentik_host` (spec/outpost.md 9.6).
     */
    const shown = <T extends { config: Record<string, unknown> }>(object: T, request: FastifyRequest): T => {
      if (!caller(request).outpost) return object;
      const defaults = defaultConfig(`${baseOf(ctx, request)}/`, ctx.settings.logLevel);
      return { ...object, config: { ...defaults, ...object.config } };
    };

    const visible = async (uuid: string, { superuser, outpost }: Principal) => {
      const row = await outpostByUuid(ctx.db, uuid.toLowerCase());
      if (!row || (!superuser && row.uuid !== outpost?.uuid)) throw notFound();
      return row;
    };

    app.get(
      '/outposts/instances/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: {
          querystring: query,
          ...operation('outposts_instances_list', 'List outposts', { 200: pageOf(Outpost) }),
        },
      },
      async (request) => {
        const q = request.query;
        const { superuser, outpost } = caller(request);
        let rows = ctx.db.selectFrom('outpost').selectAll('outpost');
        // the embedded outpost's own call must find itself first even though its account could be made superuser
        if (outpost || !superuser) rows = rows.where('uuid', '=', outpost?.uuid ?? '');
        const linked = ctx.db.selectFrom('outpost_provider').select('outpost_uuid');
        if (q.providers__isnull !== undefined) {
          rows = rows.where('uuid', q.providers__isnull ? 'not in' : 'in', linked);
        }
        if (q.providers_by_pk !== undefined) {
          rows = rows.where('uuid', 'in', linked.where('provider_id', 'in', q.providers_by_pk));
        }
        if (q.name__iexact !== undefined) rows = rows.where(sameText('name', q.name__iexact));
        if (q.name__icontains !== undefined) {
          rows = rows.where((eb) => eb(eb.fn('lower', ['name']), 'like', containing(q.name__icontains ?? '')));
        }
        if (q.managed__iexact !== undefined) rows = rows.where(sameText('managed', q.managed__iexact));
        if (q.managed__icontains !== undefined) rows = rows.where(search(['managed'], q.managed__icontains));
        if (q.service_connection__name__iexact !== undefined || q.service_connection__name__icontains !== undefined) {
          rows = rows.where((eb) => eb.lit(false)); // no outpost has a service connection here
        }
        if (q.search) rows = rows.where(search(['name'], q.search));
        const columns = { name: 'name', pk: 'uuid' } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['name', 'asc']])) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('uuid'), q, async (page) =>
          (await outposts(ctx.db, page)).map((object) => shown(object, request)),
        );
      },
    );

    app.post(
      '/outposts/instances/',
      { schema: { body: body.full, ...operation('outposts_instances_create', 'Create an outpost', { 201: Outpost }) } },
      async (request, reply) => {
        const row = await ctx.change((tx) => createOutpost(tx, input(request.body)), actor(request));
        return reply.code(201).send(await answer(row));
      },
    );

    app.get(
      '/outposts/instances/default_settings/',
      {
        schema: operation('outposts_instances_default_settings_retrieve', 'Configuration of a new outpost', {
          200: DefaultSettings,
        }),
      },
      async (request) => ({
        config: { ...defaultConfig(`${baseOf(ctx, request)}/`, ctx.settings.logLevel) },
      }),
    );

    app.get(
      '/outposts/instances/:uuid/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: { params: byUuid, ...operation('outposts_instances_retrieve', 'One outpost', { 200: Outpost }) },
      },
      async (request) => shown(await answer(await visible(request.params.uuid, caller(request))), request),
    );

    app.put(
      '/outposts/instances/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.full,
          ...operation('outposts_instances_update', 'Change an outpost', { 200: Outpost }),
        },
      },
      async (request) => {
        const [uuid, sent] = [request.params.uuid.toLowerCase(), input(request.body)];
        return answer(await ctx.change((tx) => updateOutpost(tx, uuid, sent), actor(request)));
      },
    );

    app.patch(
      '/outposts/instances/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.partial,
          ...operation('outposts_instances_partial_update', 'Change an outpost in part', { 200: Outpost }),
        },
      },
      async (request) => {
        const [uuid, sent] = [request.params.uuid.toLowerCase(), input(request.body)];
        return answer(await ctx.change((tx) => updateOutpost(tx, uuid, sent), actor(request)));
      },
    );

    app.delete(
      '/outposts/instances/:uuid/',
      {
        schema: { params: byUuid, ...operation('outposts_instances_destroy', 'Delete an outpost', { 204: noContent }) },
      },
      async (request, reply) => {
        await ctx.change((tx) => deleteOutpost(tx, request.params.uuid.toLowerCase()), actor(request));
        return reply.code(204).send();
      },
    );

    app.get(
      '/outposts/instances/:uuid/health/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: {
          params: byUuid,
          ...operation('outposts_instances_health_list', 'Connected instances', { 200: z.array(OutpostHealth) }),
        },
      },
      async (request) => ctx.hub.health((await visible(request.params.uuid, caller(request))).uuid),
    );
  };
