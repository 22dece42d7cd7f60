/**
 * `/events/events/`: the audit log (spec/server.md 12), and what outposts report into it (spec/outpost.md 16.6).
 */
import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { sql } from 'kysely';
import { z } from 'zod';
import { tellingValue, withoutQuery } from '../../contract/misconfiguration.ts';
import type { ServerContext } from '../context.ts';
import { cleanse } from '../events/cleanse.ts';
import { actor } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, jsonObject } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { Event, event } from './objects/event.ts';
import { operation } from './operation.ts';
import { writable } from './validation.ts';

const KEEP_MS = 365 * 86_400_000;

const body = writable(
  {
    action: z.enum(['configuration_error', 'configuration_warning'], {
      error: 'Outposts report configuration_error and configuration_warning only.',
    }),
    app: z.string().min(1).max(200),
    context: jsonObject.optional(),
    client_ip: z.string().max(200).nullable().optional(),
  },
  // the server knows who reports, and when; what else is sent has no say
  ['pk', 'user', 'created', 'expires', 'brand'],
).full;

const text = z.string().optional();

const query = listQuery({
  action: text,
  actions: z.preprocess((v) => (v === undefined || Array.isArray(v) ? v : [v]), z.array(z.string()).optional()),
  client_ip: text,
  username: text,
  context_model_pk: text,
  context_model_name: text,
  context_model_app: text,
  context_authorized_app: text,
  brand_name: text,
});

/** Keeps no secret: queries are cut, headers that are not about forwarding lose their value. */
export function redactReport(context: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const report = Object.fromEntries(
    Object.entries(context).map(([name, value]) => [name, name === 'message' ? value : withoutQuery(value)]),
  );
  const { headers } = context;
  if (typeof headers === 'object' && headers !== null) {
    report['headers'] = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, tellingValue(name, value)]),
    );
  }
  return cleanse(report);
}

/** `203.0.113.7:4711` and `[::1]:4711` as outposts send them -> the address alone */
export const withoutPort = (address: string): string =>
  address.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1');

/** @returns `undefined` for what is no address */
function addressOf(told: string | null | undefined): string | undefined {
  const address = withoutPort(told ?? '');
  return isIP(address) === 0 ? undefined : address;
}

const member = (path: string) => sql<string>`json_extract(context, ${path})`;
/** UUIDs are kept without dashes in contexts. */
const plain = (pk: string) => (/^[0-9a-f-]{36}$/i.test(pk) ? pk.replaceAll('-', '').toLowerCase() : pk);

export const eventRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/events/events/',
      { schema: { querystring: query, ...operation('events_events_list', 'The audit log', { 200: pageOf(Event) }) } },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('event').selectAll('event');
        if (q.action !== undefined) rows = rows.where('action', '=', q.action);
        if (q.actions !== undefined) rows = rows.where('action', 'in', q.actions);
        if (q.client_ip !== undefined) rows = rows.where('client_ip', '=', q.client_ip);
        if (q.username !== undefined) {
          rows = rows.where(sql<string>`json_extract(user_json, '$.username')`, '=', q.username);
        }
        if (q.context_model_pk !== undefined) {
          rows = rows.where(sql<string>`cast(${member('$.model.pk')} as text)`, '=', plain(q.context_model_pk));
        }
        if (q.context_model_name !== undefined) {
          rows = rows.where(member('$.model.model_name'), '=', q.context_model_name);
        }
        if (q.context_model_app !== undefined) rows = rows.where(member('$.model.app'), '=', q.context_model_app);
        if (q.context_authorized_app !== undefined) {
          rows = rows.where(member('$.authorized_application.pk'), '=', plain(q.context_authorized_app));
        }
        if (q.brand_name !== undefined) rows = rows.where((eb) => eb.lit(false)); // there is one nameless brand
        if (q.search) rows = rows.where(search(['user_json', 'action', 'app', 'context', 'client_ip'], q.search));
        const columns = {
          action: 'action',
          app: 'app',
          client_ip: 'client_ip',
          created: 'created',
          expires: 'expires',
        } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['created', 'desc']])) {
          rows = rows.orderBy(column, way);
        }
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => page.map(event));
      },
    );

    app.post(
      '/events/events/',
      {
        config: { access: ['outpost'] },
        schema: { body, ...operation('events_events_create', 'Report a problem', { 201: Event }) },
      },
      async (request, reply) => {
        const { action, app: part, context = {}, client_ip } = request.body;
        const { user, clientIp } = actor(request);
        const row = await ctx.change((tx) =>
          tx.db
            .insertInto('event')
            .values({
              uuid: randomUUID(),
              user_json: JSON.stringify(user ?? {}),
              action,
              app: part,
              context: JSON.stringify(redactReport(context)),
              client_ip: addressOf(client_ip) ?? clientIp,
              created: tx.now,
              expires: tx.now + KEEP_MS,
            })
            .returningAll()
            .executeTakeFirstOrThrow(),
        );
        return reply.code(201).send(event(row));
      },
    );

    app.get(
      '/events/events/:uuid/',
      { schema: { params: byUuid, ...operation('events_events_retrieve', 'One entry', { 200: Event }) } },
      async (request) => {
        const row = await ctx.db
          .selectFrom('event')
          .where('uuid', '=', request.params.uuid.toLowerCase())
          .selectAll()
          .executeTakeFirst();
        if (!row) throw notFound();
        return event(row);
      },
    );
  };
