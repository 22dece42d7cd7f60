/** The REST API in process over a folder of its own, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import fastify from 'fastify';
import { pino } from 'pino';
import { LINK_HEADERS } from '../../contract/extension.ts';
import type { Settings } from '../../settings/settings.ts';
import { bootstrap } from '../bootstrap/first-start.ts';
import { openContext } from '../context.ts';
import type { ServerContext } from '../context.ts';
import type { Expressions } from '../expressions/types.ts';
import { enforceLink } from '../link.ts';
import { apiPlugin } from './plugin.ts';

const CREDENTIAL = 'link-credential-of-this-test';
const INTERNAL = 'internal-credential-of-this-test';
export const ADMIN_TOKEN = 'admin-token-of-this-test-0123456789';
export const EMBEDDED_TOKEN = 'embedded-boot-token-of-this-test-01234';
export const HOST = 'auth.example.test';

export interface CallOptions {
  /** Bearer key; default the administrator's; '' = none */
  token?: string;
  headers?: Record<string, string>;
  /** the outpost itself calls */
  internal?: boolean;
}

export interface Answer {
  status: number;
  body: unknown;
  headers: Record<string, unknown>;
}

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Api {
  ctx: ServerContext;
  call(method: Method, path: string, body?: unknown, options?: CallOptions): Promise<Answer>;
  /** as {@link call}, for answers that must be of this status; @returns the body */
  ok(method: Method, path: string, body?: unknown, options?: CallOptions): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

const settings = (data: string, webPath: string): Settings => ({
  listen: {
    http: [{ host: '127.0.0.1', port: 9000 }],
    https: [],
    metrics: [],
    trustedProxyCidrs: [],
    strictPeers: undefined,
  },
  data,
  workers: 0,
  logLevel: 'info',
  webPath,
  secretKey: undefined,
  cookieDomain: '',
  bootstrap: { password: undefined, token: ADMIN_TOKEN, email: 'admin@example.test' },
  disableEmbeddedOutpost: false,
  outpost: { host: undefined, token: undefined, insecure: false, hostBrowser: undefined },
  timeouts: { readHeader: 5000, read: 30_000, write: 60_000, idle: 120_000 },
  stopDelay: 0,
  logHttpHeaders: [],
});

/** @param expressions instead of Python */
export async function startApi(webPath = '/', expressions?: Expressions): Promise<Api> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-api-'));
  const log = pino({ level: process.env['TEST_LOG'] ?? 'silent' });
  const ctx = await openContext({
    settings: settings(folder, webPath),
    log,
    embeddedToken: EMBEDDED_TOKEN,
    httpPort: 9000,
    expressions,
  });
  await bootstrap(ctx);
  const loggerInstance: FastifyBaseLogger = log;
  const app = fastify({
    loggerInstance,
    routerOptions: { maxParamLength: 300 },
  });
  enforceLink(app, { link: CREDENTIAL, internal: INTERNAL });
  await app.register(apiPlugin(ctx), { prefix: webPath.replace(/\/$/, '') });

  const call: Api['call'] = async (method, path, body, options = {}) => {
    const { token = ADMIN_TOKEN, headers = {}, internal = false } = options;
    const answer = await app.inject({
      method,
      url: `${webPath}api/v3/${path}`,
      headers: {
        [LINK_HEADERS.credential]: CREDENTIAL,
        ...(internal
          ? { [LINK_HEADERS.internal]: INTERNAL }
          : { [LINK_HEADERS.peer]: '203.0.113.9', [LINK_HEADERS.scheme]: 'https', [LINK_HEADERS.host]: HOST }),
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const { payload } = answer;
    return {
      status: answer.statusCode,
      body: payload === '' ? undefined : (JSON.parse(payload) as unknown),
      headers: answer.headers,
    };
  };

  return {
    ctx,
    call,
    ok: async (method, path, body, options) => {
      const answer = await call(method, path, body, options);
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return (answer.body ?? {}) as Record<string, unknown>;
    },
    close: async () => {
      await app.close();
      await ctx.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Flows {
  authorization_flow: string;
  invalidation_flow: string;
}

/** The flows every provider names, found as Terraform finds them. */
export async function flows(api: Api): Promise<Flows> {
  const find = async (slug: string) => {
    const page = (await api.ok('GET', `flows/instances/?slug=${slug}`)) as { results: { pk: string }[] };
    const pk = page.results[0]?.pk;
    if (pk === undefined) throw new Error(`no flow ${slug}`);
    return pk;
  };
  return {
    authorization_flow: await find('default-provider-authorization-implicit-consent'),
    invalidation_flow: await find('default-provider-invalidation-flow'),
  };
}
