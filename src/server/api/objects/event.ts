/** Published object Event (spec/server.md 12). */
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../storage/schema.ts';
import { iso, jsonObject, timestamp, uuidOut } from '../fields.ts';

export const Event = z.strictObject({
  pk: uuidOut,
  user: jsonObject,
  action: z.string(),
  app: z.string(),
  context: jsonObject,
  client_ip: z.string().nullable(),
  created: timestamp,
  expires: timestamp,
  brand: jsonObject,
});

export const event = (row: Selectable<Database['event']>): z.output<typeof Event> => ({
  pk: row.uuid,
  user: JSON.parse(row.user_json) as Record<string, unknown>,
  action: row.action,
  app: row.app,
  context: JSON.parse(row.context) as Record<string, unknown>,
  client_ip: row.client_ip || null,
  created: iso(row.created),
  expires: iso(row.expires),
  brand: {},
});
