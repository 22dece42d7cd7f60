/** `/policies/bindings/` (spec/server.md 8.1): which group or person may open an application or has an entitlement. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { bindingByUuid, createBinding, deleteBinding, updateBinding } from '../access/bindings.ts';
import type { ServerContext } from '../context.ts';
import type { BindingRow } from '../storage/rows.ts';
import { actor } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, emptyReference, flag, intPk, repeatable, uuid } from './fields.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { PolicyBinding, policyBindings } from './objects/binding.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const body = writable(
  {
    policy: emptyReference.optional(),
    group: uuid.nullable().optional(),
    user: intPk.nullable().optional(),
    target: uuid,
    negate: z.boolean().optional(),
    enabled: z.boolean().optional(),
    order: z.int32(),
    timeout: z.int32().min(0).optional(),
    failure_result: z.boolean().optional(),
  },
  ['pk', 'policy_obj', 'group_obj', 'user_obj'],
);

const query = listQuery({
  policy: z.string().optional(),
  policy__isnull: flag.optional(),
  target: uuid.optional(),
  target_in: repeatable(uuid),
  enabled: flag.optional(),
  order: z.coerce.number<string>().int().optional(),
  timeout: z.coerce.number<string>().int().optional(),
});

const input = <T extends { policy?: unknown }>({ policy: _, ...sent }: T) => defined(sent);

export const bindingRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (row: BindingRow | undefined) => {
      const [object] = row ? await policyBindings(ctx.db, [row]) : [];
      if (!object) throw notFound();
      return object;
    };

    app.get(
      '/policies/bindings/',
      {
        schema: {
          querystring: query,
          ...operation('policies_bindings_list', 'List bindings', { 200: pageOf(PolicyBinding) }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('policy_binding').selectAll('policy_binding');
        // every binding here names a group or person, none a policy
        if (q.policy !== undefined || q.policy__isnull === false) rows = rows.where((eb) => eb.lit(false));
        if (q.target !== undefined) rows = rows.where('target', '=', q.target);
        if (q.target_in !== undefined) rows = rows.where('target', 'in', q.target_in);
        if (q.enabled !== undefined) rows = rows.where('enabled', '=', q.enabled ? 1 : 0);
        if (q.order !== undefined) rows = rows.where('order_', '=', q.order);
        if (q.timeout !== undefined) rows = rows.where('timeout', '=', q.timeout);
        const columns = { target: 'target', order: 'order_', enabled: 'enabled', timeout: 'timeout' } as const;
        const fallback = [
          ['target', 'asc'],
          ['order_', 'asc'],
        ] as const;
        for (const [column, way] of ordering(q.ordering, columns, fallback)) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => policyBindings(ctx.db, page));
      },
    );

    app.post(
      '/policies/bindings/',
      {
        schema: {
          body: body.full,
          ...operation('policies_bindings_create', 'Create a binding', { 201: PolicyBinding }),
        },
      },
      async (request, reply) => {
        const row = await ctx.change((tx) => createBinding(tx, input(request.body)), actor(request));
        return reply.code(201).send(await answer(row));
      },
    );

    app.get(
      '/policies/bindings/:uuid/',
      {
        schema: { params: byUuid, ...operation('policies_bindings_retrieve', 'One binding', { 200: PolicyBinding }) },
      },
      async (request) => answer(await bindingByUuid(ctx.db, request.params.uuid.toLowerCase())),
    );

    app.put(
      '/policies/bindings/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.full,
          ...operation('policies_bindings_update', 'Change a binding', { 200: PolicyBinding }),
        },
      },
      async (request) => {
        const [uuid_, sent] = [request.params.uuid.toLowerCase(), input(request.body)];
        return answer(await ctx.change((tx) => updateBinding(tx, uuid_, sent), actor(request)));
      },
    );

    app.patch(
      '/policies/bindings/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.partial,
          ...operation('policies_bindings_partial_update', 'Change a binding in part', { 200: PolicyBinding }),
        },
      },
      async (request) => {
        const [uuid_, sent] = [request.params.uuid.toLowerCase(), input(request.body)];
        return answer(await ctx.change((tx) => updateBinding(tx, uuid_, sent), actor(request)));
      },
    );

    app.delete(
      '/policies/bindings/:uuid/',
      { schema: { params: byUuid, ...operation('policies_bindings_destroy', 'Delete a binding', { 204: noContent }) } },
      async (request, reply) => {
        await ctx.change((tx) => deleteBinding(tx, request.params.uuid.toLowerCase()), actor(request));
        return reply.code(204).send();
      },
    );
  };
