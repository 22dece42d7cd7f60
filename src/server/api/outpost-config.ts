/**
 * `/outposts/proxy/`: what an outpost serves (spec/server.md 7.4). The only answer with client and cookie secrets, so
 * only the outpost's own account gets it, never a person.
 */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { EXTENSION_HEADER, EXTENSION_VERSION } from '../../contract/extension.ts';
import type { ServerContext } from '../context.ts';
import { outpostViews } from '../proxy-provider/outpost-view.ts';
import { callingOutpost } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byPk, readPk } from './fields.ts';
import { listQuery, ordering, pageOf, pageOfItems } from './list.ts';
import { ProxyOutpostConfig } from './objects/outpost.ts';
import { operation } from './operation.ts';

const query = listQuery({ name__iexact: z.string().optional(), name: z.string().optional() });

export const outpostConfigRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/outposts/proxy/',
      {
        config: { access: ['outpost'] },
        schema: {
          querystring: query,
          ...operation('outposts_proxy_list', 'What the calling outpost serves', { 200: pageOf(ProxyOutpostConfig) }),
        },
      },
      async (request, reply) => {
        const q = request.query;
        const extension = request.headers[EXTENSION_HEADER.toLowerCase()] === EXTENSION_VERSION;
        let views = await outpostViews(ctx, callingOutpost(request).uuid, extension);
        const [[, way] = ['name', 'asc']] = ordering(q.ordering, { name: 'name' }, [['name', 'asc']]);
        if (way === 'desc') views = views.toReversed();
        if (q.name !== undefined) views = views.filter((view) => view.name === q.name);
        const folded = q.name__iexact?.toLowerCase();
        if (folded !== undefined) views = views.filter((view) => view.name.toLowerCase() === folded);
        const words = (q.search ?? '').toLowerCase().split(/\s+/u);
        views = views.filter((view) => words.every((word) => view.name.toLowerCase().includes(word)));
        void reply.header('Cache-Control', 'no-store');
        return pageOfItems(views, q, (page) => page);
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
      async (request, reply) => {
        const extension = request.headers[EXTENSION_HEADER.toLowerCase()] === EXTENSION_VERSION;
        const views = await outpostViews(ctx, callingOutpost(request).uuid, extension);
        const view = views.find((one) => one.pk === readPk(request.params.pk));
        if (!view) throw notFound();
        void reply.header('Cache-Control', 'no-store');
        return view;
      },
    );
  };
