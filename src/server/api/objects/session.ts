/** Published object AuthenticatedSession. Neither the session key nor its hash is in it. */
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../storage/schema.ts';
import { iso, timestamp, uuidOut } from '../fields.ts';
import { UserAgent, userAgent } from './user-agent.ts';

export const AuthenticatedSession = z.strictObject({
  uuid: uuidOut,
  current: z.boolean(),
  user_agent: UserAgent,
  geo_ip: z.null(),
  asn: z.null(),
  user: z.int(),
  last_ip: z.string(),
  last_user_agent: z.string(),
  last_used: timestamp,
  expires: timestamp,
});

/** @param current `sid` of the session the call itself was made with */
export const authenticatedSession = (
  row: Selectable<Database['session']>,
  current: string | undefined,
): z.output<typeof AuthenticatedSession> => ({
  uuid: row.uuid,
  current: row.sid === current,
  user_agent: userAgent(row.last_user_agent),
  geo_ip: null,
  asn: null,
  user: row.user_id,
  last_ip: row.last_ip,
  last_user_agent: row.last_user_agent,
  last_used: iso(row.last_used),
  expires: iso(row.expires),
});
