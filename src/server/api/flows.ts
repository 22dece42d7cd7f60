/** `/flows/instances/`: the built-in flows, read-only (spec/server.md 11.1). Providers refer to them by uuid. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import type { FlowRow } from '../storage/rows.ts';
import { notFound } from './errors.ts';
import { uuid, uuidOut } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { operation } from './operation.ts';

const Flow = z.strictObject({
  pk: uuidOut,
  policybindingmodel_ptr_id: uuidOut,
  name: z.string(),
  slug: z.string(),
  title: z.string(),
  designation: z.string(),
  background: z.string(),
  background_url: z.string(),
  background_themed_urls: z.null(),
  stages: z.array(uuidOut),
  policies: z.array(uuidOut),
  cache_count: z.int(),
  policy_engine_mode: z.literal('any'),
  compatibility_mode: z.boolean(),
  export_url: z.string(),
  layout: z.literal('stacked'),
  denied_action: z.literal('message_continue'),
  authentication: z.string(),
});

const flow = (row: FlowRow): z.output<typeof Flow> => ({
  pk: row.uuid,
  policybindingmodel_ptr_id: row.uuid,
  name: row.name,
  slug: row.slug,
  title: row.title,
  designation: row.designation,
  background: '',
  background_url: '',
  background_themed_urls: null,
  stages: [],
  policies: [],
  cache_count: 0,
  policy_engine_mode: 'any',
  compatibility_mode: false,
  export_url: '',
  layout: 'stacked',
  denied_action: 'message_continue',
  authentication: row.authentication,
});

const query = listQuery({
  flow_uuid: uuid.optional(),
  name: z.string().optional(),
  slug: z.string().optional(),
  designation: z.string().optional(),
});

export const flowRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/flows/instances/',
      { schema: { querystring: query, ...operation('flows_instances_list', 'List flows', { 200: pageOf(Flow) }) } },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('flow').selectAll('flow');
        if (q.flow_uuid !== undefined) rows = rows.where('uuid', '=', q.flow_uuid);
        if (q.name !== undefined) rows = rows.where('name', '=', q.name);
        if (q.slug !== undefined) rows = rows.where('slug', '=', q.slug);
        if (q.designation !== undefined) rows = rows.where('designation', '=', q.designation);
        if (q.search) rows = rows.where(search(['name', 'slug', 'designation', 'title'], q.search));
        const columns = { name: 'name', slug: 'slug', designation: 'designation', title: 'title' } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['slug', 'asc']])) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => page.map(flow));
      },
    );

    app.get(
      '/flows/instances/:slug/',
      {
        schema: {
          params: z.object({ slug: z.string() }),
          ...operation('flows_instances_retrieve', 'One flow', { 200: Flow }),
        },
      },
      async (request) => {
        const row = await ctx.db
          .selectFrom('flow')
          .where('slug', '=', request.params.slug)
          .selectAll()
          .executeTakeFirst();
        if (!row) throw notFound();
        return flow(row);
      },
    );
  };
