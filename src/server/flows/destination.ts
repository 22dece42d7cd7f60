/** Which application a person is on the way to, so that the login page can name it. */
import { applicationOfProvider } from '../access/applications.ts';
import type { ServerContext } from '../context.ts';
import { providerByClientId } from '../proxy-provider/providers.ts';
import type { ApplicationRow } from '../storage/rows.ts';

/** @param next a path of this server, from safeNext() */
export async function applicationBehind(
  ctx: ServerContext,
  next: string | undefined,
): Promise<ApplicationRow | undefined> {
  const url = next === undefined ? null : URL.parse(next, 'http://this-server.invalid');
  if (url?.pathname !== `${ctx.settings.webPath}application/o/authorize/`) return undefined;
  const provider = await providerByClientId(ctx.db, url.searchParams.get('client_id') ?? '');
  return provider === undefined ? undefined : applicationOfProvider(ctx.db, provider.id);
}
