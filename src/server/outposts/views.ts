/**
 * Which providers an outpost is told of, and what it is told (spec/server.md 7.4). Only those asked for are unsealed:
 * outposts turn the pages of thousands of applications.
 */
import type { ProxyOutpostConfig } from '../../contract/api.ts';
import { domainApplicationsOf } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import { outpostView } from '../proxy-provider/outpost-view.ts';
import type { Db } from '../storage/database.ts';
import type { ProviderRow } from '../storage/rows.ts';

/** Providers of this outpost that have an application: the others have no address to sign in at. */
export const servedProviders = (db: Db, outpost: string) =>
  db
    .selectFrom('proxy_provider')
    .innerJoin('outpost_provider', 'outpost_provider.provider_id', 'proxy_provider.id')
    .innerJoin('application', 'application.provider_id', 'proxy_provider.id')
    .where('outpost_provider.outpost_uuid', '=', outpost)
    .selectAll('proxy_provider');

/**
 * @param rows of {@link servedProviders}
 * @param base address the endpoints are made from
 * @param managedHeaders names for our own outposts; undefined for an official one, which gets no extension
 */
export async function outpostViews(
  ctx: ServerContext,
  rows: readonly ProviderRow[],
  base: string,
  managedHeaders: string[] | undefined,
): Promise<ProxyOutpostConfig[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);
  const applications = await ctx.db.selectFrom('application').where('provider_id', 'in', ids).selectAll().execute();
  const applicationOf = new Map(applications.map((row) => [row.provider_id, row]));
  const scopes = await ctx.db
    .selectFrom('provider_scope_mapping')
    .innerJoin('scope_mapping', 'scope_mapping.uuid', 'provider_scope_mapping.mapping_uuid')
    .where('provider_id', 'in', ids)
    .select(['provider_id', 'scope_name'])
    .distinct()
    .orderBy('scope_name')
    .execute();
  const scopesOf = Map.groupBy(scopes, (row) => row.provider_id);
  const bound = await domainApplicationsOf(ctx.db, ids);
  return rows.flatMap((provider) => {
    const application = applicationOf.get(provider.id);
    if (!application) return [];
    const names = (scopesOf.get(provider.id) ?? []).map((row) => row.scope_name);
    const domainApplications = bound.get(provider.id) ?? [];
    return [
      outpostView(ctx.keyring, { provider, application, scopes: names, base, managedHeaders, domainApplications }),
    ];
  });
}
