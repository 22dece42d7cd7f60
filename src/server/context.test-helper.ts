/** A server context over a folder of its own, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Settings } from '../settings/settings.ts';
import { testSettings } from '../settings/settings.test-helper.ts';
import { createApplication } from './access/applications.ts';
import { bootstrap } from './bootstrap/first-start.ts';
import { openContext } from './context.ts';
import type { Change, ServerContext } from './context.ts';
import { createProvider } from './proxy-provider/providers.ts';
import type { Expressions } from './expressions/types.ts';
import type { ProviderInput } from './proxy-provider/providers.ts';

export const EMBEDDED_TOKEN = 'embedded-boot-token';

export interface TestServer extends AsyncDisposable {
  ctx: ServerContext;
  folder: string;
  setupToken: string | undefined;
  /** provider and application of one name; further provider fields by choice */
  protect(name: string, over?: Partial<ProviderInput>): ReturnType<typeof protect>;
}

/** @param expressions instead of Python */
export async function testServer(over: Partial<Settings> = {}, expressions?: Expressions): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-server-'));
  const log = pino({ level: 'silent' });
  const settings = testSettings(folder, over);
  const ctx = await openContext({ settings, log, embeddedToken: EMBEDDED_TOKEN, httpPort: 9000, expressions });
  const setupToken = await bootstrap(ctx);
  return {
    ctx,
    folder,
    setupToken,
    protect: (name, fields = {}) => ctx.change((tx) => protect(tx, name, fields)),
    [Symbol.asyncDispose]: async () => {
      await ctx.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** uuids of the flows every provider names */
export async function flowsOf(db: Change['db'] | ServerContext['db']) {
  const uuid = async (slug: string) =>
    (await db.selectFrom('flow').select('uuid').where('slug', '=', slug).executeTakeFirstOrThrow()).uuid;
  return {
    authorization_flow: await uuid('default-provider-authorization-implicit-consent'),
    invalidation_flow: await uuid('default-provider-invalidation-flow'),
  };
}

async function protect(tx: Change, name: string, over: Partial<ProviderInput>) {
  const provider = await createProvider(tx, {
    name,
    ...(await flowsOf(tx.db)),
    mode: 'forward_single',
    external_host: `https://${name}.example.test`,
    ...over,
  });
  const application = await createApplication(tx, { name, slug: name, provider: provider.id });
  return { provider, application };
}
