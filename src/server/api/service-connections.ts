/**
 * `/outposts/service_connections/…` (spec/server.md 10.1). Gatehouse starts no outposts by itself, so there are none:
 * the lists are there, and empty, for programs that look before they make an outpost.
 */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { flag } from './fields.ts';
import { listQuery, pageOf, pageOfItems } from './list.ts';
import { ServiceConnection } from './objects/outpost.ts';
import { operation } from './operation.ts';

const query = listQuery({ name: z.string().optional(), local: flag.optional() });

export const serviceConnectionRoutes: FastifyPluginAsyncZod = async (app) => {
  for (const kind of ['all', 'docker', 'kubernetes']) {
    app.get(
      `/outposts/service_connections/${kind}/`,
      {
        schema: {
          querystring: query,
          ...operation(`outposts_service_connections_${kind}_list`, 'Always empty: nothing is deployed from here', {
            200: pageOf(ServiceConnection),
          }),
        },
      },
      async (request) => pageOfItems([], request.query, () => []),
    );
  }
};
