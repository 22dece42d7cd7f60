/** What our own outposts are told of their configuration: what is new, or everything page by page (contract/extension.ts). */
import type { ProxyOutpostConfig } from '../../contract/api.ts';
import { CONFIGURATION_PAGE } from '../../contract/extension.ts';
import type { ConfigurationAnswer } from '../../contract/extension.ts';
import type { ServerContext } from '../context.ts';
import { operatorHeaderNames } from '../proxy-provider/person-headers.ts';
import { configurationCursor, missedSince } from './changes.ts';
import { outpostViews, servedProviders } from './views.ts';

export type ConfigurationChanges = Omit<ConfigurationAnswer<never, ProxyOutpostConfig>, 'outpost'>;

/**
 * @param known cursor of the outpost's last answer; anything else gets everything
 * @param after pk of the last provider got, while everything is fetched; else undefined
 * @param base tells the address endpoints are made from; asked after the position was read
 */
export async function configurationChanges(
  ctx: ServerContext,
  outpost: string,
  known: string,
  after: number | undefined,
  base: () => string,
): Promise<ConfigurationChanges> {
  const cursor = await configurationCursor(ctx.db, outpost); // before everything it vouches for
  const managed_headers = await operatorHeaderNames(ctx.db);
  const missed = after === undefined ? await missedSince(ctx.db, outpost, known) : { whole: true, providers: [] };
  const around = { cursor, managed_headers };
  if (!missed.whole && missed.providers.length <= CONFIGURATION_PAGE) {
    const rows = await servedProviders(ctx.db, outpost)
      .where('proxy_provider.id', 'in', [...missed.providers, 0])
      .orderBy('proxy_provider.id')
      .execute();
    const providers = await outpostViews(ctx, rows, base(), managed_headers);
    const served = new Set(providers.map(({ pk }) => pk));
    return { ...around, whole: false, providers, removed: missed.providers.filter((pk) => !served.has(pk)), next: 0 };
  }
  const rows = await servedProviders(ctx.db, outpost)
    .where('proxy_provider.id', '>', after ?? 0)
    .orderBy('proxy_provider.id')
    .limit(CONFIGURATION_PAGE + 1)
    .execute();
  const page = rows.slice(0, CONFIGURATION_PAGE);
  const next = rows.length > page.length ? (page.at(-1)?.id ?? 0) : 0;
  return {
    ...around,
    whole: true,
    providers: await outpostViews(ctx, page, base(), managed_headers),
    removed: [],
    next,
  };
}
