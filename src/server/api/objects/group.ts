/** Published object Group (spec/server.md 2.2 and 10.2). */
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../storage/schema.ts';
import { jsonObject, uuidOut } from '../fields.ts';
import { PartialUser, partialUser } from './user.ts';

type GroupRow = Selectable<Database['group_']>;
type Db = Kysely<Database>;

const RelatedGroup = z.strictObject({
  pk: uuidOut,
  name: z.string(),
  is_superuser: z.boolean(),
  attributes: jsonObject,
  group_uuid: uuidOut,
});

export const Group = z.strictObject({
  pk: uuidOut,
  num_pk: z.int(),
  name: z.string(),
  is_superuser: z.boolean(),
  parents: z.array(uuidOut),
  parents_obj: z.array(RelatedGroup).nullable(),
  users: z.array(z.int()),
  users_obj: z.array(PartialUser).nullable(),
  attributes: jsonObject,
  roles: z.array(uuidOut),
  roles_obj: z.array(z.never()),
  inherited_roles_obj: z.array(z.never()).nullable(),
  children: z.array(uuidOut),
  children_obj: z.array(RelatedGroup).nullable(),
});

/** Which related objects an answer carries; the lists of their keys are always there. */
export interface GroupIncludes {
  users: boolean;
  parents: boolean;
  children: boolean;
  inheritedRoles: boolean;
}

const relatedGroup = (row: GroupRow): z.output<typeof RelatedGroup> => ({
  pk: row.uuid,
  name: row.name,
  is_superuser: row.is_superuser === 1,
  attributes: JSON.parse(row.attributes) as Record<string, unknown>,
  group_uuid: row.uuid,
});

export async function groups(
  db: Db,
  rows: readonly GroupRow[],
  include: GroupIncludes,
): Promise<z.output<typeof Group>[]> {
  if (rows.length === 0) return [];
  const uuids = rows.map((row) => row.uuid);
  const members = await db
    .selectFrom('group_member')
    .innerJoin('user', 'user.id', 'group_member.user_id')
    .where('group_member.group_uuid', 'in', uuids)
    .selectAll('user')
    .select('group_member.group_uuid')
    .orderBy('user.id')
    .execute();
  const parents = await db
    .selectFrom('group_parent')
    .innerJoin('group_', 'group_.uuid', 'group_parent.parent_uuid')
    .where('group_parent.group_uuid', 'in', uuids)
    .selectAll('group_')
    .select('group_parent.group_uuid as of')
    .orderBy('group_.name')
    .execute();
  const children = await db
    .selectFrom('group_parent')
    .innerJoin('group_', 'group_.uuid', 'group_parent.group_uuid')
    .where('group_parent.parent_uuid', 'in', uuids)
    .selectAll('group_')
    .select('group_parent.parent_uuid as of')
    .orderBy('group_.name')
    .execute();
  const membersBy = Map.groupBy(members, (row) => row.group_uuid);
  const parentsBy = Map.groupBy(parents, (row) => row.of);
  const childrenBy = Map.groupBy(children, (row) => row.of);
  return rows.map((row) => {
    const own = membersBy.get(row.uuid) ?? [];
    const above = parentsBy.get(row.uuid) ?? [];
    const below = childrenBy.get(row.uuid) ?? [];
    return {
      pk: row.uuid,
      num_pk: row.num_pk,
      name: row.name,
      is_superuser: row.is_superuser === 1,
      parents: above.map((group) => group.uuid),
      parents_obj: include.parents ? above.map(relatedGroup) : null,
      users: own.map((user) => user.id),
      users_obj: include.users ? own.map(partialUser) : null,
      attributes: JSON.parse(row.attributes) as Record<string, unknown>,
      roles: [],
      roles_obj: [],
      inherited_roles_obj: include.inheritedRoles ? [] : null,
      children: below.map((group) => group.uuid),
      children_obj: include.children ? below.map(relatedGroup) : null,
    };
  });
}
