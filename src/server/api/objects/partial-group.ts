/** Published object PartialGroup: a group without its relations. */
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../storage/schema.ts';
import { jsonObject, uuidOut } from '../fields.ts';

export const PartialGroup = z.strictObject({
  pk: uuidOut,
  num_pk: z.int(),
  name: z.string(),
  is_superuser: z.boolean(),
  attributes: jsonObject,
});

export const partialGroup = (row: Selectable<Database['group_']>): z.output<typeof PartialGroup> => ({
  pk: row.uuid,
  num_pk: row.num_pk,
  name: row.name,
  is_superuser: row.is_superuser === 1,
  attributes: JSON.parse(row.attributes) as Record<string, unknown>,
});
