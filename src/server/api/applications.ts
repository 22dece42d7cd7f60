/** `/core/applications/` (spec/server.md 2.4 and 10). */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { applicationBySlug, createApplication, deleteApplication, updateApplication } from '../access/applications.ts';
import { checkAccess, checkAccessToAll } from '../access/check-access.ts';
import type { ServerContext } from '../context.ts';
import { userById } from '../directory/users.ts';
import type { ApplicationRow, UserRow } from '../storage/rows.ts';
import { actor, caller } from './authenticate.ts';
import { invalid, notFound } from './errors.ts';
import { emptyList, flag, intPk, iso, jsonObject, readPk, timestamp } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfItems, pageOfQuery } from './list.ts';
import { Application, applications, ENGINE_MODES } from './objects/application.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const text = z.string().max(4000).optional();

const body = writable(
  {
    name: z.string().trim().min(1).max(1000),
    slug: z.string().min(1).max(255),
    provider: intPk.nullable().optional(),
    backchannel_providers: emptyList.optional(),
    open_in_new_tab: z.boolean().optional(),
    meta_launch_url: text,
    meta_icon: text,
    meta_description: text,
    meta_publisher: text,
    policy_engine_mode: z.enum(ENGINE_MODES).optional(),
    group: text,
  },
  ['pk', 'provider_obj', 'backchannel_providers_obj', 'launch_url', 'meta_icon_url', 'meta_icon_themed_urls'],
);

const query = listQuery({
  name: z.string().optional(),
  slug: z.string().optional(),
  group: z.string().optional(),
  meta_launch_url: z.string().optional(),
  meta_description: z.string().optional(),
  meta_publisher: z.string().optional(),
  for_user: z.string().optional(),
  only_with_launch_url: flag.optional(),
  superuser_full_list: flag.optional(),
});

const bySlug = z.object({ slug: z.string() });

const AccessResult = z.strictObject({
  passing: z.boolean(),
  messages: z.array(z.string()),
  /** why, one entry per reason word of the policy engine */
  log_messages: z.array(
    z.strictObject({
      timestamp,
      log_level: z.literal('info'),
      logger: z.string(),
      event: z.string(),
      attributes: jsonObject,
    }),
  ),
});

const withoutBackchannel = <T extends { backchannel_providers?: unknown }>({ backchannel_providers: _, ...input }: T) =>
  defined(input);

export const applicationRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (row: ApplicationRow | undefined, user: UserRow) => {
      const [object] = row ? await applications(ctx.db, [row], user) : [];
      if (!object) throw notFound();
      return object;
    };

    /** The person a superuser asks about. @throws InvalidInput for an unknown one */
    const personAskedAbout = async (pk: string) => {
      const user = await userById(ctx.db, readPk(pk));
      if (!user) throw invalid('for_user', 'There is no such user.');
      return user;
    };

    app.get(
      '/core/applications/',
      {
        schema: {
          querystring: query,
          ...operation('core_applications_list', 'List applications', { 200: pageOf(Application) }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('application').selectAll('application');
        if (q.name !== undefined) rows = rows.where('name', '=', q.name);
        if (q.slug !== undefined) rows = rows.where('slug', '=', q.slug);
        if (q.group !== undefined) rows = rows.where('group_name', '=', q.group);
        if (q.meta_launch_url !== undefined) rows = rows.where('meta_launch_url', '=', q.meta_launch_url);
        if (q.meta_description !== undefined) rows = rows.where('meta_description', '=', q.meta_description);
        if (q.meta_publisher !== undefined) rows = rows.where('meta_publisher', '=', q.meta_publisher);
        if (q.only_with_launch_url === true) {
          const bound = ctx.db.selectFrom('domain_application').select('application_uuid');
          rows = rows.where((eb) =>
            eb.or([eb('meta_launch_url', '!=', ''), eb('provider_id', 'is not', null), eb('uuid', 'in', bound)]),
          );
        }
        if (q.search) {
          const searched = ['name', 'slug', 'meta_launch_url', 'meta_description', 'meta_publisher', 'group_name'];
          rows = rows.where(search(searched, q.search));
        }
        const columns = {
          name: 'name',
          slug: 'slug',
          group: 'group_name',
          meta_launch_url: 'meta_launch_url',
          meta_description: 'meta_description',
          meta_publisher: 'meta_publisher',
        } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['name', 'asc']])) rows = rows.orderBy(column, way);
        const ordered = rows.orderBy('uuid');
        const { user } = caller(request);
        if (q.for_user === undefined) return pageOfQuery(ordered, q, (page) => applications(ctx.db, page, user));
        const person = await personAskedAbout(q.for_user);
        const all = await ordered.execute();
        const access = await checkAccessToAll(ctx.db, person, all);
        const open = all.filter((_, i) => access[i]?.passing === true);
        return pageOfItems(open, q, (page) => applications(ctx.db, page, person));
      },
    );

    app.post(
      '/core/applications/',
      {
        schema: {
          body: body.full,
          ...operation('core_applications_create', 'Create an application', { 201: Application }),
        },
      },
      async (request, reply) => {
        const input = withoutBackchannel(request.body);
        const row = await ctx.change((tx) => createApplication(tx, input), actor(request));
        return reply.code(201).send(await answer(row, caller(request).user));
      },
    );

    app.get(
      '/core/applications/:slug/',
      {
        schema: {
          params: bySlug,
          ...operation('core_applications_retrieve', 'One application', { 200: Application }),
        },
      },
      async (request) => answer(await applicationBySlug(ctx.db, request.params.slug), caller(request).user),
    );

    app.put(
      '/core/applications/:slug/',
      {
        schema: {
          params: bySlug,
          body: body.full,
          ...operation('core_applications_update', 'Change an application', { 200: Application }),
        },
      },
      async (request) => {
        const input = withoutBackchannel(request.body);
        const row = await ctx.change((tx) => updateApplication(tx, request.params.slug, input), actor(request));
        return answer(row, caller(request).user);
      },
    );

    app.patch(
      '/core/applications/:slug/',
      {
        schema: {
          params: bySlug,
          body: body.partial,
          ...operation('core_applications_partial_update', 'Change an application in part', { 200: Application }),
        },
      },
      async (request) => {
        const input = withoutBackchannel(request.body);
        const row = await ctx.change((tx) => updateApplication(tx, request.params.slug, input), actor(request));
        return answer(row, caller(request).user);
      },
    );

    app.delete(
      '/core/applications/:slug/',
      {
        schema: {
          params: bySlug,
          ...operation('core_applications_destroy', 'Delete an application', { 204: noContent }),
        },
      },
      async (request, reply) => {
        await ctx.change((tx) => deleteApplication(tx, request.params.slug), actor(request));
        return reply.code(204).send();
      },
    );

    app.get(
      '/core/applications/:slug/check_access/',
      {
        schema: {
          params: bySlug,
          querystring: z.strictObject({ for_user: z.string().optional() }),
          ...operation('core_applications_check_access_retrieve', 'May this person open it?', { 200: AccessResult }),
        },
      },
      async (request) => {
        const row = await applicationBySlug(ctx.db, request.params.slug);
        if (!row) throw notFound();
        const { for_user } = request.query;
        const person = for_user === undefined ? caller(request).user : await personAskedAbout(for_user);
        const { passing, reasons, messages } = await checkAccess(ctx.db, person, row);
        const now = iso(Date.now());
        const log = (event: string) => ({
          timestamp: now,
          log_level: 'info' as const,
          logger: 'gatehouse.access',
          event,
          attributes: { username: person.username, application: row.slug },
        });
        return { passing, messages, log_messages: reasons.map(log) };
      },
    );
  };
