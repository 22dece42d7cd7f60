/** Entitlements: named rights inside one application, bound to groups and people (spec/server.md 2.4). */
import { randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import { allGroups } from '../directory/membership.ts';
import { nameProblem } from '../directory/names.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, EntitlementRow, UserRow } from '../storage/rows.ts';
import { bindingsChanged, providerChanged } from './changed.ts';
import { matches } from './check-access.ts';

export interface EntitlementInput {
  name: string;
  /** uuid of the application */
  app: string;
  attributes?: Record<string, unknown>;
}

/** @throws InvalidInput by field: an unknown application, a name it has already */
export async function createEntitlement(tx: Change, input: EntitlementInput): Promise<EntitlementRow> {
  await check(tx.db, input.app, input.name, undefined);
  const entitlement = await tx.db
    .insertInto('application_entitlement')
    .values({
      uuid: randomUUID(),
      application_uuid: input.app,
      name: input.name,
      attributes: JSON.stringify(input.attributes ?? {}),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await tx.audit('model_created', { context: { model: ref(entitlement) } });
  return entitlement;
}

export async function updateEntitlement(
  tx: Change,
  uuid: string,
  patch: Partial<Omit<EntitlementInput, 'app'>>,
): Promise<EntitlementRow> {
  const before = await byUuid(tx.db, uuid);
  if (before === undefined) throw notFound('entitlement');
  await check(tx.db, before.application_uuid, patch.name ?? before.name, uuid);
  const entitlement = await tx.db
    .updateTable('application_entitlement')
    .set({
      name: patch.name ?? before.name,
      attributes: patch.attributes === undefined ? before.attributes : JSON.stringify(patch.attributes),
    })
    .where('uuid', '=', uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  await bindingsChanged(tx, [uuid]);
  await tx.audit('model_updated', { context: { model: ref(entitlement) } });
  return entitlement;
}

export async function deleteEntitlement(tx: Change, uuid: string): Promise<void> {
  const entitlement = await byUuid(tx.db, uuid);
  if (entitlement === undefined) throw notFound('entitlement');
  const application = await tx.db
    .selectFrom('application')
    .select('provider_id')
    .where('uuid', '=', entitlement.application_uuid)
    .executeTakeFirst();
  await tx.db.deleteFrom('policy_binding').where('target', '=', uuid).execute();
  await tx.db.deleteFrom('application_entitlement').where('uuid', '=', uuid).execute();
  await providerChanged(tx, application?.provider_id ?? null);
  await tx.audit('model_deleted', { context: { model: ref(entitlement) } });
}

/**
 * Names of the entitlements a person holds in an application, sorted: an enabled binding matches, or a negated one
 * does not. Without bindings nobody holds it: unlike access, a right is never given by default.
 */
export async function entitlementsOf(db: Db, user: UserRow, application: ApplicationRow): Promise<string[]> {
  return [...(await heldEntitlements(db, user, application)).keys()].sort();
}

/** The same with their attributes (JSON), by name. */
export async function heldEntitlements(
  db: Db,
  user: UserRow,
  application: ApplicationRow,
): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom('application_entitlement')
    .innerJoin('policy_binding', 'policy_binding.target', 'application_entitlement.uuid')
    .select(['application_entitlement.name', 'attributes', 'group_uuid', 'user_id', 'negate'])
    .where('application_uuid', '=', application.uuid)
    .where('enabled', '=', 1)
    .orderBy('application_entitlement.name')
    .execute();
  const groups = new Set((await allGroups(db, user.id)).map((group) => group.uuid));
  return new Map(rows.filter((row) => matches(row, user.id, groups)).map((row) => [row.name, row.attributes]));
}

const byUuid = (db: Db, uuid: string) =>
  db.selectFrom('application_entitlement').selectAll().where('uuid', '=', uuid).executeTakeFirst();

const ref = (entitlement: EntitlementRow) => modelRef('applicationentitlement', entitlement.uuid, entitlement.name);

async function check(db: Db, app: string, name: string, self: string | undefined): Promise<void> {
  const problems: Record<string, string[]> = {};
  const application = await db.selectFrom('application').select('uuid').where('uuid', '=', app).executeTakeFirst();
  if (application === undefined) problems['app'] = [`There is no application ${app}.`];
  const other = await db
    .selectFrom('application_entitlement')
    .select('uuid')
    .where('application_uuid', '=', app)
    .where('name', '=', name)
    .executeTakeFirst();
  const problem = nameProblem(name);
  if (name.trim() === '') problems['name'] = ['Give a name.'];
  else if (problem !== undefined) problems['name'] = [problem];
  else if (other !== undefined && other.uuid !== self) {
    problems['name'] = ['The application has an entitlement with this name.'];
  }
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}
