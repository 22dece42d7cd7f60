/** `/gatehouse/domain_applications/`, ours: applications on hosts and paths below domain-level providers. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  createDomainApplication,
  deleteDomainApplication,
  updateDomainApplication,
} from '../access/domain-bindings.ts';
import { domainApplicationByUuid } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import type { DomainApplicationRow } from '../storage/rows.ts';
import { actor } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, intPk, uuid } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { DomainApplication, domainApplications } from './objects/domain-application.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const PATH = '/gatehouse/domain_applications/';
const ONE = `${PATH}:uuid/`;

const body = writable(
  {
    application: uuid,
    provider: intPk,
    host: z.string().trim().min(1).max(255),
    path: z.string().max(1000).optional(),
  },
  ['pk', 'application_slug', 'application_name', 'provider_name'],
);

const query = listQuery({
  application: uuid.optional(),
  provider: z.coerce.number<string>().int().optional(),
  host: z.string().optional(),
});

const said = (what: string, summary: string) =>
  operation(`gatehouse_domain_applications_${what}`, summary, { 200: DomainApplication });

export const domainApplicationRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (row: DomainApplicationRow | undefined) => {
      const [object] = row ? await domainApplications(ctx.db, [row]) : [];
      if (!object) throw notFound();
      return object;
    };

    app.get(
      PATH,
      {
        schema: {
          querystring: query,
          ...operation('gatehouse_domain_applications_list', 'Applications below domain-level providers', {
            200: pageOf(DomainApplication),
          }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('domain_application').selectAll('domain_application');
        if (q.application !== undefined) rows = rows.where('application_uuid', '=', q.application);
        if (q.provider !== undefined) rows = rows.where('provider_id', '=', q.provider);
        if (q.host !== undefined) rows = rows.where('host', '=', q.host.toLowerCase());
        if (q.search) rows = rows.where(search(['host', 'path'], q.search));
        const columns = { host: 'host', path: 'path', provider: 'provider_id' } as const;
        const fallback = [
          ['host', 'asc'],
          ['path', 'asc'],
        ] as const;
        for (const [column, way] of ordering(q.ordering, columns, fallback)) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => domainApplications(ctx.db, page));
      },
    );

    app.post(
      PATH,
      {
        schema: {
          body: body.full,
          ...operation('gatehouse_domain_applications_create', 'Bind an application to a host below a domain', {
            201: DomainApplication,
          }),
        },
      },
      async (request, reply) => {
        const row = await ctx.change((tx) => createDomainApplication(tx, defined(request.body)), actor(request));
        return reply.code(201).send(await answer(row));
      },
    );

    app.get(
      ONE,
      { schema: { params: byUuid, ...said('retrieve', 'One application below a domain') } },
      async (request) => answer(await domainApplicationByUuid(ctx.db, request.params.uuid.toLowerCase())),
    );

    app.put(
      ONE,
      { schema: { params: byUuid, body: body.full, ...said('update', 'Change where an application lies') } },
      async (request) => {
        const [key, sent] = [request.params.uuid.toLowerCase(), defined(request.body)];
        return answer(await ctx.change((tx) => updateDomainApplication(tx, key, sent), actor(request)));
      },
    );

    app.patch(
      ONE,
      { schema: { params: byUuid, body: body.partial, ...said('partial_update', 'Change it in part') } },
      async (request) => {
        const [key, sent] = [request.params.uuid.toLowerCase(), defined(request.body)];
        return answer(await ctx.change((tx) => updateDomainApplication(tx, key, sent), actor(request)));
      },
    );

    app.delete(
      ONE,
      {
        schema: {
          params: byUuid,
          ...operation('gatehouse_domain_applications_destroy', 'Take an application off a host', { 204: noContent }),
        },
      },
      async (request, reply) => {
        await ctx.change((tx) => deleteDomainApplication(tx, request.params.uuid.toLowerCase()), actor(request));
        return reply.code(204).send();
      },
    );
  };
