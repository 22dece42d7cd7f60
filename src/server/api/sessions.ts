/** `/core/authenticated_sessions/`: who is signed in where. Deleting one signs that browser out everywhere. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { actor, caller } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { AuthenticatedSession, authenticatedSession } from './objects/session.ts';
import { noContent, operation } from './operation.ts';

const query = listQuery({
  user__username: z.string().optional(),
  session__last_ip: z.string().optional(),
  session__last_user_agent: z.string().optional(),
});

export const sessionRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const find = async (uuid: string) => {
      const row = await ctx.db
        .selectFrom('session')
        .where('uuid', '=', uuid.toLowerCase())
        .where('expires', '>', Date.now())
        .selectAll()
        .executeTakeFirst();
      if (!row) throw notFound();
      return row;
    };

    app.get(
      '/core/authenticated_sessions/',
      {
        schema: {
          querystring: query,
          ...operation('core_authenticated_sessions_list', 'List sessions', { 200: pageOf(AuthenticatedSession) }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = ctx.db
          .selectFrom('session')
          .innerJoin('user', 'user.id', 'session.user_id')
          .where('session.expires', '>', Date.now())
          .selectAll('session');
        if (q.user__username !== undefined) rows = rows.where('user.username', '=', q.user__username);
        if (q.session__last_ip !== undefined) rows = rows.where('last_ip', '=', q.session__last_ip);
        if (q.session__last_user_agent !== undefined) {
          rows = rows.where('last_user_agent', '=', q.session__last_user_agent);
        }
        if (q.search) rows = rows.where(search(['user.username', 'last_ip', 'last_user_agent'], q.search));
        const columns = {
          user__username: 'user.username',
          session__last_ip: 'session.last_ip',
          session__last_used: 'session.last_used',
          session__expires: 'session.expires',
        } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['user.username', 'asc']])) {
          rows = rows.orderBy(column, way);
        }
        const { sid } = caller(request);
        return pageOfQuery(rows.orderBy('session.uuid'), q, (page) =>
          page.map((row) => authenticatedSession(row, sid)),
        );
      },
    );

    app.get(
      '/core/authenticated_sessions/:uuid/',
      {
        schema: {
          params: byUuid,
          ...operation('core_authenticated_sessions_retrieve', 'One session', { 200: AuthenticatedSession }),
        },
      },
      async (request) => authenticatedSession(await find(request.params.uuid), caller(request).sid),
    );

    app.delete(
      '/core/authenticated_sessions/:uuid/',
      {
        schema: {
          params: byUuid,
          ...operation('core_authenticated_sessions_destroy', 'End a session', { 204: noContent }),
        },
      },
      async (request, reply) => {
        const { sid } = await find(request.params.uuid);
        await ctx.change((tx) => ctx.sessions.end(tx, sid), actor(request));
        return reply.code(204).send();
      },
    );
  };
