/** Ours: an application on a host, or a path of it, below a domain-level provider. */
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { DomainApplicationRow } from '../../storage/rows.ts';
import type { Database } from '../../storage/schema.ts';
import { uuidOut } from '../fields.ts';

export const DomainApplication = z.strictObject({
  pk: uuidOut,
  application: uuidOut,
  application_slug: z.string(),
  application_name: z.string(),
  provider: z.int(),
  provider_name: z.string(),
  host: z.string().meta({ description: 'Below the cookie domain of the provider, without port.' }),
  path: z.string().meta({ description: 'Prefix by whole segments; / is the whole host.' }),
});

export async function domainApplications(
  db: Kysely<Database>,
  rows: readonly DomainApplicationRow[],
): Promise<z.output<typeof DomainApplication>[]> {
  if (rows.length === 0) return [];
  const applications = await db
    .selectFrom('application')
    .select(['uuid', 'slug', 'name'])
    .where('uuid', 'in', [...new Set(rows.map((row) => row.application_uuid))])
    .execute();
  const providers = await db
    .selectFrom('proxy_provider')
    .select(['id', 'name'])
    .where('id', 'in', [...new Set(rows.map((row) => row.provider_id))])
    .execute();
  const applicationBy = new Map(applications.map((row) => [row.uuid, row]));
  const providerBy = new Map(providers.map((row) => [row.id, row]));
  return rows.map((row) => ({
    pk: row.uuid,
    application: row.application_uuid,
    application_slug: applicationBy.get(row.application_uuid)?.slug ?? '',
    application_name: applicationBy.get(row.application_uuid)?.name ?? '',
    provider: row.provider_id,
    provider_name: providerBy.get(row.provider_id)?.name ?? '',
    host: row.host,
    path: row.path,
  }));
}
