/** Published object Application (spec/server.md 2.4 and 10.2). */
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import { launchUrl } from '../../access/applications.ts';
import { addressesOf } from '../../access/domain-applications.ts';
import type { Database } from '../../storage/schema.ts';
import { uuidOut } from '../fields.ts';
import { Provider, providers } from './provider.ts';

type ApplicationRow = Selectable<Database['application']>;
type UserRow = Selectable<Database['user']>;

export const ENGINE_MODES = ['all', 'any'] as const;

export const Application = z.strictObject({
  pk: uuidOut,
  name: z.string(),
  slug: z.string(),
  provider: z.int().nullable(),
  provider_obj: Provider.nullable(),
  backchannel_providers: z.array(z.int()),
  backchannel_providers_obj: z.array(Provider),
  launch_url: z.string().nullable(),
  open_in_new_tab: z.boolean(),
  meta_launch_url: z.string(),
  meta_icon: z.string(),
  meta_icon_url: z.string().nullable(),
  meta_icon_themed_urls: z.record(z.string(), z.string()).nullable(),
  meta_description: z.string(),
  meta_publisher: z.string(),
  policy_engine_mode: z.enum(ENGINE_MODES),
  group: z.string(),
});

/** @param user the caller, for the launch address */
export async function applications(
  db: Kysely<Database>,
  rows: readonly ApplicationRow[],
  user: UserRow,
): Promise<z.output<typeof Application>[]> {
  const ids = rows.flatMap((row) => row.provider_id ?? []);
  const bases = await providers(db, ids);
  const addresses = await addressesOf(db, rows);
  return rows.map((row) => ({
    pk: row.uuid,
    name: row.name,
    slug: row.slug,
    provider: row.provider_id,
    provider_obj: row.provider_id === null ? null : (bases.get(row.provider_id) ?? null),
    backchannel_providers: [],
    backchannel_providers_obj: [],
    launch_url: launchUrl(row, addresses.get(row.uuid), user) || null,
    open_in_new_tab: row.open_in_new_tab === 1,
    meta_launch_url: row.meta_launch_url,
    meta_icon: row.meta_icon,
    meta_icon_url: row.meta_icon || null,
    meta_icon_themed_urls: null,
    meta_description: row.meta_description,
    meta_publisher: row.meta_publisher,
    policy_engine_mode: z.enum(ENGINE_MODES).parse(row.policy_engine_mode),
    group: row.group_name,
  }));
}
