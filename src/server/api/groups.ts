/** `/core/groups/` (spec/server.md 2.2 and 10). */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { addMember, createGroup, deleteGroup, groupByUuid, removeMember, updateGroup } from '../directory/groups.ts';
import { foldUsername, userById } from '../directory/users.ts';
import { actor } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, flag, intPk, jsonObject, repeatable, uuid } from './fields.ts';
import { hasAttributes, search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import type { GroupIncludes } from './objects/group.ts';
import { Group, groups } from './objects/group.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const body = writable(
  {
    name: z.string().trim().min(1).max(1000),
    is_superuser: z.boolean().optional(),
    parents: z.array(uuid).optional(),
    users: z.array(intPk).optional(),
    attributes: jsonObject.optional(),
    roles: z.array(z.never({ error: 'Roles are not supported here.' })).optional(),
  },
  ['pk', 'num_pk', 'parents_obj', 'users_obj', 'roles_obj', 'inherited_roles_obj', 'children', 'children_obj'],
);

const includeFlags = {
  include_users: flag.optional(),
  include_parents: flag.optional(),
  include_children: flag.optional(),
  include_inherited_roles: flag.optional(),
};

const query = listQuery({
  ...includeFlags,
  name: z.string().optional(),
  is_superuser: flag.optional(),
  members_by_pk: repeatable(z.coerce.number<string>().int()),
  members_by_username: repeatable(z.string()),
  attributes: z.string().optional(),
});

const member = writable({ pk: intPk }, []).full;

const withoutRoles = <T extends { roles?: unknown }>({ roles: _, ...input }: T) => defined(input);

/** Users are told unless refused, relatives only when asked for, as published. */
const included = (q: z.output<z.ZodObject<typeof includeFlags>>): GroupIncludes => ({
  users: q.include_users ?? true,
  parents: q.include_parents ?? false,
  children: q.include_children ?? false,
  inheritedRoles: q.include_inherited_roles ?? false,
});

export const groupRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (pk: string, include: GroupIncludes = included({})) => {
      const row = await groupByUuid(ctx.db, pk.toLowerCase());
      const [object] = row ? await groups(ctx.db, [row], include) : [];
      if (!object) throw notFound();
      return object;
    };

    app.get(
      '/core/groups/',
      { schema: { querystring: query, ...operation('core_groups_list', 'List groups', { 200: pageOf(Group) }) } },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('group_').selectAll('group_');
        if (q.name !== undefined) rows = rows.where('name', '=', q.name);
        if (q.is_superuser !== undefined) rows = rows.where('is_superuser', '=', q.is_superuser ? 1 : 0);
        if (q.members_by_pk !== undefined) {
          const ids = q.members_by_pk;
          rows = rows.where('uuid', 'in', (eb) =>
            eb.selectFrom('group_member').where('user_id', 'in', ids).select('group_uuid'),
          );
        }
        if (q.members_by_username !== undefined) {
          const names = q.members_by_username.map(foldUsername);
          rows = rows.where('uuid', 'in', (eb) =>
            eb
              .selectFrom('group_member')
              .innerJoin('user', 'user.id', 'group_member.user_id')
              .where('user.username_folded', 'in', names)
              .select('group_uuid'),
          );
        }
        if (q.attributes !== undefined) rows = rows.where(hasAttributes('attributes', q.attributes));
        if (q.search) rows = rows.where(search(['name'], q.search));
        const columns = { name: 'name', num_pk: 'num_pk', is_superuser: 'is_superuser' } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['name', 'asc']])) rows = rows.orderBy(column, way);
        return pageOfQuery(rows.orderBy('uuid'), q, (page) => groups(ctx.db, page, included(q)));
      },
    );

    app.post(
      '/core/groups/',
      { schema: { body: body.full, ...operation('core_groups_create', 'Create a group', { 201: Group }) } },
      async (request, reply) => {
        const input = withoutRoles(request.body);
        const row = await ctx.change((tx) => createGroup(tx, input), actor(request));
        return reply.code(201).send(await answer(row.uuid));
      },
    );

    app.get(
      '/core/groups/:uuid/',
      {
        schema: {
          params: byUuid,
          querystring: z.strictObject(includeFlags),
          ...operation('core_groups_retrieve', 'One group', { 200: Group }),
        },
      },
      async (request) => answer(request.params.uuid, included(request.query)),
    );

    app.put(
      '/core/groups/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.full,
          ...operation('core_groups_update', 'Change a group', { 200: Group }),
        },
      },
      async (request) => {
        const [pk, input] = [request.params.uuid.toLowerCase(), withoutRoles(request.body)];
        await ctx.change((tx) => updateGroup(tx, pk, input), actor(request));
        return answer(pk);
      },
    );

    app.patch(
      '/core/groups/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.partial,
          ...operation('core_groups_partial_update', 'Change a group in part', { 200: Group }),
        },
      },
      async (request) => {
        const [pk, input] = [request.params.uuid.toLowerCase(), withoutRoles(request.body)];
        await ctx.change((tx) => updateGroup(tx, pk, input), actor(request));
        return answer(pk);
      },
    );

    app.delete(
      '/core/groups/:uuid/',
      { schema: { params: byUuid, ...operation('core_groups_destroy', 'Delete a group', { 204: noContent }) } },
      async (request, reply) => {
        await ctx.change((tx) => deleteGroup(tx, request.params.uuid.toLowerCase()), actor(request));
        return reply.code(204).send();
      },
    );

    app.post(
      '/core/groups/:uuid/add_user/',
      {
        schema: {
          params: byUuid,
          body: member,
          ...operation('core_groups_add_user_create', 'Add a member', { 204: noContent }),
        },
      },
      async (request, reply) => {
        if (!(await userById(ctx.db, request.body.pk))) throw notFound();
        await ctx.change((tx) => addMember(tx, request.params.uuid.toLowerCase(), request.body.pk), actor(request));
        return reply.code(204).send();
      },
    );

    app.post(
      '/core/groups/:uuid/remove_user/',
      {
        schema: {
          params: byUuid,
          body: member,
          ...operation('core_groups_remove_user_create', 'Remove a member', { 204: noContent }),
        },
      },
      async (request, reply) => {
        if (!(await userById(ctx.db, request.body.pk))) throw notFound();
        await ctx.change((tx) => removeMember(tx, request.params.uuid.toLowerCase(), request.body.pk), actor(request));
        return reply.code(204).send();
      },
    );
  };
