/** Who belongs to which groups. Groups nest, with many parents; a member of a child is a member of each ancestor. */
import type { Db } from '../storage/database.ts';
import type { GroupRow } from '../storage/rows.ts';

/** Groups a person was put into, by name. */
export function directGroups(db: Db, userId: number): Promise<GroupRow[]> {
  return db
    .selectFrom('group_')
    .innerJoin('group_member', 'group_member.group_uuid', 'group_.uuid')
    .where('group_member.user_id', '=', userId)
    .selectAll('group_')
    .orderBy('group_.name')
    .execute();
}

/** Direct groups and all their ancestors, by name. */
export function allGroups(db: Db, userId: number): Promise<GroupRow[]> {
  return db
    .withRecursive('membership', (q) =>
      q
        .selectFrom('group_member')
        .where('user_id', '=', userId)
        .select('group_uuid as uuid')
        .union((u) =>
          u
            .selectFrom('group_parent')
            .innerJoin('membership', 'membership.uuid', 'group_parent.group_uuid')
            .select('group_parent.parent_uuid as uuid'),
        ),
    )
    .selectFrom('group_')
    .where('group_.uuid', 'in', (q) => q.selectFrom('membership').select('membership.uuid'))
    .selectAll()
    .orderBy('name')
    .execute();
}

/** True when any group of the person, ancestors included, makes superusers. */
export async function isSuperuser(db: Db, userId: number): Promise<boolean> {
  return (await allGroups(db, userId)).some((group) => group.is_superuser === 1);
}

/** The group and everything below it. */
export async function withDescendants(db: Db, groupUuid: string): Promise<string[]> {
  const rows = await db
    .withRecursive('below', (q) =>
      q
        .selectFrom('group_')
        .where('uuid', '=', groupUuid)
        .select('uuid')
        .union((u) =>
          u
            .selectFrom('group_parent')
            .innerJoin('below', 'below.uuid', 'group_parent.parent_uuid')
            .select('group_parent.group_uuid as uuid'),
        ),
    )
    .selectFrom('below')
    .select('uuid')
    .execute();
  return rows.map((row) => row.uuid);
}

/** Public identifiers of everybody who is a member directly or through a descendant, at most `limit`. */
export async function effectiveMemberUids(db: Db, groupUuid: string, limit: number): Promise<string[]> {
  const groups = await withDescendants(db, groupUuid);
  const rows = await db
    .selectFrom('user')
    .select('uid')
    .where('id', 'in', (q) =>
      q.selectFrom('group_member').select('group_member.user_id').where('group_uuid', 'in', groups),
    )
    .limit(limit)
    .execute();
  return rows.map((row) => row.uid);
}
