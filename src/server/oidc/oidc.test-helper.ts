/** The pages and the OpenID Provider on a real port over a folder of their own, and a small browser, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify from 'fastify';
import * as oauth from 'oauth4webapi';
import { pino } from 'pino';
import type { Settings } from '../../settings/settings.ts';
import { createApplication } from '../access/applications.ts';
import { createBinding } from '../access/bindings.ts';
import { bootstrap } from '../bootstrap/first-start.ts';
import { openContext } from '../context.ts';
import type { ServerContext } from '../context.ts';
import { hashPassword } from '../directory/passwords.ts';
import { createUser, setPassword } from '../directory/users.ts';
import type { Expressions } from '../expressions/types.ts';
import { flowsPlugin } from '../flows/plugin.ts';
import { createProvider, providerSecrets } from '../proxy-provider/providers.ts';
import type { ApplicationRow, ProviderRow, UserRow } from '../storage/rows.ts';
import { oidcPlugin } from './plugin.ts';
import { freePort } from '../../../test/harness/ports.ts';

export const PASSWORD = 'correct horse battery staple';

export interface TestServer {
  ctx: ServerContext;
  /** `http://localhost:<port>` */
  base: string;
  setupToken: string | undefined;
  close(): Promise<void>;
}

export interface TestServerOptions {
  webPath?: string;
  now?: () => number;
  /** instead of Python */
  expressions?: Expressions;
}

export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { webPath = '/', now, expressions } = options;
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-oidc-'));
  const port = await freePort();
  const log = pino({ level: process.env['TEST_LOG'] ?? 'fatal' });
  const ctx = await openContext({
    settings: settings(folder, webPath),
    log,
    embeddedToken: 'x'.repeat(40),
    httpPort: port,
    expressions,
  });
  const setupToken = await bootstrap(ctx);
  const app = fastify();
  app.decorateRequest('link');
  // As the worker in front would say it (link.ts)
  app.addHook('onRequest', async (request) => {
    const clientIp = request.headers['x-test-client'];
    request.link = {
      clientIp: typeof clientIp === 'string' ? clientIp : '203.0.113.9',
      scheme: 'http',
      host: request.headers.host ?? '',
      internal: false,
      requestId: `test-${request.id}`,
    };
  });
  const prefix = webPath.replace(/\/$/, '');
  await app.register(flowsPlugin(ctx, now === undefined ? {} : { now }), { prefix });
  await app.register(oidcPlugin(ctx), { prefix });
  await app.listen({ host: '127.0.0.1', port });
  return {
    ctx,
    base: `http://localhost:${port}`,
    setupToken,
    close: async () => {
      app.server.closeAllConnections();
      await app.close();
      await ctx.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const settings = (data: string, webPath: string): Settings => ({
  listen: { http: [], https: [], metrics: [], trustedProxyCidrs: [], strictPeers: undefined },
  data,
  workers: 0,
  logLevel: 'info',
  webPath,
  secretKey: undefined,
  cookieDomain: '',
  bootstrap: { password: undefined, token: undefined, email: undefined },
  disableEmbeddedOutpost: false,
  outpost: { host: undefined, token: undefined, insecure: false, hostBrowser: undefined },
  timeouts: { readHeader: 5000, read: 30_000, write: 60_000, idle: 120_000 },
  stopDelay: 0,
  logHttpHeaders: [],
});

const sharedHash = hashPassword(PASSWORD);

export async function addUser(
  ctx: ServerContext,
  username: string,
  input: { name?: string; email?: string } = {},
): Promise<UserRow> {
  const hash = await sharedHash;
  return ctx.change(async (tx) => {
    const user = await createUser(tx, { username, ...input });
    await setPassword(tx, user.id, hash);
    return user;
  });
}

export interface TestClient {
  provider: ProviderRow;
  application: ApplicationRow;
  secret: string;
  redirectUri: string;
}

export interface TestClientOptions {
  externalHost?: string;
  name?: string;
  /** only these may open it */
  users?: readonly UserRow[];
}

export async function addClient(
  ctx: ServerContext,
  slug: string,
  options: TestClientOptions = {},
): Promise<TestClient> {
  const { externalHost = `http://${slug}.app.test`, name = slug, users = [] } = options;
  const flow = async (flowSlug: string) =>
    (await ctx.db.selectFrom('flow').select('uuid').where('slug', '=', flowSlug).executeTakeFirstOrThrow()).uuid;
  const authorization_flow = await flow('default-provider-authorization-implicit-consent');
  const invalidation_flow = await flow('default-provider-invalidation-flow');
  const { provider, application } = await ctx.change(async (tx) => {
    const made = await createProvider(tx, {
      name,
      mode: 'forward_single',
      external_host: externalHost,
      authorization_flow,
      invalidation_flow,
    });
    const app = await createApplication(tx, { name, slug, provider: made.id });
    for (const user of users) await createBinding(tx, { target: app.uuid, user: user.id, order: 0 });
    return { provider: made, application: app };
  });
  const secret = providerSecrets(ctx.keyring, provider).client_secret;
  const redirectUri = `${externalHost}/outpost.goauthentik.io/callback?X-authentik-auth-callback=true`;
  return { provider, application, secret, redirectUri };
}

/** Keeps cookies and reads forms, follows nothing by itself. */
export class Visitor {
  readonly cookies = new Map<string, string>();
  readonly #base: string;
  /** headers of every request */
  readonly headers: Record<string, string>;

  constructor(base: string, headers: Record<string, string> = {}) {
    this.#base = base;
    this.headers = headers;
  }

  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([n, v]) => `${n}=${v}`).join('; ');
    const answer = await fetch(new URL(path, this.#base), {
      ...init,
      redirect: 'manual',
      headers: { ...this.headers, ...(cookie === '' ? {} : { cookie }), ...(init.headers as Record<string, string>) },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      if (/max-age=0/i.test(line)) this.cookies.delete(pair.slice(0, at));
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return answer;
  }

  /** Fills in the first form of a page that has all these fields, and sends it. */
  async submit(page: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    const html = await (await this.ask(page)).text();
    return this.submitHtml(page, html, fields, headers);
  }

  async submitHtml(
    page: string,
    html: string,
    fields: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    for (const [, attributes = '', body = ''] of html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)) {
      const names = [...body.matchAll(/name="([^"]+)"/g)].map((m) => m[1]);
      if (!Object.keys(fields).every((name) => names.includes(name))) continue;
      const form = new URLSearchParams();
      for (const [, input = ''] of body.matchAll(/<input\b([^>]*)>/g)) {
        const name = /name="([^"]*)"/.exec(input)?.[1];
        if (name !== undefined) form.set(name, unescape(/value="([^"]*)"/.exec(input)?.[1] ?? ''));
      }
      for (const [name, value] of Object.entries(fields)) form.set(name, value);
      const action = unescape(/action="([^"]*)"/.exec(attributes)?.[1] ?? page);
      return this.ask(action, {
        method: 'POST',
        body: form,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      });
    }
    throw new Error(`no form with ${Object.keys(fields).join(', ')} on ${page}`);
  }

  signIn(username: string, password = PASSWORD): Promise<Response> {
    return this.submit('/if/flow/default-authentication-flow/', { username, password });
  }
}

const unescape = (text: string) =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');

/** An OAuth client in front of one test application, on oauth4webapi. */
export class RelyingParty {
  readonly as: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly test: TestClient;

  constructor(as: oauth.AuthorizationServer, test: TestClient) {
    this.as = as;
    this.test = test;
    this.client = { client_id: test.provider.client_id };
  }

  static async discover(base: string, test: TestClient): Promise<RelyingParty> {
    const issuer = new URL(`${base}/application/o/${test.application.slug}/`);
    const answer = await oauth.discoveryRequest(issuer, { algorithm: 'oidc', [oauth.allowInsecureRequests]: true });
    return new RelyingParty(await oauth.processDiscoveryResponse(issuer, answer), test);
  }

  async attempt(extra: Record<string, string> = {}) {
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const nonce = oauth.generateRandomNonce();
    const url = new URL(this.as.authorization_endpoint ?? '');
    const parameters = {
      client_id: this.client.client_id,
      redirect_uri: this.test.redirectUri,
      response_type: 'code',
      scope: 'openid profile email entitlements ak_proxy',
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...extra,
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return { url: url.href, path: url.pathname + url.search, verifier, state, nonce };
  }

  /** @param location where the browser was sent with the code */
  async redeem(
    location: string,
    attempt: { verifier: string; state: string; nonce: string },
    headers: Record<string, string> = {},
  ) {
    const parameters = oauth.validateAuthResponse(this.as, this.client, new URL(location), attempt.state);
    const answer = await oauth.authorizationCodeGrantRequest(
      this.as,
      this.client,
      oauth.ClientSecretPost(this.test.secret),
      parameters,
      this.test.redirectUri,
      attempt.verifier,
      { [oauth.allowInsecureRequests]: true, headers: new Headers(headers) },
    );
    const tokens = await oauth.processAuthorizationCodeResponse(this.as, this.client, answer, {
      expectedNonce: attempt.nonce,
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(this.as, answer, {
      [oauth.allowInsecureRequests]: true,
    });
    return { tokens, idClaims: oauth.getValidatedIdTokenClaims(tokens) };
  }

  /** Token endpoint without any help. */
  async post(form: Record<string, string>, headers: Record<string, string> = {}, path = '/application/o/token/') {
    const answer = await fetch(new URL(path, this.as.issuer), {
      method: 'POST',
      body: new URLSearchParams(form),
      headers,
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
    };
  }
}

/** The payload of a JWT, unverified. */
export function payloadOf(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}
