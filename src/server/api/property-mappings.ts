/**
 * `/propertymappings/all/`, mappings of every kind (here there is one), and trying one out: `<pk>/test/` there and below
 * the kind's own address.
 */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { deleteMapping, mappingByUuid } from '../proxy-provider/custom-mappings.ts';
import { tryMapping } from '../proxy-provider/try-mapping.ts';
import { actor, caller } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, emptyReference, flag, intPk, jsonObject, repeatable } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { propertyMapping, PropertyMapping } from './objects/scope-mapping.ts';
import { noContent, operation } from './operation.ts';
import { writable } from './validation.ts';

const query = listQuery({
  name: z.string().optional(),
  managed: repeatable(z.string()),
  managed__isnull: flag.optional(),
});

const trial = writable(
  {
    user: intPk.nullable().optional().meta({ description: 'As whom; absent or null: as whoever asks.' }),
    group: emptyReference.optional(),
    context: jsonObject.nullable().optional().meta({ description: 'Further variables of the expression.' }),
    format_result: z.boolean().optional().meta({ description: 'Write the result over several lines.' }),
    provider: intPk
      .nullable()
      .optional()
      .meta({ description: 'As at this provider: gives `provider`, `application` and `token`.' }),
  },
  [],
).full;

const Trial = z.strictObject({
  result: z.string().meta({ description: 'What it returned, as JSON; what went wrong, when it was not successful.' }),
  successful: z.boolean(),
  /** beyond the published ones */
  line: z.int().nullable(),
  milliseconds: z.number(),
  log: z.array(z.strictObject({ level: z.string(), event: z.string(), fields: z.record(z.string(), z.string()) })),
  messages: z.array(z.string()),
});

export const propertyMappingRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/propertymappings/all/',
      {
        schema: {
          querystring: query,
          ...operation('propertymappings_all_list', 'List mappings of every kind', { 200: pageOf(PropertyMapping) }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('scope_mapping').selectAll('scope_mapping');
        if (q.name !== undefined) rows = rows.where('name', '=', q.name);
        if (q.managed !== undefined) rows = rows.where('managed', 'in', q.managed);
        if (q.managed__isnull !== undefined) rows = rows.where('managed', q.managed__isnull ? 'is' : 'is not', null);
        if (q.search) rows = rows.where(search(['name'], q.search));
        const columns = { name: 'name', managed: 'managed' } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['name', 'asc']])) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => page.map(propertyMapping));
      },
    );

    app.get(
      '/propertymappings/all/:uuid/',
      {
        schema: {
          params: byUuid,
          ...operation('propertymappings_all_retrieve', 'One mapping', { 200: PropertyMapping }),
        },
      },
      async (request) => {
        const row = await mappingByUuid(ctx.db, request.params.uuid);
        if (!row) throw notFound();
        return propertyMapping(row);
      },
    );

    app.delete(
      '/propertymappings/all/:uuid/',
      {
        schema: {
          params: byUuid,
          ...operation('propertymappings_all_destroy', 'Delete a mapping', { 204: noContent }),
        },
      },
      async (request, reply) => {
        await ctx.change((tx) => deleteMapping(tx, request.params.uuid), actor(request));
        return reply.code(204).send();
      },
    );

    for (const kind of ['all', 'provider/scope']) {
      const id = `propertymappings_${kind.replace('/', '_')}_test_create`;
      app.post(
        `/propertymappings/${kind}/:uuid/test/`,
        {
          schema: {
            params: byUuid,
            querystring: z.strictObject({ format_result: flag.optional() }),
            body: trial,
            ...operation(id, 'Run a mapping as somebody', { 200: Trial }),
          },
        },
        async (request) => {
          const { user, context, provider, format_result = false } = request.body;
          return tryMapping(ctx, request.params.uuid, {
            user: user ?? caller(request).user.id,
            context: context ?? {},
            provider: provider ?? undefined,
            asker: {
              path: request.url.split('?', 1)[0] ?? '',
              clientIp: request.link.clientIp,
              userAgent: request.headers['user-agent'] ?? '',
            },
            indent: format_result || request.query.format_result === true,
          });
        },
      );
    }
  };
