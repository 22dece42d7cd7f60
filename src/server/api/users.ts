/** `/core/users/` (spec/server.md 2.1 and 10). */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { createUser, deleteUser, updateUser, userById } from '../directory/users.ts';
import type { UserRow } from '../storage/rows.ts';
import { actor, caller } from './authenticate.ts';
import { invalid, notFound } from './errors.ts';
import { byPk, flag, jsonObject, readPk, repeatable, uuid } from './fields.ts';
import { hasAttributes, search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { superuserIds, User, USER_TYPES, users, userSelf, UserSelf } from './objects/user.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

/** Deliberately wide: addresses within a house (`root@localhost`, other scripts) are addresses too. */
const mailAddress = z
  .string()
  .max(254)
  .regex(/^[^\s@<>(),;:"\\\p{Cc}]+@[^\s@<>(),;:"\\\p{Cc}]+$/u, { error: 'Enter a valid email address.' });

const body = writable(
  {
    username: z.string().trim().min(1).max(150),
    name: z.string().max(1000),
    is_active: z.boolean().optional(),
    groups: z.array(uuid).optional(),
    roles: z.array(z.never({ error: 'Roles are not supported here.' })).optional(),
    email: z.union([z.literal(''), mailAddress]).optional(),
    attributes: jsonObject.optional(),
    path: z.string().max(1000).optional(),
    type: z.enum(USER_TYPES).optional(),
  },
  [
    'pk',
    'last_login',
    'date_joined',
    'is_superuser',
    'groups_obj',
    'roles_obj',
    'avatar',
    'uid',
    'uuid',
    'password_change_date',
    'last_updated',
  ],
);

const includes = { include_groups: flag.optional(), include_roles: flag.optional() };

const query = listQuery({
  ...includes,
  username: z.string().optional(),
  email: z.string().optional(),
  name: z.string().optional(),
  is_active: flag.optional(),
  is_superuser: flag.optional(),
  uuid: uuid.optional(),
  path: z.string().optional(),
  path_startswith: z.string().optional(),
  type: repeatable(z.enum(USER_TYPES)),
  groups_by_name: repeatable(z.string()),
  groups_by_pk: repeatable(uuid),
  attributes: z.string().optional(),
});

/** `roles` are not part of Gatehouse; the key is accepted empty. */
const withoutRoles = <T extends { roles?: unknown }>({ roles: _, ...input }: T) => defined(input);

export const userRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (row: UserRow | undefined) => {
      if (!row) throw notFound();
      const [object] = await users(ctx.db, [row]);
      if (!object) throw notFound();
      return object;
    };

    app.get(
      '/core/users/',
      { schema: { querystring: query, ...operation('core_users_list', 'List people', { 200: pageOf(User) }) } },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('user').selectAll('user');
        if (q.username !== undefined) rows = rows.where('username', '=', q.username);
        if (q.email !== undefined) rows = rows.where('email', '=', q.email);
        if (q.name !== undefined) rows = rows.where('name', '=', q.name);
        if (q.is_active !== undefined) rows = rows.where('is_active', '=', q.is_active ? 1 : 0);
        if (q.uuid !== undefined) rows = rows.where('uuid', '=', q.uuid);
        if (q.path !== undefined) rows = rows.where('path', '=', q.path);
        if (q.path_startswith !== undefined) {
          const prefix = q.path_startswith;
          rows = rows.where((eb) => eb(eb.fn('substr', ['path', eb.lit(1), eb.val(prefix.length)]), '=', prefix));
        }
        if (q.type !== undefined) rows = rows.where('type', 'in', q.type);
        if (q.is_superuser !== undefined)
          rows = rows.where('id', q.is_superuser ? 'in' : 'not in', superuserIds(ctx.db));
        if (q.groups_by_name !== undefined) {
          const names = q.groups_by_name;
          rows = rows.where('id', 'in', (eb) =>
            eb
              .selectFrom('group_member')
              .innerJoin('group_', 'group_.uuid', 'group_member.group_uuid')
              .where('group_.name', 'in', names)
              .select('group_member.user_id'),
          );
        }
        if (q.groups_by_pk !== undefined) {
          const uuids = q.groups_by_pk;
          rows = rows.where('id', 'in', (eb) =>
            eb.selectFrom('group_member').where('group_uuid', 'in', uuids).select('user_id'),
          );
        }
        if (q.attributes !== undefined) rows = rows.where(hasAttributes('attributes', q.attributes));
        if (q.search) rows = rows.where(search(['username', 'name', 'email', 'uuid'], q.search));
        const columns = {
          pk: 'id',
          username: 'username_folded',
          name: 'name',
          email: 'email',
          is_active: 'is_active',
          last_login: 'last_login',
          date_joined: 'date_joined',
          last_updated: 'last_updated',
          type: 'type',
          path: 'path',
        } as const;
        for (const [column, way] of ordering(q.ordering, columns, [['username_folded', 'asc']])) {
          rows = rows.orderBy(column, way);
        }
        return pageOfQuery(rows.orderBy('id'), q, (page) => users(ctx.db, page, q.include_groups ?? true));
      },
    );

    app.post(
      '/core/users/',
      { schema: { body: body.full, ...operation('core_users_create', 'Create a person', { 201: User }) } },
      async (request, reply) => {
        const input = withoutRoles(request.body);
        if (input.type === 'internal_service_account') {
          throw invalid('type', 'Accounts of this type belong to outposts and are made with them.');
        }
        const row = await ctx.change((tx) => createUser(tx, input), actor(request));
        return reply.code(201).send(await answer(row));
      },
    );

    app.get(
      '/core/users/me/',
      {
        config: { access: ['person', 'outpost'] },
        schema: operation('core_users_me_retrieve', 'The caller', { 200: z.strictObject({ user: UserSelf }) }),
      },
      async (request) => ({ user: await userSelf(ctx.db, caller(request).user) }),
    );

    app.get(
      '/core/users/:pk/',
      {
        schema: {
          params: byPk,
          querystring: z.strictObject(includes),
          ...operation('core_users_retrieve', 'One person', { 200: User }),
        },
      },
      async (request) => answer(await userById(ctx.db, readPk(request.params.pk))),
    );

    app.put(
      '/core/users/:pk/',
      {
        schema: { params: byPk, body: body.full, ...operation('core_users_update', 'Change a person', { 200: User }) },
      },
      async (request) => {
        const [pk, input] = [readPk(request.params.pk), withoutRoles(request.body)];
        await ctx.change((tx) => updateUser(tx, pk, input), actor(request));
        return answer(await userById(ctx.db, pk));
      },
    );

    app.patch(
      '/core/users/:pk/',
      {
        schema: {
          params: byPk,
          body: body.partial,
          ...operation('core_users_partial_update', 'Change a person in part', { 200: User }),
        },
      },
      async (request) => {
        const [pk, input] = [readPk(request.params.pk), withoutRoles(request.body)];
        await ctx.change((tx) => updateUser(tx, pk, input), actor(request));
        return answer(await userById(ctx.db, pk));
      },
    );

    app.delete(
      '/core/users/:pk/',
      { schema: { params: byPk, ...operation('core_users_destroy', 'Delete a person', { 204: noContent }) } },
      async (request, reply) => {
        await ctx.change((tx) => deleteUser(tx, readPk(request.params.pk)), actor(request));
        return reply.code(204).send();
      },
    );
  };
