/** A data plane on a free port, and the identity server it talks to, both inside the test. */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWK } from 'jose';
import { pino } from 'pino';
import type { OutpostInstance, ProxyOutpostConfig } from '../contract/api.ts';
import { EMBEDDED_OUTPOST_MANAGED } from '../contract/api.ts';
import { REFRESH_PATH } from '../contract/extension.ts';
import type { RefreshAnswer, RefreshRequest, SignOutReport, TokenExtension } from '../contract/extension.ts';
import type { AccessEntry } from './access-log.ts';
import { DataPlane } from './data-plane.ts';
import type { DataPlaneOptions } from './data-plane.ts';
import type { Problem } from './exchange.ts';

export const BASE = 'http://auth.test';

export function outpostInstance(over: Partial<OutpostInstance> = {}): OutpostInstance {
  return {
    pk: '00000000-0000-4000-8000-000000000001',
    name: 'authentik Embedded Outpost',
    refresh_interval_s: 300,
    managed: EMBEDDED_OUTPOST_MANAGED,
    config: { authentik_host: '', authentik_host_browser: '', authentik_host_insecure: false, log_level: 'info' },
    ...over,
  };
}

export function providerConfig(over: Partial<ProxyOutpostConfig> = {}): ProxyOutpostConfig {
  const slug = over.assigned_application_slug ?? 'app';
  return {
    pk: 1,
    name: 'App provider',
    internal_host: '',
    external_host: 'http://app.test',
    internal_host_ssl_validation: true,
    client_id: `client-${over.pk ?? 1}`,
    client_secret: 'a client secret of some length',
    oidc_configuration: {
      issuer: `${BASE}/application/o/${slug}/`,
      authorization_endpoint: `${BASE}/application/o/authorize/`,
      token_endpoint: `${BASE}/application/o/token/`,
      userinfo_endpoint: `${BASE}/application/o/userinfo/`,
      end_session_endpoint: `${BASE}/application/o/${slug}/end-session/`,
      introspection_endpoint: `${BASE}/application/o/introspect/`,
      jwks_uri: `${BASE}/application/o/${slug}/jwks/`,
      response_types_supported: ['code'],
      id_token_signing_alg_values_supported: ['RS256'],
      subject_types_supported: ['public'],
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    },
    cookie_secret: 'COOKIESECRETCOOKIESECRETCOOKIES1',
    certificate: null,
    skip_path_regex: '',
    basic_auth_enabled: false,
    basic_auth_password_attribute: '',
    basic_auth_user_attribute: '',
    mode: 'forward_single',
    cookie_domain: '',
    access_token_validity: 3600,
    intercept_header_auth: true,
    scopes_to_request: ['openid', 'profile', 'ak_proxy'],
    assigned_application_slug: slug,
    assigned_application_name: 'Wiki',
    gatehouse: { ...DEFAULT_PROVIDER_SETTINGS, managed_headers: [], previous_cookie_secret: '', applications: [] },
    ...over,
  };
}

/** Whom the fake server signs in, and what it says about them. */
export interface Person {
  sub: string;
  sid: string;
  claims: Record<string, unknown>;
}

export const ALICE: Person = {
  sub: 'uid-of-alice',
  sid: 'sid-of-alice',
  claims: {
    preferred_username: 'alice',
    name: 'Älice Example',
    email: 'alice@example.test',
    groups: ['staff', 'a|b'],
    entitlements: ['write'],
    ak_proxy: { user_attributes: {}, is_superuser: false },
  },
};

/** The identity server: token endpoint, key set, session refresh. Reached by `fetch` without a socket. */
export class FakeServer {
  readonly codes = new Map<string, { challenge: string; nonce: string; redirectUri: string; person: Person }>();
  readonly extension: TokenExtension = { cursor: { epoch: 'e1', n: 10 }, headers: [] };
  /** app passwords by user name; `denied`: right, and the application's rules refuse the person */
  readonly appPasswords = new Map<string, { password: string; person: Person; denied?: string }>();
  /** access tokens that are alive */
  readonly issued = new Map<string, Person>();
  /** forms sent to the token and introspection endpoints */
  readonly forms: URLSearchParams[] = [];
  /** waited for before credentials are answered */
  hold: Promise<void> | undefined;
  refresh: (request: RefreshRequest) => RefreshAnswer | Promise<RefreshAnswer> = () => ({ result: 'ended' });
  /** changes claims before they are signed */
  tamper: (claims: Record<string, unknown>) => Record<string, unknown> = (claims) => claims;
  /** seconds */
  life = 3600;
  up = true;
  calls: string[] = [];
  now: () => number;
  #jwk: JWK = {};
  #key: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'] | undefined;

  constructor(now: () => number) {
    this.now = now;
  }

  async prepare(): Promise<this> {
    const { publicKey, privateKey } = await generateKeyPair('RS256');
    this.#key = privateKey;
    this.#jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
    return this;
  }

  /** The person agrees at the login page: what the browser is sent back with. */
  login(authorizeUrl: string, person: Person = ALICE): string {
    const url = new URL(authorizeUrl);
    const code = randomUUID();
    const redirectUri = url.searchParams.get('redirect_uri') ?? '';
    this.codes.set(code, {
      challenge: url.searchParams.get('code_challenge') ?? '',
      nonce: url.searchParams.get('nonce') ?? '',
      redirectUri,
      person,
    });
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    back.searchParams.set('state', url.searchParams.get('state') ?? '');
    return back.href;
  }

  sign(clientId: string, slug: string, person: Person, extra: Record<string, unknown> = {}): Promise<string> {
    if (this.#key === undefined) throw new TypeError('prepare() first');
    const seconds = Math.floor(this.now() / 1000);
    const claims = {
      iss: `${BASE}/application/o/${slug}/`,
      sub: person.sub,
      aud: clientId,
      iat: seconds,
      exp: seconds + this.life,
      sid: person.sid,
      ...person.claims,
      ...extra,
    };
    return new SignJWT(this.tamper(claims)).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(this.#key);
  }

  readonly fetch = (async (input: string | URL | Request, init: RequestInit = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    this.calls.push(url.pathname);
    if (!this.up) throw new TypeError('fetch failed');
    if (url.pathname.endsWith('/jwks/')) return Response.json({ keys: [this.#jwk] });
    if (url.pathname === '/application/o/token/') return this.#token(new URLSearchParams(String(init.body)));
    if (url.pathname === '/application/o/introspect/') return this.#introspect(new URLSearchParams(String(init.body)));
    if (url.pathname === `/api/v3/${REFRESH_PATH}`) {
      return Response.json(await this.refresh(JSON.parse(String(init.body)) as RefreshRequest));
    }
    return new Response('not found', { status: 404 });
  }) as typeof fetch;

  /** Somebody gets an access token for a provider: value of an Authorization header. */
  async bearer(clientId = 'client-1', person: Person = ALICE): Promise<string> {
    const token = await this.sign(clientId, 'app', person, { azp: clientId, uid: randomUUID() });
    this.issued.set(token, person);
    return `Bearer ${token}`;
  }

  /** Somebody gets an app password: value of an Authorization header. */
  basic(username: string, person: Person = { ...ALICE, sid: '' }, denied?: string): string {
    const password = `app password: of ${username} ä`;
    this.appPasswords.set(username, { password, person, ...(denied === undefined ? {} : { denied }) });
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  async #clientCredentials(form: URLSearchParams): Promise<Response> {
    await this.hold;
    const found = this.appPasswords.get(form.get('username') ?? '');
    const right = found !== undefined && found.password === form.get('password');
    if (!right || found.denied !== undefined) {
      const gatehouse = right ? { gatehouse: { denied: found.denied } } : {};
      return Response.json({ error: 'invalid_grant', error_description: 'no', ...gatehouse }, { status: 400 });
    }
    const token = await this.sign(form.get('client_id') ?? '', 'app', found.person);
    const gatehouse = this.extension;
    return Response.json({ access_token: token, id_token: token, token_type: 'Bearer', expires_in: 1, gatehouse });
  }

  async #introspect(form: URLSearchParams): Promise<Response> {
    this.forms.push(form);
    await this.hold;
    const person = this.issued.get(form.get('token') ?? '');
    const secret = form.get('client_secret') === 'a client secret of some length';
    if (person === undefined || !secret) return Response.json({ active: false });
    const client_id = form.get('client_id') ?? '';
    const access_token = await this.sign(client_id, 'app', person);
    const gatehouse = { ...this.extension, access_token };
    return Response.json({ active: true, sub: person.sub, client_id, gatehouse });
  }

  async #token(form: URLSearchParams): Promise<Response> {
    this.forms.push(form);
    if (form.get('grant_type') === 'client_credentials') return this.#clientCredentials(form);
    const code = this.codes.get(form.get('code') ?? '');
    this.codes.delete(form.get('code') ?? '');
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    const clientId = form.get('client_id') ?? '';
    if (code === undefined || code.challenge !== verifier || code.redirectUri !== form.get('redirect_uri')) {
      return Response.json({ error: 'invalid_grant', error_description: 'no such code' }, { status: 400 });
    }
    const token = await this.sign(clientId, 'app', code.person, { nonce: code.nonce });
    return Response.json({
      access_token: token,
      id_token: token,
      token_type: 'Bearer',
      expires_in: this.life,
      gatehouse: this.extension,
    });
  }
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** name, value, … as sent */
  raw: string[];
  body: string;
}

/** A running data plane with a browser-like cookie jar per host. */
export class TestOutpost {
  readonly plane: DataPlane;
  readonly server: FakeServer;
  readonly signOuts: SignOutReport[] = [];
  readonly problems: Problem[] = [];
  readonly #log: AccessEntry[] = [];
  readonly jar = new Map<string, string>();
  readonly channel: { fetch: typeof fetch; up: boolean; apiBase: string };
  readonly #http: Server;
  readonly #clock: { ms: number };

  /** what was logged so far */
  get log(): AccessEntry[] {
    this.plane.flush();
    return this.#log;
  }

  constructor(server: FakeServer, clock: { ms: number }, over: Partial<DataPlaneOptions>) {
    this.server = server;
    this.#clock = clock;
    this.channel = { fetch: server.fetch, up: true, apiBase: `${BASE}/api/v3/` };
    this.plane = new DataPlane({
      trustedProxyCidrs: ['127.0.0.0/8'],
      backChannel: this.channel,
      log: pino({ level: 'silent' }),
      metrics: { configure() {}, answered() {}, upstream() {} },
      accessLog: { write: (entry) => this.#log.push(entry) },
      onSignOut: (report) => this.signOuts.push(report),
      onProblem: (problem) => this.problems.push(problem),
      now: () => clock.ms,
      ...over,
    });
    const shouldUpgradeCallback = (req: IncomingMessage) => this.plane.mayCarryUpgrade(req);
    this.#http = createServer({ shouldUpgradeCallback }, (req, res) => this.plane.handle(req, res));
    this.#http.on('upgrade', (req: IncomingMessage, _socket, head: Buffer) => this.plane.upgrade(req, head));
  }

  static async start(providers: ProxyOutpostConfig[] | undefined, over: Partial<DataPlaneOptions> = {}) {
    const clock = { ms: Date.now() };
    const server = await new FakeServer(() => clock.ms).prepare();
    const outpost = new TestOutpost(server, clock, over);
    if (providers !== undefined) outpost.plane.configure(outpostInstance(), providers);
    await new Promise<void>((resolve) => outpost.#http.listen(0, '127.0.0.1', resolve));
    return outpost;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** Lets time pass for everybody. */
  pass(seconds: number): void {
    this.#clock.ms += seconds * 1000;
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
    await this.plane.close();
  }

  /** One request as it is, no redirects, no jar. */
  send(path: string, headers: Record<string, string | string[]> = {}, method = 'GET'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.port, path, method, headers: { host: 'app.test', ...headers } };
      const req = httpRequest({ ...options, agent: false, maxHeaderSize: 65536 }, (res) => {
        let body = '';
        res.setEncoding('utf8');
        res.on('data', (part: string) => (body += part));
        res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, raw: res.rawHeaders, body }));
      });
      req.on('error', reject);
      req.end();
    });
  }

  /** A request of a browser: sends the jar's cookies and keeps what comes back. */
  async browse(address: string, headers: Record<string, string> = {}): Promise<Answer> {
    const url = new URL(address, 'http://app.test');
    const answer = await this.send(url.pathname + url.search, {
      host: url.host,
      accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
      ...this.cookieHeader(),
      ...headers,
    });
    for (const cookie of answer.headers['set-cookie'] ?? []) this.keep(cookie);
    return answer;
  }

  cookieHeader(): { cookie?: string } {
    return this.jar.size === 0 ? {} : { cookie: [...this.jar].map(([n, v]) => `${n}=${v}`).join('; ') };
  }

  keep(setCookie: string): void {
    const [pair = ''] = setCookie.split(';');
    const at = pair.indexOf('=');
    if (/;\s*Max-Age=0(?:;|$)/.test(setCookie)) this.jar.delete(pair.slice(0, at));
    else this.jar.set(pair.slice(0, at), pair.slice(at + 1));
  }

  /** The whole login through `start`; returns the answer of the callback. */
  async login(rd = '/page?a=1', person: Person = ALICE, prefix = '/outpost.goauthentik.io'): Promise<Answer> {
    const begun = await this.browse(`${prefix}/start?rd=${encodeURIComponent(rd)}`);
    return this.browse(this.server.login(begun.headers.location ?? '', person));
  }
}
