/** `/propertymappings/provider/scope/` (spec/server.md 4 and 10). */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import {
  checkExpression,
  createMapping,
  deleteMapping,
  mappingByUuid,
  mappingForChange,
  updateMapping,
} from '../proxy-provider/custom-mappings.ts';
import type { MappingInput } from '../proxy-provider/custom-mappings.ts';
import { actor } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, flag, repeatable } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { scopeMapping, ScopeMapping } from './objects/scope-mapping.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const body = writable(
  {
    // the mark of what the program itself keeps up to date; ours are built in
    managed: z
      .union([z.null(), z.literal('').transform(() => null)], {
        error: 'Only built-in mappings are managed. Leave it out.',
      })
      .optional(),
    name: z.string().trim().min(1).max(1000),
    expression: z.string().refine((text) => text.trim() !== '', { error: 'This field may not be blank.' }),
    scope_name: z.string().min(1).max(1000),
    description: z.string().max(4000).optional(),
  },
  ['pk', 'component', 'verbose_name', 'verbose_name_plural', 'meta_model_name'],
);

type Sent = z.output<typeof body.partial>;

/** What our services take: without the key that says nothing. */
const input = <T extends Sent>(sent: T) => {
  const { managed: _, ...rest } = sent;
  return defined(rest);
};

const query = listQuery({
  scope_name: z.string().optional(),
  name: z.string().optional(),
  managed: repeatable(z.string()),
  managed__isnull: flag.optional(),
});

export const scopeMappingRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const one = '/propertymappings/provider/scope/:uuid/';

    app.get(
      '/propertymappings/provider/scope/',
      {
        schema: {
          querystring: query,
          ...operation('propertymappings_provider_scope_list', 'List scope mappings', { 200: pageOf(ScopeMapping) }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('scope_mapping').selectAll('scope_mapping');
        if (q.scope_name !== undefined) rows = rows.where('scope_name', '=', q.scope_name);
        if (q.name !== undefined) rows = rows.where('name', '=', q.name);
        if (q.managed !== undefined) rows = rows.where('managed', 'in', q.managed);
        if (q.managed__isnull !== undefined) rows = rows.where('managed', q.managed__isnull ? 'is' : 'is not', null);
        if (q.search) rows = rows.where(search(['name', 'scope_name', 'description'], q.search));
        const columns = { name: 'name', scope_name: 'scope_name', managed: 'managed' } as const;
        const fallback = [
          ['scope_name', 'asc'],
          ['name', 'asc'],
        ] as const;
        for (const [column, way] of ordering(q.ordering, columns, fallback)) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => page.map(scopeMapping));
      },
    );

    app.post(
      '/propertymappings/provider/scope/',
      {
        schema: {
          body: body.full,
          ...operation('propertymappings_provider_scope_create', 'Create a scope mapping', { 201: ScopeMapping }),
        },
      },
      async (request, reply) => {
        const sent = input(request.body);
        await checkExpression(ctx.expressions, sent.expression);
        const row = await ctx.change((tx) => createMapping(tx, sent), actor(request));
        return reply.code(201).send(scopeMapping(row));
      },
    );

    app.get(
      one,
      {
        schema: {
          params: byUuid,
          ...operation('propertymappings_provider_scope_retrieve', 'One scope mapping', { 200: ScopeMapping }),
        },
      },
      async (request) => {
        const row = await mappingByUuid(ctx.db, request.params.uuid);
        if (!row) throw notFound();
        return scopeMapping(row);
      },
    );

    const update = async (uuid: string, patch: Partial<MappingInput>, by: ReturnType<typeof actor>) => {
      await mappingForChange(ctx.db, uuid); // before Python is asked anything
      await checkExpression(ctx.expressions, patch.expression);
      return scopeMapping(await ctx.change((tx) => updateMapping(tx, uuid, patch), by));
    };

    app.put(
      one,
      {
        schema: {
          params: byUuid,
          body: body.full,
          ...operation('propertymappings_provider_scope_update', 'Change a scope mapping', { 200: ScopeMapping }),
        },
      },
      async (request) => update(request.params.uuid, input(request.body), actor(request)),
    );

    app.patch(
      one,
      {
        schema: {
          params: byUuid,
          body: body.partial,
          ...operation('propertymappings_provider_scope_partial_update', 'Change a scope mapping in part', {
            200: ScopeMapping,
          }),
        },
      },
      async (request) => update(request.params.uuid, input(request.body), actor(request)),
    );

    app.delete(
      one,
      {
        schema: {
          params: byUuid,
          ...operation('propertymappings_provider_scope_destroy', 'Delete a scope mapping', { 204: noContent }),
        },
      },
      async (request, reply) => {
        await ctx.change((tx) => deleteMapping(tx, request.params.uuid), actor(request));
        return reply.code(204).send();
      },
    );
  };
