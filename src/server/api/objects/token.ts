/** Published object Token (spec/server.md 2.5 and 10.2). The key is never in it. */
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../storage/schema.ts';
import { iso, timestamp, uuidOut } from '../fields.ts';
import { User, users } from './user.ts';

type TokenRow = Selectable<Database['token']>;

export const INTENTS = ['verification', 'api', 'recovery', 'app_password'] as const;

export const Token = z.strictObject({
  pk: uuidOut,
  managed: z.string().nullable(),
  identifier: z.string(),
  intent: z.enum(INTENTS),
  user: z.int(),
  user_obj: User,
  description: z.string(),
  expires: timestamp,
  expiring: z.boolean(),
});

/** What a token that never expires says, since clients demand a time (spec/server.md 16a). */
const NEVER = Date.UTC(9999, 11, 31, 23, 59, 59);

/**
 * @param attributes whether the reader may see attributes of owners and their groups: they hold credentials for
 *   applications, which people have no need to know
 */
export async function tokens(
  db: Kysely<Database>,
  rows: readonly TokenRow[],
  attributes: boolean,
): Promise<z.output<typeof Token>[]> {
  if (rows.length === 0) return [];
  const owners = await db
    .selectFrom('user')
    .where('id', 'in', [...new Set(rows.map((row) => row.user_id))])
    .selectAll()
    .execute();
  const byId = new Map((await users(db, owners)).map((user) => [user.pk, user]));
  return rows.map((row) => {
    const owner = byId.get(row.user_id);
    if (!owner) throw new TypeError(`token ${row.uuid} has no owner`);
    return {
      pk: row.uuid,
      managed: row.managed,
      identifier: row.identifier,
      intent: z.enum(INTENTS).parse(row.intent),
      user: row.user_id,
      user_obj: attributes ? owner : withoutAttributes(owner),
      description: row.description,
      expires: iso(row.expires ?? NEVER),
      expiring: row.expiring === 1,
    };
  });
}

const withoutAttributes = (owner: z.output<typeof User>): z.output<typeof User> => ({
  ...owner,
  attributes: {},
  groups_obj: owner.groups_obj?.map((group) => ({ ...group, attributes: {} })) ?? null,
});
