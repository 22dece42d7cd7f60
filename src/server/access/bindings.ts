/** Bindings: which group or person a target is open to (spec/server.md 8.1). */
import { randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { BindingRow } from '../storage/rows.ts';
import { bindingsChanged } from './changed.ts';

export interface BindingInput {
  /** uuid of an application or an entitlement */
  target: string;
  group?: string | null;
  user?: number | null;
  order: number;
  enabled?: boolean;
  negate?: boolean;
  /** seconds */
  timeout?: number;
  failure_result?: boolean;
}

export function bindingByUuid(db: Db, uuid: string): Promise<BindingRow | undefined> {
  return db.selectFrom('policy_binding').selectAll().where('uuid', '=', uuid).executeTakeFirst();
}

/** @throws InvalidInput by field; `non_field_errors` unless exactly one of group and user is given */
export async function createBinding(tx: Change, input: BindingInput): Promise<BindingRow> {
  const row = {
    uuid: randomUUID(),
    target: input.target,
    group_uuid: input.group ?? null,
    user_id: input.user ?? null,
    enabled: Number(input.enabled ?? true),
    negate: Number(input.negate ?? false),
    order_: input.order,
    timeout: input.timeout ?? 30,
    failure_result: Number(input.failure_result ?? false),
  };
  await check(tx.db, row);
  const binding = await tx.db.insertInto('policy_binding').values(row).returningAll().executeTakeFirstOrThrow();
  await bindingsChanged(tx, [binding.target]);
  await tx.audit('model_created', { context: { model: ref(binding) } });
  return binding;
}

export async function updateBinding(tx: Change, uuid: string, patch: Partial<BindingInput>): Promise<BindingRow> {
  const before = await bindingByUuid(tx.db, uuid);
  if (before === undefined) throw notFound('binding');
  const row = {
    target: patch.target ?? before.target,
    group_uuid: patch.group === undefined ? before.group_uuid : patch.group,
    user_id: patch.user === undefined ? before.user_id : patch.user,
    enabled: Number(patch.enabled ?? before.enabled),
    negate: Number(patch.negate ?? before.negate),
    order_: patch.order ?? before.order_,
    timeout: patch.timeout ?? before.timeout,
    failure_result: Number(patch.failure_result ?? before.failure_result),
  };
  await check(tx.db, row);
  const binding = await tx.db
    .updateTable('policy_binding')
    .set(row)
    .where('uuid', '=', uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  await bindingsChanged(tx, [before.target, binding.target]);
  await tx.audit('model_updated', { context: { model: ref(binding) } });
  return binding;
}

export async function deleteBinding(tx: Change, uuid: string): Promise<void> {
  const binding = await bindingByUuid(tx.db, uuid);
  if (binding === undefined) throw notFound('binding');
  await tx.db.deleteFrom('policy_binding').where('uuid', '=', uuid).execute();
  await bindingsChanged(tx, [binding.target]);
  await tx.audit('model_deleted', { context: { model: ref(binding) } });
}

const ref = (binding: BindingRow) => modelRef('policybinding', binding.uuid, `order ${binding.order_}`);

async function check(db: Db, row: Omit<BindingRow, 'uuid'>): Promise<void> {
  const problems: Record<string, string[]> = {};
  if ((row.group_uuid === null) === (row.user_id === null)) {
    problems['non_field_errors'] = ['Give exactly one of group and user.'];
  } else if (row.group_uuid !== null) {
    const group = await db.selectFrom('group_').select('uuid').where('uuid', '=', row.group_uuid).executeTakeFirst();
    if (group === undefined) problems['group'] = [`There is no group ${row.group_uuid}.`];
  } else if (row.user_id !== null) {
    const user = await db.selectFrom('user').select('id').where('id', '=', row.user_id).executeTakeFirst();
    if (user === undefined) problems['user'] = [`There is no user ${row.user_id}.`];
  }
  const target = await db
    .selectFrom('application')
    .select('uuid')
    .where('uuid', '=', row.target)
    .union(db.selectFrom('application_entitlement').select('uuid').where('uuid', '=', row.target))
    .executeTakeFirst();
  if (target === undefined) problems['target'] = [`There is no application or entitlement ${row.target}.`];
  if (row.timeout < 0) problems['timeout'] = ['Give 0 or more seconds.'];
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}
