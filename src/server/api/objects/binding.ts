/** Published object PolicyBinding (spec/server.md 8.1). */
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../storage/schema.ts';
import { uuidOut } from '../fields.ts';
import { PartialGroup, partialGroup } from './partial-group.ts';
import { PartialUser, partialUser } from './user.ts';

export const PolicyBinding = z.strictObject({
  pk: uuidOut,
  policy: uuidOut.nullable(),
  group: uuidOut.nullable(),
  user: z.int().nullable(),
  policy_obj: z.null(),
  group_obj: PartialGroup.nullable(),
  user_obj: PartialUser.nullable(),
  target: uuidOut,
  negate: z.boolean(),
  enabled: z.boolean(),
  order: z.int(),
  timeout: z.int(),
  failure_result: z.boolean(),
});

export async function policyBindings(
  db: Kysely<Database>,
  rows: readonly Selectable<Database['policy_binding']>[],
): Promise<z.output<typeof PolicyBinding>[]> {
  const groupIds = rows.flatMap((row) => row.group_uuid ?? []);
  const userIds = rows.flatMap((row) => row.user_id ?? []);
  const groups = groupIds.length
    ? await db.selectFrom('group_').where('uuid', 'in', groupIds).selectAll().execute()
    : [];
  const users = userIds.length ? await db.selectFrom('user').where('id', 'in', userIds).selectAll().execute() : [];
  const groupBy = new Map(groups.map((row) => [row.uuid, partialGroup(row)]));
  const userBy = new Map(users.map((row) => [row.id, partialUser(row)]));
  return rows.map((row) => ({
    pk: row.uuid,
    policy: null,
    group: row.group_uuid,
    user: row.user_id,
    policy_obj: null,
    group_obj: row.group_uuid === null ? null : (groupBy.get(row.group_uuid) ?? null),
    user_obj: row.user_id === null ? null : (userBy.get(row.user_id) ?? null),
    target: row.target,
    negate: row.negate === 1,
    enabled: row.enabled === 1,
    order: row.order_,
    timeout: row.timeout,
    failure_result: row.failure_result === 1,
  }));
}
