/** Which provider answers for a host, as outposts choose it. */
import { explainTexts as texts } from '../../look/texts-explain.ts';
import type { Address } from '../../rules/address.ts';
import { hostedOf, HostTable } from '../../rules/hosts.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, ProviderRow } from '../storage/rows.ts';
import { modeOf } from './providers.ts';

/** @returns why requests for this address do not reach the provider; undefined = they do */
export async function routeProblem(
  db: Db,
  provider: ProviderRow,
  application: ApplicationRow | undefined,
  { authority, scheme }: Address,
): Promise<string | undefined> {
  if (application === undefined) return texts.noApplication;
  const outpost = await db
    .selectFrom('outpost')
    .innerJoin('outpost_provider', 'outpost_provider.outpost_uuid', 'outpost.uuid')
    .where('provider_id', '=', provider.id)
    .select(['uuid', 'name'])
    .orderBy('name')
    .executeTakeFirst();
  if (outpost === undefined) return texts.noOutpost;
  const rows = await db
    .selectFrom('proxy_provider')
    .innerJoin('outpost_provider', 'outpost_provider.provider_id', 'proxy_provider.id')
    .innerJoin('application', 'application.provider_id', 'proxy_provider.id')
    .where('outpost_provider.outpost_uuid', '=', outpost.uuid)
    .selectAll('proxy_provider')
    .execute();
  const found = HostTable.build(
    rows.flatMap((row) => hostedOf(row.id, row.name, modeOf(row), row.external_host, row.cookie_domain) ?? []),
  ).table.find(authority, scheme);
  if (found === undefined) return texts.noProvider(authority, outpost.name);
  return found.pk === provider.id ? undefined : texts.otherProvider(authority, found.provider.name);
}
