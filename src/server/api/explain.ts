/** Why a request would be answered as it is: `POST /providers/proxy/<pk>/explain/`. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { explainAccess } from '../proxy-provider/explain.ts';
import { byPk, readPk } from './fields.ts';
import { operation } from './operation.ts';
import { writable } from './validation.ts';

const body = writable(
  {
    method: z
      .string()
      .regex(/^[A-Za-z-]{1,20}$/, 'Give a method such as GET.')
      .nullable()
      .optional()
      .meta({ description: 'Absent or null: not known, as behind nginx.' }),
    url: z.string().min(1).max(20_000).meta({ description: 'The address asked for, byte for byte.' }),
    user: z.string().min(1).nullable().optional().meta({ description: 'User name; absent or null: nobody.' }),
  },
  [],
).full;

const Rule = z.strictObject({
  kind: z.enum(['skip_path_regex', 'access_rule', 'public_assets', 'access_default']),
  position: z.int().nullable().meta({ description: 'Line or place in the list, from 1.' }),
  pattern: z.string().nullable(),
  methods: z.array(z.string()),
  effect: z.string(),
  groups: z.array(z.string()),
});

const Explanation = z.strictObject({
  decision: z.enum(['allow', 'login', 'deny', 'error', 'endpoint']),
  reason: z.string().meta({ description: 'Word of the access log and of the metrics.' }),
  message: z.string(),
  rule: Rule.nullable(),
  steps: z.array(z.string()),
  without_method: z
    .strictObject({ decision: z.enum(['allow', 'login', 'deny', 'error']), reason: z.string() })
    .nullable()
    .meta({ description: 'What reverse proxies get that do not tell the method, when it differs.' }),
});

export const explainRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/providers/proxy/:pk/explain/',
      {
        schema: {
          params: byPk,
          body,
          ...operation('providers_proxy_explain_create', 'Why a request would be answered as it is', {
            200: Explanation,
          }),
        },
      },
      async (request) => {
        const { method, url, user } = request.body;
        const asked = { method: method ?? undefined, url, username: user ?? undefined };
        return explainAccess(ctx.db, readPk(request.params.pk), asked);
      },
    );
  };
