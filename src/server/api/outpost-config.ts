/**
 * `/outposts/proxy/`: what an outpost serves (spec/server.md 7.4). The only answer with client and cookie secrets, so
 * only the outpost's own account gets it, never a person. Only the page asked for is unsealed: outposts turn the pages
 * of thousands of applications.
 */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ProxyOutpostConfig as View } from '../../contract/api.ts';
import { EXTENSION_HEADER, EXTENSION_VERSION } from '../../contract/extension.ts';
import { domainApplicationsOf } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import { baseOf } from '../oidc/issuer.ts';
import { outpostView } from '../proxy-provider/outpost-view.ts';
import { operatorHeaderNames } from '../proxy-provider/person-headers.ts';
import type { ProviderRow } from '../storage/rows.ts';
import { callingOutpost } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byPk, readPk } from './fields.ts';
import { sameText, search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { ProxyOutpostConfig } from './objects/outpost.ts';
import { operation } from './operation.ts';

const query = listQuery({ name: z.string().optional(), name__iexact: z.string().optional() });

export const outpostConfigRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    /** Providers of the calling outpost that have an application: the others have no address to sign in at. */
    const served = (request: FastifyRequest) =>
      ctx.db
        .selectFrom('proxy_provider')
        .innerJoin('outpost_provider', 'outpost_provider.provider_id', 'proxy_provider.id')
        .innerJoin('application', 'application.provider_id', 'proxy_provider.id')
        .where('outpost_provider.outpost_uuid', '=', callingOutpost(request).uuid)
        .selectAll('proxy_provider');

    const views = async (request: FastifyRequest, rows: readonly ProviderRow[]): Promise<View[]> => {
      if (rows.length === 0) return [];
      const ids = rows.map((row) => row.id);
      const applications = await ctx.db.selectFrom('application').where('provider_id', 'in', ids).selectAll().execute();
      const applicationOf = new Map(applications.map((row) => [row.provider_id, row]));
      const scopes = await ctx.db
        .selectFrom('provider_scope_mapping')
        .innerJoin('scope_mapping', 'scope_mapping.uuid', 'provider_scope_mapping.mapping_uuid')
        .where('provider_id', 'in', ids)
        .select(['provider_id', 'scope_name'])
        .distinct()
        .orderBy('scope_name')
        .execute();
      const scopesOf = Map.groupBy(scopes, (row) => row.provider_id);
      const bound = await domainApplicationsOf(ctx.db, ids);
      const extension = request.headers[EXTENSION_HEADER.toLowerCase()] === EXTENSION_VERSION;
      const managedHeaders = extension ? await operatorHeaderNames(ctx.db) : undefined;
      // The embedded outpost names any address on its private socket; browsers know the current one.
      const base = request.link.internal ? ctx.baseAddress.current() : baseOf(ctx, request);
      return rows.flatMap((provider) => {
        const application = applicationOf.get(provider.id);
        if (!application) return [];
        const names = (scopesOf.get(provider.id) ?? []).map((row) => row.scope_name);
        const domainApplications = bound.get(provider.id) ?? [];
        return [
          outpostView(ctx.keyring, { provider, application, scopes: names, base, managedHeaders, domainApplications }),
        ];
      });
    };

    app.get(
      '/outposts/proxy/',
      {
        config: { access: ['outpost'] },
        schema: {
          querystring: query,
          ...operation('outposts_proxy_list', 'What the calling outpost serves', { 200: pageOf(ProxyOutpostConfig) }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = served(request);
        if (q.name !== undefined) rows = rows.where('proxy_provider.name', '=', q.name);
        if (q.name__iexact !== undefined) rows = rows.where(sameText('proxy_provider.name', q.name__iexact));
        if (q.search) rows = rows.where(search(['proxy_provider.name'], q.search));
        const columns = { name: 'proxy_provider.name' } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['proxy_provider.name', 'asc']])) {
          rows = rows.orderBy(column, way);
        }
        return pageOfQuery(rows.orderBy('proxy_provider.id'), q, (page) => views(request, page));
      },
    );

    app.get(
      '/outposts/proxy/:pk/',
      {
        config: { access: ['outpost'] },
        schema: {
          params: byPk,
          ...operation('outposts_proxy_retrieve', 'One provider the calling outpost serves', {
            200: ProxyOutpostConfig,
          }),
        },
      },
      async (request) => {
        const row = await served(request).where('proxy_provider.id', '=', readPk(request.params.pk)).executeTakeFirst();
        const [view] = row ? await views(request, [row]) : [];
        if (!view) throw notFound();
        return view;
      },
    );
  };
