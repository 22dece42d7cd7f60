import { InvalidInput } from '../../contract/errors.ts';
import type { Change } from '../context.ts';
import { bindingsChanged } from './changed.ts';

/**
 * Takes away the bindings that name a group or person about to be deleted.
 * @throws InvalidInput when that would leave a target without any rule, which means open to everybody
 */
export async function dropBindings(tx: Change, subject: { group_uuid: string } | { user_id: number }): Promise<void> {
  const naming = tx.db
    .selectFrom('policy_binding')
    .selectAll()
    .$if('group_uuid' in subject, (q) => q.where('group_uuid', '=', 'group_uuid' in subject ? subject.group_uuid : ''))
    .$if('user_id' in subject, (q) => q.where('user_id', '=', 'user_id' in subject ? subject.user_id : 0));
  const bindings = await naming.execute();
  const targets = [...new Set(bindings.map((binding) => binding.target))];
  for (const target of targets) {
    const gone = bindings.filter((binding) => binding.target === target);
    await tx.db
      .deleteFrom('policy_binding')
      .where(
        'uuid',
        'in',
        gone.map((binding) => binding.uuid),
      )
      .execute();
    const rest = await tx.db
      .selectFrom('policy_binding')
      .select('uuid')
      .where('target', '=', target)
      .where('enabled', '=', 1)
      .executeTakeFirst();
    const opened = rest === undefined && gone.some((binding) => binding.enabled === 1 && binding.negate === 0);
    const application = await tx.db
      .selectFrom('application')
      .select('name')
      .where('uuid', '=', target)
      .executeTakeFirst();
    if (opened && application !== undefined) {
      throw new InvalidInput({
        non_field_errors: [
          `${application.name} is open only to who is deleted here; without that rule it would be open to everybody. Change its bindings first.`,
        ],
      });
    }
  }
  await bindingsChanged(tx, targets);
}
