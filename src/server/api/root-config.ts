/** `/root/config/` (spec/server.md 7.3): read by outposts and Terraform before anything else, without credentials. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { EXTENSION_HEADER, EXTENSION_VERSION } from '../../contract/extension.ts';
import { operation } from './operation.ts';

const CACHE_SECONDS = 300;

const Config = z.strictObject({
  error_reporting: z.strictObject({
    enabled: z.boolean(),
    sentry_dsn: z.string(),
    environment: z.string(),
    send_pii: z.boolean(),
    traces_sample_rate: z.number(),
  }),
  // members a client does not know are a hard error there: none is the only safe list (spec/server.md 0.1)
  capabilities: z.array(z.never()),
  cache_timeout: z.int(),
  cache_timeout_flows: z.int(),
  cache_timeout_policies: z.int(),
});

const CONFIG: z.output<typeof Config> = {
  error_reporting: { enabled: false, sentry_dsn: '', environment: '', send_pii: false, traces_sample_rate: 0 },
  capabilities: [],
  cache_timeout: CACHE_SECONDS,
  cache_timeout_flows: CACHE_SECONDS,
  cache_timeout_policies: CACHE_SECONDS,
};

export const rootConfigRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/root/config/',
    {
      config: { access: 'anyone' },
      schema: { ...operation('root_config_retrieve', 'Facts about this server', { 200: Config }), security: [] },
    },
    async (request, reply) => {
      // how our outposts learn, with a published call, that there is an extension to ask for
      const { [EXTENSION_HEADER.toLowerCase()]: asked } = request.headers;
      if (asked !== undefined) void reply.header(EXTENSION_HEADER, EXTENSION_VERSION);
      return CONFIG;
    },
  );
};
