/** Published objects of people: User, PartialUser, UserSelf (spec/server.md 10.2). */
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../storage/schema.ts';
import { iso, isoOrNull, jsonObject, timestamp, uuidOut } from '../fields.ts';
import { avatar } from './avatar.ts';
import { partialGroup, PartialGroup } from './partial-group.ts';

type UserRow = Selectable<Database['user']>;
type Db = Kysely<Database>;

export const USER_TYPES = ['internal', 'external', 'service_account', 'internal_service_account'] as const;
const userType = z.enum(USER_TYPES);

export const PartialUser = z.strictObject({
  pk: z.int(),
  username: z.string(),
  name: z.string(),
  is_active: z.boolean(),
  last_login: timestamp.nullable(),
  email: z.string(),
  attributes: jsonObject,
  uid: z.string(),
});

export const User = z.strictObject({
  pk: z.int(),
  username: z.string(),
  name: z.string(),
  is_active: z.boolean(),
  last_login: timestamp.nullable(),
  date_joined: timestamp,
  is_superuser: z.boolean(),
  groups: z.array(uuidOut),
  groups_obj: z.array(PartialGroup).nullable(),
  roles: z.array(uuidOut),
  roles_obj: z.array(z.never()).nullable(),
  email: z.string(),
  avatar: z.string(),
  attributes: jsonObject,
  uid: z.string(),
  path: z.string(),
  type: userType,
  uuid: uuidOut,
  password_change_date: timestamp,
  last_updated: timestamp,
});

const Named = z.strictObject({ name: z.string(), pk: z.string() });

export const UserSelf = z.strictObject({
  pk: z.int(),
  username: z.string(),
  name: z.string(),
  is_active: z.boolean(),
  is_superuser: z.boolean(),
  groups: z.array(Named),
  roles: z.array(Named),
  email: z.string(),
  avatar: z.string(),
  uid: z.string(),
  settings: jsonObject,
  type: userType,
  system_permissions: z.array(z.string()),
});

const readAttributes = (text: string) => JSON.parse(text) as Record<string, unknown>;

export const partialUser = (row: UserRow): z.output<typeof PartialUser> => ({
  pk: row.id,
  username: row.username,
  name: row.name,
  is_active: row.is_active === 1,
  last_login: isoOrNull(row.last_login),
  email: row.email,
  attributes: readAttributes(row.attributes),
  uid: row.uid,
});

/** Direct groups of each of these people, by name. */
async function groupsOf(db: Db, ids: readonly number[]) {
  const byUser = new Map<number, Selectable<Database['group_']>[]>();
  if (ids.length === 0) return byUser;
  const rows = await db
    .selectFrom('group_member')
    .innerJoin('group_', 'group_.uuid', 'group_member.group_uuid')
    .where('group_member.user_id', 'in', [...ids])
    .selectAll('group_')
    .select('group_member.user_id')
    .orderBy('group_.name')
    .execute();
  for (const { user_id, ...group } of rows) {
    const list = byUser.get(user_id);
    if (list) list.push(group);
    else byUser.set(user_id, [group]);
  }
  return byUser;
}

/** Query of the ids of everyone who is superuser through a group or one of its ancestors (spec/server.md 2.1). */
export const superuserIds = (db: Db) =>
  db
    .withRecursive('superuser_group(uuid)', (q) =>
      q
        .selectFrom('group_')
        .where('is_superuser', '=', 1)
        .select('uuid')
        .union(
          q
            .selectFrom('group_parent')
            .innerJoin('superuser_group', 'superuser_group.uuid', 'group_parent.parent_uuid')
            .select('group_parent.group_uuid as uuid'),
        ),
    )
    .selectFrom('group_member')
    .innerJoin('superuser_group', 'superuser_group.uuid', 'group_member.group_uuid')
    .select('group_member.user_id');

async function superusersAmong(db: Db, ids: readonly number[]): Promise<ReadonlySet<number>> {
  if (ids.length === 0) return new Set();
  const rows = await superuserIds(db)
    .where('group_member.user_id', 'in', [...ids])
    .execute();
  return new Set(rows.map((row) => row.user_id));
}

/**
 * Published User objects.
 * @param withGroups false: `groups_obj` is null, as with `include_groups=false`
 */
export async function users(db: Db, rows: readonly UserRow[], withGroups = true): Promise<z.output<typeof User>[]> {
  const ids = rows.map((row) => row.id);
  const [groups, superusers] = [await groupsOf(db, ids), await superusersAmong(db, ids)];
  return rows.map((row) => {
    const own = groups.get(row.id) ?? [];
    return {
      pk: row.id,
      username: row.username,
      name: row.name,
      is_active: row.is_active === 1,
      last_login: isoOrNull(row.last_login),
      date_joined: iso(row.date_joined),
      is_superuser: superusers.has(row.id),
      groups: own.map((group) => group.uuid),
      groups_obj: withGroups ? own.map(partialGroup) : null,
      roles: [],
      roles_obj: [],
      email: row.email,
      avatar: avatar(row.name || row.username, row.uid),
      attributes: readAttributes(row.attributes),
      uid: row.uid,
      path: row.path,
      type: userType.parse(row.type),
      uuid: row.uuid,
      password_change_date: iso(row.password_change_date),
      last_updated: iso(row.last_updated),
    };
  });
}

/** What people may know about themselves. */
export async function userSelf(db: Db, row: UserRow): Promise<z.output<typeof UserSelf>> {
  const groups = (await groupsOf(db, [row.id])).get(row.id) ?? [];
  const superuser = (await superusersAmong(db, [row.id])).has(row.id);
  return {
    pk: row.id,
    username: row.username,
    name: row.name,
    is_active: row.is_active === 1,
    is_superuser: superuser,
    groups: groups.map((group) => ({ name: group.name, pk: group.uuid })),
    roles: [],
    email: row.email,
    avatar: avatar(row.name || row.username, row.uid),
    uid: row.uid,
    settings: {},
    type: userType.parse(row.type),
    system_permissions: [],
  };
}
