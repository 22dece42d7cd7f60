/** Groups (spec/server.md 2.2): they nest, with many parents, never in a circle. */
import { randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import { dropBindings } from '../access/drop-bindings.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { GroupRow } from '../storage/rows.ts';
import { checkAttributes } from './attributes.ts';
import type { Attributes } from './attributes.ts';
import { headersChanged, membersChanged, peopleChanged } from './changed.ts';
import { withDescendants } from './membership.ts';
import { nameProblem } from './names.ts';

export interface GroupInput {
  name: string;
  is_superuser?: boolean;
  attributes?: Attributes;
  /** uuids */
  parents?: readonly string[];
  /** ids of direct members */
  users?: readonly number[];
}

export function groupByUuid(db: Db, uuid: string): Promise<GroupRow | undefined> {
  return db.selectFrom('group_').selectAll().where('uuid', '=', uuid).executeTakeFirst();
}

export function groupByName(db: Db, name: string): Promise<GroupRow | undefined> {
  return db.selectFrom('group_').selectAll().where('name', '=', name).executeTakeFirst();
}

/** @throws InvalidInput by field: a taken name, unknown parents or people, attributes that cannot be headers */
export async function createGroup(tx: Change, input: GroupInput): Promise<GroupRow> {
  await check(tx.db, input, undefined);
  const uuid = randomUUID();
  const group = await tx.db
    .insertInto('group_')
    .values({
      uuid,
      num_pk: Number(
        BigInt(`0x${uuid.replaceAll('-', '')}`)
          .toString()
          .slice(0, 5),
      ),
      name: input.name,
      is_superuser: Number(input.is_superuser ?? false),
      attributes: JSON.stringify(input.attributes ?? {}),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await setParents(tx.db, uuid, input.parents ?? []);
  await setMembers(tx.db, uuid, input.users ?? []);
  await membersChanged(tx, [uuid]);
  headersChanged(tx, '{}', input.attributes);
  await tx.audit('model_created', { context: { model: modelRef('group', uuid, group.name) } });
  return group;
}

export async function updateGroup(tx: Change, uuid: string, patch: Partial<GroupInput>): Promise<GroupRow> {
  const before = await groupByUuid(tx.db, uuid);
  if (before === undefined) throw notFound('group');
  await check(tx.db, patch, before);
  // Who leaves is affected as much as who stays: told before and after.
  const left = patch.users === undefined ? [] : await leaving(tx.db, uuid, patch.users);
  const group = await tx.db
    .updateTable('group_')
    .set({
      name: patch.name ?? before.name,
      is_superuser: Number(patch.is_superuser ?? before.is_superuser),
      attributes: patch.attributes === undefined ? before.attributes : JSON.stringify(patch.attributes),
    })
    .where('uuid', '=', uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (patch.parents !== undefined) await setParents(tx.db, uuid, patch.parents);
  if (patch.users !== undefined) await setMembers(tx.db, uuid, patch.users);
  await peopleChanged(tx, left);
  await membersChanged(tx, [uuid]);
  headersChanged(tx, before.attributes, patch.attributes);
  await tx.audit('model_updated', { context: { model: modelRef('group', uuid, group.name) } });
  return group;
}

export async function deleteGroup(tx: Change, uuid: string): Promise<void> {
  const group = await groupByUuid(tx.db, uuid);
  if (group === undefined) throw notFound('group');
  await membersChanged(tx, [uuid]);
  await dropBindings(tx, { group_uuid: uuid });
  await tx.db.deleteFrom('group_').where('uuid', '=', uuid).execute();
  await tx.audit('model_deleted', { context: { model: modelRef('group', uuid, group.name) } });
}

/** Puts a person into a group; nothing happens when they are in it. */
export async function addMember(tx: Change, uuid: string, userId: number): Promise<void> {
  const { group, uid } = await pair(tx.db, uuid, userId);
  await tx.db
    .insertInto('group_member')
    .values({ group_uuid: uuid, user_id: userId })
    .onConflict((c) => c.doNothing())
    .execute();
  await peopleChanged(tx, [uid]);
  await tx.audit('model_updated', { context: { model: modelRef('group', uuid, group.name) } });
}

export async function removeMember(tx: Change, uuid: string, userId: number): Promise<void> {
  const { group, uid } = await pair(tx.db, uuid, userId);
  await tx.db.deleteFrom('group_member').where('group_uuid', '=', uuid).where('user_id', '=', userId).execute();
  await peopleChanged(tx, [uid]);
  await tx.audit('model_updated', { context: { model: modelRef('group', uuid, group.name) } });
}

async function pair(db: Db, uuid: string, userId: number) {
  const group = await groupByUuid(db, uuid);
  if (group === undefined) throw notFound('group');
  const user = await db.selectFrom('user').select('uid').where('id', '=', userId).executeTakeFirst();
  if (user === undefined) throw notFound('user');
  return { group, uid: user.uid };
}

async function leaving(db: Db, uuid: string, staying: readonly number[]): Promise<string[]> {
  const rows = await db
    .selectFrom('user')
    .innerJoin('group_member', 'group_member.user_id', 'user.id')
    .select(['user.id', 'user.uid'])
    .where('group_member.group_uuid', '=', uuid)
    .execute();
  const stay = new Set(staying);
  return rows.filter((row) => !stay.has(row.id)).map((row) => row.uid);
}

async function setParents(db: Db, uuid: string, parents: readonly string[]): Promise<void> {
  await db.deleteFrom('group_parent').where('group_uuid', '=', uuid).execute();
  for (const parent_uuid of new Set(parents)) {
    await db.insertInto('group_parent').values({ group_uuid: uuid, parent_uuid }).execute();
  }
}

async function setMembers(db: Db, uuid: string, users: readonly number[]): Promise<void> {
  await db.deleteFrom('group_member').where('group_uuid', '=', uuid).execute();
  for (const user_id of new Set(users)) {
    await db.insertInto('group_member').values({ group_uuid: uuid, user_id }).execute();
  }
}

async function check(db: Db, input: Partial<GroupInput>, before: GroupRow | undefined): Promise<void> {
  const problems: Record<string, string[]> = {};
  if (input.name !== undefined) {
    const other = await groupByName(db, input.name);
    const problem = nameProblem(input.name);
    if (input.name.trim() === '') problems['name'] = ['Give a name.'];
    else if (problem !== undefined) problems['name'] = [problem];
    else if (other !== undefined && other.uuid !== before?.uuid)
      problems['name'] = ['There is a group with this name.'];
  }
  const attributes = checkAttributes(input.attributes ?? {});
  if (attributes.length > 0) problems['attributes'] = attributes;
  const parents = await parentProblems(db, input.parents ?? [], before);
  if (parents.length > 0) problems['parents'] = parents;
  const users = [...new Set(input.users ?? [])];
  if (users.length > 0) {
    const found = await db.selectFrom('user').select('id').where('id', 'in', users).execute();
    const known = new Set(found.map((row) => row.id));
    const missing = users.filter((id) => !known.has(id));
    if (missing.length > 0) problems['users'] = missing.map((id) => `There is no user ${id}.`);
  }
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}

async function parentProblems(db: Db, wanted: readonly string[], before: GroupRow | undefined): Promise<string[]> {
  const parents = [...new Set(wanted)];
  if (parents.length === 0) return [];
  const found = await db.selectFrom('group_').select(['uuid', 'name']).where('uuid', 'in', parents).execute();
  const names = new Map(found.map((row) => [row.uuid, row.name]));
  const below = new Set(before === undefined ? [] : await withDescendants(db, before.uuid));
  return parents.flatMap((uuid) => {
    const name = names.get(uuid);
    if (name === undefined) return [`There is no group ${uuid}.`];
    return below.has(uuid) ? [`${name} is this group itself or lies below it: groups cannot nest in a circle.`] : [];
  });
}
