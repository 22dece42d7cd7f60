/** People and service accounts (spec/server.md 2.1). */
import { createHash, randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import { deleteFact } from '../storage/installation.ts';
import type { UserRow } from '../storage/rows.ts';
import { dropBindings } from '../access/drop-bindings.ts';
import { checkAttributes } from './attributes.ts';
import type { Attributes } from './attributes.ts';
import { headersChanged, personChanged } from './changed.ts';
import { isSuperuser } from './membership.ts';
import { holdsControls, nameProblem } from './names.ts';
import { endSessionsOf } from './sessions.ts';

export const USER_TYPES = ['internal', 'external', 'service_account', 'internal_service_account'] as const;
export type UserType = (typeof USER_TYPES)[number];

export interface UserInput {
  username: string;
  name?: string;
  email?: string;
  is_active?: boolean;
  type?: UserType;
  path?: string;
  attributes?: Attributes;
  /** uuids of the groups the person is put into */
  groups?: readonly string[];
}

/** Two spellings of one name are one account. */
export function foldUsername(username: string): string {
  return username.normalize('NFKC').toLowerCase();
}

export function userById(db: Db, id: number): Promise<UserRow | undefined> {
  return db.selectFrom('user').selectAll().where('id', '=', id).executeTakeFirst();
}

export function userByUid(db: Db, uid: string): Promise<UserRow | undefined> {
  return db.selectFrom('user').selectAll().where('uid', '=', uid).executeTakeFirst();
}

/** @param username in any spelling */
export function userByUsername(db: Db, username: string): Promise<UserRow | undefined> {
  return db.selectFrom('user').selectAll().where('username_folded', '=', foldUsername(username)).executeTakeFirst();
}

/** @throws InvalidInput by field: a taken username, an unusable path, attributes that cannot be headers, … */
export async function createUser(tx: Change, input: UserInput): Promise<UserRow> {
  await check(tx.db, input, undefined);
  const { id } = await tx.db
    .insertInto('user')
    .values({
      uuid: randomUUID(),
      uid: randomUUID(), // replaced below: the real one is made from the id
      username: input.username,
      username_folded: foldUsername(input.username),
      name: input.name ?? '',
      email: input.email ?? '',
      password: '',
      password_change_date: tx.now,
      is_active: Number(input.is_active ?? true),
      type: input.type ?? 'internal',
      path: input.path ?? 'users',
      attributes: JSON.stringify(input.attributes ?? {}),
      last_login: null,
      date_joined: tx.now,
      last_updated: tx.now,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  const uid = createHash('sha256').update(`${id}-${tx.installation.id}`).digest('hex');
  const user = await tx.db
    .updateTable('user')
    .set({ uid })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await joinGroups(tx.db, id, input.groups ?? []);
  headersChanged(tx, '{}', input.attributes);
  await tx.audit('model_created', { context: { model: modelRef('user', id, user.username) } });
  return user;
}

/**
 * Changes what the patch names. Deactivation ends every session of the person and every token's use at once.
 */
export async function updateUser(tx: Change, id: number, patch: Partial<UserInput>): Promise<UserRow> {
  const before = await userById(tx.db, id);
  if (before === undefined) throw notFound('user');
  await check(tx.db, patch, before);
  const user = await tx.db
    .updateTable('user')
    .set({
      ...(patch.username === undefined
        ? {}
        : { username: patch.username, username_folded: foldUsername(patch.username) }),
      ...(patch.name === undefined ? {} : { name: patch.name }),
      ...(patch.email === undefined ? {} : { email: patch.email }),
      ...(patch.is_active === undefined ? {} : { is_active: Number(patch.is_active) }),
      ...(patch.type === undefined ? {} : { type: patch.type }),
      ...(patch.path === undefined ? {} : { path: patch.path }),
      ...(patch.attributes === undefined ? {} : { attributes: JSON.stringify(patch.attributes) }),
      last_updated: tx.now,
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (patch.groups !== undefined) {
    await tx.db.deleteFrom('group_member').where('user_id', '=', id).execute();
    await joinGroups(tx.db, id, patch.groups);
  }
  if (before.is_active === 1 && user.is_active === 0) await shutOut(tx, user);
  else await personChanged(tx, user.uid, 'refresh');
  headersChanged(tx, before.attributes, patch.attributes);
  await tx.audit('model_updated', { context: { model: modelRef('user', id, user.username) } });
  return user;
}

export async function deleteUser(tx: Change, id: number): Promise<void> {
  const user = await userById(tx.db, id);
  if (user === undefined) throw notFound('user');
  const outpost = await tx.db.selectFrom('outpost').select('name').where('user_id', '=', id).executeTakeFirst();
  if (outpost !== undefined) {
    throw new InvalidInput({
      non_field_errors: [`The outpost ${outpost.name} works with this account. Delete the outpost instead.`],
    });
  }
  await shutOut(tx, user);
  await dropBindings(tx, { user_id: id });
  await tx.db.deleteFrom('user').where('id', '=', id).execute();
  await tx.audit('model_deleted', { context: { model: modelRef('user', id, user.username) } });
}

/**
 * Sets a password and ends the person's sessions.
 * @param hash from hashPassword(), made before the change
 * @param options.keepSid the session in which the person changes their own password
 */
export async function setPassword(
  tx: Change,
  id: number,
  hash: string,
  options: { keepSid?: string } = {},
): Promise<void> {
  const user = await tx.db
    .updateTable('user')
    .set({ password: hash, password_change_date: tx.now, last_updated: tx.now })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  if (user === undefined) throw notFound('user');
  await endSessionsOf(tx, id, options.keepSid);
  // from now on somebody can sign in and help the others: the set-up link is over for good (spec/security.md L)
  if (await isSuperuser(tx.db, id)) await deleteFact(tx.db, 'setup_token_hash');
  await tx.audit('password_set', { context: { model: modelRef('user', id, user.username) } });
}

/** Everything this person has in hand is over: sessions, codes, tokens, sessions at outposts without one of ours. */
async function shutOut(tx: Change, user: UserRow): Promise<void> {
  tx.credentialsEnded();
  await endSessionsOf(tx, user.id);
  await tx.db.deleteFrom('oidc_artefact').where('user_id', '=', user.id).execute();
  await personChanged(tx, user.uid, 'deny');
}

async function joinGroups(db: Db, userId: number, groups: readonly string[]): Promise<void> {
  for (const group_uuid of new Set(groups)) {
    await db.insertInto('group_member').values({ group_uuid, user_id: userId }).execute();
  }
}

async function check(db: Db, input: Partial<UserInput>, before: UserRow | undefined): Promise<void> {
  const problems: Record<string, string[]> = {};
  const { username, path, type } = input;
  if (username !== undefined) {
    const other = await userByUsername(db, username);
    const problem = nameProblem(username);
    if (username.trim() === '') problems['username'] = ['Give a username.'];
    else if (problem !== undefined) problems['username'] = [problem];
    else if (username.length > 150) problems['username'] = ['Use at most 150 characters.'];
    else if (other !== undefined && other.id !== before?.id) problems['username'] = ['This username is taken.'];
  }
  if (holdsControls(input.name ?? '')) problems['name'] = ['Leave out control characters.'];
  if (holdsControls(input.email ?? '')) problems['email'] = ['Leave out control characters.'];
  if (path !== undefined && path.split('/').includes('')) {
    problems['path'] = ['Leave out slashes at the ends and empty parts.'];
  }
  const internal = 'internal_service_account';
  if (before !== undefined && type !== undefined && (before.type === internal) !== (type === internal)) {
    problems['type'] = ['The type of an internal service account cannot be changed, and no account can become one.'];
  }
  const attributes = checkAttributes(input.attributes ?? {});
  if (attributes.length > 0) problems['attributes'] = attributes;
  const groups = [...new Set(input.groups ?? [])];
  if (groups.length > 0) {
    const found = await db.selectFrom('group_').select('uuid').where('uuid', 'in', groups).execute();
    const known = new Set(found.map((row) => row.uuid));
    const missing = groups.filter((uuid) => !known.has(uuid));
    if (missing.length > 0) problems['groups'] = missing.map((uuid) => `There is no group ${uuid}.`);
  }
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}
