/** `/propertymappings/provider/scope/`: the built-in scope mappings, read-only (spec/server.md 4). */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import type { ScopeMappingRow } from '../storage/rows.ts';
import { notFound } from './errors.ts';
import { byUuid, flag, repeatable, uuidOut } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { operation } from './operation.ts';

const ScopeMapping = z.strictObject({
  pk: uuidOut,
  managed: z.string().nullable(),
  name: z.string(),
  expression: z.string(),
  component: z.string(),
  verbose_name: z.string(),
  verbose_name_plural: z.string(),
  meta_model_name: z.string(),
  scope_name: z.string(),
  description: z.string(),
});

const scopeMapping = (row: ScopeMappingRow): z.output<typeof ScopeMapping> => ({
  pk: row.uuid,
  managed: row.managed,
  name: row.name,
  expression: row.expression,
  component: 'ak-property-mapping-provider-scope-form',
  verbose_name: 'Scope Mapping',
  verbose_name_plural: 'Scope Mappings',
  meta_model_name: 'authentik_providers_oauth2.scopemapping',
  scope_name: row.scope_name,
  description: row.description,
});

const query = listQuery({
  scope_name: z.string().optional(),
  name: z.string().optional(),
  managed: repeatable(z.string()),
  managed__isnull: flag.optional(),
});

export const scopeMappingRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
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

    app.get(
      '/propertymappings/provider/scope/:uuid/',
      {
        schema: {
          params: byUuid,
          ...operation('propertymappings_provider_scope_retrieve', 'One scope mapping', { 200: ScopeMapping }),
        },
      },
      async (request) => {
        const row = await ctx.db
          .selectFrom('scope_mapping')
          .where('uuid', '=', request.params.uuid.toLowerCase())
          .selectAll()
          .executeTakeFirst();
        if (!row) throw notFound();
        return scopeMapping(row);
      },
    );
  };
