/** May this person use this application? The published policy engine, for group and user bindings (spec/server.md 8.2). */
import { allGroups } from '../directory/membership.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, BindingRow, UserRow } from '../storage/rows.ts';

/** Why access was given or not. Logs, denial page and tests use these words. */
export type AccessReason =
  | 'no-binding-ok'
  | 'group-ok'
  | 'user-ok'
  | 'not-in-denied-group-ok'
  | 'not-denied-user-ok'
  | 'user-inactive'
  | 'group-required'
  | 'user-not-named'
  | 'group-denied'
  | 'user-denied';

export interface AccessResult {
  passing: boolean;
  /** without repeats; those that decided */
  reasons: AccessReason[];
  /** sentences for the person; group and user bindings have none */
  messages: string[];
}

type Rule = Pick<BindingRow, 'group_uuid' | 'user_id' | 'negate'>;

/**
 * Evaluates the enabled bindings. Group and user bindings fold into one result that passes when at least one of them
 * does; therefore `all` and `any` mean the same until there are policies. Being a superuser changes nothing.
 */
export async function checkAccess(db: Db, user: UserRow, application: ApplicationRow): Promise<AccessResult> {
  const [result] = await checkAccessToAll(db, user, [application]);
  if (result === undefined) throw new TypeError('one result for each application');
  return result;
}

/** Beyond this all bindings are read: a statement takes so many values only. */
const MANY = 1000;

/** {@link checkAccess} for many applications, with as many queries as for one; results in the order given. */
export async function checkAccessToAll(
  db: Db,
  user: UserRow,
  applications: readonly ApplicationRow[],
): Promise<AccessResult[]> {
  if (user.is_active === 0)
    return applications.map(() => ({ passing: false, reasons: ['user-inactive'], messages: [] }));
  const bindings = await db
    .selectFrom('policy_binding')
    .select(['target', 'group_uuid', 'user_id', 'negate'])
    .$if(applications.length <= MANY, (all) =>
      all.where(
        'target',
        'in',
        applications.map((application) => application.uuid),
      ),
    )
    .where('enabled', '=', 1)
    .orderBy('order_')
    .execute();
  const byTarget = Map.groupBy(bindings, (binding) => binding.target);
  const groups = new Set(bindings.length === 0 ? [] : (await allGroups(db, user.id)).map((group) => group.uuid));
  return applications.map(({ uuid }) => evaluate(byTarget.get(uuid) ?? [], user, groups));
}

function evaluate(bindings: readonly Rule[], user: UserRow, groups: ReadonlySet<string>): AccessResult {
  if (bindings.length === 0) return { passing: true, reasons: ['no-binding-ok'], messages: [] };
  const passed = bindings.filter((binding) => matches(binding, user.id, groups));
  const deciding = passed.length > 0 ? passed : bindings;
  const reasons = new Set(deciding.map((binding) => reason(binding, passed.length > 0)));
  return { passing: passed.length > 0, reasons: [...reasons], messages: [] };
}

/** @param groups uuids of all groups of the person, ancestors included */
export function matches(rule: Rule, userId: number, groups: ReadonlySet<string>): boolean {
  const named = rule.group_uuid === null ? rule.user_id === userId : groups.has(rule.group_uuid);
  return named !== (rule.negate === 1);
}

function reason(rule: Rule, passing: boolean): AccessReason {
  if (rule.group_uuid !== null) {
    if (rule.negate === 1) return passing ? 'not-in-denied-group-ok' : 'group-denied';
    return passing ? 'group-ok' : 'group-required';
  }
  if (rule.negate === 1) return passing ? 'not-denied-user-ok' : 'user-denied';
  return passing ? 'user-ok' : 'user-not-named';
}
