/**
 * `/outposts/proxy/`: what an outpost serves (spec/server.md 7.4), and for our own outposts what is new in it. The only
 * answers with client and cookie secrets, so only the outpost's own account gets them, never a person.
 */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ProxyOutpostConfig as View } from '../../contract/api.ts';
import { CONFIGURATION_PATH, EXTENSION_HEADER, EXTENSION_VERSION } from '../../contract/extension.ts';
import type { ServerContext } from '../context.ts';
import { baseForOutpost } from '../oidc/issuer.ts';
import { configurationChanges } from '../outposts/configuration-changes.ts';
import { outpostViews, servedProviders } from '../outposts/views.ts';
import { operatorHeaderNames } from '../proxy-provider/person-headers.ts';
import type { ProviderRow } from '../storage/rows.ts';
import { callingOutpost } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byPk, readPk } from './fields.ts';
import { sameText, search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { outpostInstance, OutpostInstance, ProxyOutpostConfig } from './objects/outpost.ts';
import { operation } from './operation.ts';

const query = listQuery({ name: z.string().optional(), name__iexact: z.string().optional() });

const since = z.strictObject({
  cursor: z.string().max(200).optional(),
  after: z
    .string()
    .regex(/^\d{1,10}$/, { error: 'Expected the member next of the answer before.' })
    .transform(Number)
    .optional(),
});

const Changes = z.strictObject({
  cursor: z.string(),
  whole: z.boolean(),
  outpost: OutpostInstance,
  managed_headers: z.array(z.string()),
  providers: z.array(ProxyOutpostConfig),
  removed: z.array(z.int()),
  next: z.int(),
});

export const outpostConfigRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const served = (request: FastifyRequest) => servedProviders(ctx.db, callingOutpost(request).uuid);

    const views = async (request: FastifyRequest, rows: readonly ProviderRow[]): Promise<View[]> => {
      const extension = request.headers[EXTENSION_HEADER.toLowerCase()] === EXTENSION_VERSION;
      const managedHeaders = extension ? await operatorHeaderNames(ctx.db) : undefined;
      return outpostViews(ctx, rows, baseForOutpost(ctx, request), managedHeaders);
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

    app.get(
      `/${CONFIGURATION_PATH}`,
      {
        config: { access: ['outpost'] },
        schema: {
          querystring: since,
          ...operation('gatehouse_outposts_configuration_retrieve', 'What is new for the calling outpost', {
            200: Changes,
          }),
        },
      },
      async (request) => {
        const row = callingOutpost(request);
        const { cursor = '', after } = request.query;
        const changes = await configurationChanges(ctx, row.uuid, cursor, after, () => baseForOutpost(ctx, request));
        return { ...changes, outpost: outpostInstance(row) };
      },
    );
  };
