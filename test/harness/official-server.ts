import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

/** What the stand-in knows of a provider; the rest is as a new one has it. */
export interface OfficialProvider {
  pk: number;
  slug: string;
  mode: 'proxy' | 'forward_single' | 'forward_domain';
  external_host: string;
  internal_host?: string;
  /** more members of the published object */
  more?: Readonly<Record<string, unknown>>;
  /** as the published list has it; the real server says `["HS256"]` for every proxy provider */
  algorithms?: string[];
}

/** Who is signed in at the server. */
export interface OfficialPerson {
  username: string;
  groups?: string[];
  attributes?: Readonly<Record<string, unknown>>;
  appPassword?: string;
}

export interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  form: URLSearchParams;
}

interface Code {
  provider: OfficialProvider;
  redirect: string;
  nonce: string | null;
  challenge: string | null;
  person: OfficialPerson;
}

/** Seconds a token is good for. */
const VALIDITY_S = 3600;
/** The published cap of a page. */
const MAX_PAGE = 100;

/**
 * An official server as far as a proxy outpost meets it (spec/server.md 5, 7, 9; spec/outpost.md 9, 16, 17): REST,
 * WebSocket and OpenID endpoints. Tokens are HS256 with the client secret, the key set is empty, PKCE and nonce are
 * accepted and not asked for, issuers come from Host, and of our extension it knows nothing: 404. Whoever opens the authorize
 * address is `person`.
 */
export class OfficialServer {
  readonly outpost = { pk: '5f4ab3b1-1f5c-4c9e-8a0e-0f1e2d3c4b5a', name: 'far', config: {} as Record<string, unknown> };
  readonly token = randomBytes(30).toString('hex');
  readonly providers: OfficialProvider[] = [];
  /** everything asked, newest last */
  readonly requests: Request[] = [];
  /** args of every HELLO */
  readonly hellos: Record<string, unknown>[] = [];
  person: OfficialPerson | undefined;
  /** what stands in tokens besides, or instead */
  claims: JWTPayload = {};
  /** signs a token in place of the usual way; for tokens that must not be accepted */
  sign: ((claims: JWTPayload, secret: string) => Promise<string>) | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<WebSocket>();
  readonly #codes = new Map<string, Code>();

  private constructor() {
    this.#server = createServer((req, res) => {
      this.#answer(req, res).catch((error: unknown) => res.writeHead(500).end(String(error)));
    });
    const hub = new WebSocketServer({ noServer: true });
    this.#server.on('upgrade', (req, socket, head) => {
      const { pathname } = new URL(req.url ?? '/', 'http://x');
      this.requests.push(requestOf(req, ''));
      const known = req.headers.authorization === `Bearer ${this.token}`;
      if (!known || pathname !== `/ws/outpost/${this.outpost.pk}/`) {
        return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      }
      return hub.handleUpgrade(req, socket, head, (link) => this.#attach(link));
    });
  }

  static async start(port = 0): Promise<OfficialServer> {
    const server = new OfficialServer();
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Links that are up. */
  get links(): number {
    return this.#sockets.size;
  }

  /** The hash a session of this person is known by at outposts. */
  sid(person: OfficialPerson): string {
    return sha256(`session of ${person.username}`);
  }

  /** Instruction 2. */
  update(): void {
    this.#send({ instruction: 2, args: {} });
  }

  /** Instruction 4, or 3 as servers before mid-2025 said it. */
  endSession(session_id: string, instruction: 3 | 4 = 4): void {
    const args =
      instruction === 4
        ? { type: 'event.session.end', session_id }
        : { type: 'event.provider.specific', sub_type: 'logout', session_id };
    this.#send({ instruction, args });
  }

  async stop(): Promise<void> {
    for (const link of this.#sockets) link.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  secretOf({ pk }: OfficialProvider): string {
    return sha256(`secret of ${pk}`);
  }

  #send(frame: object): void {
    for (const link of this.#sockets) link.send(JSON.stringify(frame));
  }

  #attach(link: WebSocket): void {
    this.#sockets.add(link);
    link.on('close', () => this.#sockets.delete(link));
    link.on('error', () => link.terminate());
    link.on('message', (data: Buffer) => {
      const { instruction, args } = JSON.parse(String(data)) as { instruction: number; args: Record<string, unknown> };
      if (instruction === 1) this.hellos.push(args);
      if (instruction !== 0) link.send('{"instruction":0,"args":{}}');
    });
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of req) body += String(chunk);
    const request = requestOf(req, body);
    this.requests.push(request);
    const base = `${String(req.headers['x-forwarded-proto'] ?? 'http')}://${req.headers.host ?? ''}`;
    const json = (status: number, value: unknown) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (request.path.startsWith('/api/v3/')) return void this.#api(request, base, json);
    const [, slug = ''] = /^\/application\/o\/([^/]+)\//.exec(request.path) ?? [];
    const provider = this.providers.find((one) => one.slug === slug);
    if (slug === 'authorize') return this.#authorize(request, res);
    if (slug === 'token') return this.#token(request, base, json);
    if (slug === 'introspect') return void json(200, { active: false });
    if (provider && request.path.endsWith('/jwks/')) return void json(200, {});
    if (provider && request.path.endsWith('/end-session/')) return void res.writeHead(200).end('You are signed out.');
    return void json(404, { detail: 'Not found.' });
  }

  #api({ method, path, query, headers }: Request, base: string, json: (status: number, value: unknown) => unknown) {
    if (path === '/api/v3/root/config/') {
      const reporting = { enabled: false, sentry_dsn: '', environment: '', send_pii: false, traces_sample_rate: 0 };
      const caches = { cache_timeout: 300, cache_timeout_flows: 300, cache_timeout_policies: 300 };
      return json(200, { error_reporting: reporting, capabilities: [], ...caches });
    }
    if (headers.authorization !== `Bearer ${this.token}`) return json(403, { detail: 'Token invalid/expired' });
    if (path === '/api/v3/outposts/instances/') return json(200, paged([this.#outpostObject()], query));
    if (path === '/api/v3/outposts/proxy/') {
      const objects = this.providers.map((provider) => this.#providerObject(provider, base));
      return json(200, paged(objects, query));
    }
    if (path === '/api/v3/events/events/' && method === 'POST') return json(201, {});
    return json(404, { detail: 'Not found.' });
  }

  #outpostObject() {
    const { pk, name, config } = this.outpost;
    const uuid = '00000000-0000-0000-0000-000000000000';
    return {
      pk,
      name,
      type: 'proxy',
      providers: this.providers.map((one) => one.pk),
      providers_obj: [],
      service_connection: null,
      service_connection_obj: {
        pk: uuid,
        name: '',
        component: '',
        verbose_name: '',
        verbose_name_plural: '',
        meta_model_name: '',
      },
      refresh_interval_s: 300,
      token_identifier: `ak-outpost-${pk}-api`,
      config: { authentik_host: this.origin, log_level: 'info', ...config },
      managed: null,
    };
  }

  #providerObject(provider: OfficialProvider, base: string) {
    const { pk, slug, mode, external_host, internal_host = '', more, algorithms = ['HS256'] } = provider;
    const o = `${base}/application/o`;
    return {
      pk,
      name: slug,
      internal_host,
      external_host,
      internal_host_ssl_validation: true,
      client_id: `client-${pk}`,
      client_secret: this.secretOf(provider),
      oidc_configuration: {
        issuer: `${o}/${slug}/`,
        authorization_endpoint: `${o}/authorize/`,
        token_endpoint: `${o}/token/`,
        userinfo_endpoint: `${o}/userinfo/`,
        end_session_endpoint: `${o}/${slug}/end-session/`,
        introspection_endpoint: `${o}/introspect/`,
        revocation_endpoint: `${o}/revoke/`, // the real one sends its whole discovery document
        jwks_uri: `${o}/${slug}/jwks/`,
        response_types_supported: ['code'],
        id_token_signing_alg_values_supported: algorithms,
        subject_types_supported: ['public'],
        token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
        code_challenge_methods_supported: ['plain', 'S256'],
      },
      cookie_secret: sha256(`cookie ${pk}`).slice(0, 32).toUpperCase(),
      certificate: null,
      skip_path_regex: '',
      basic_auth_enabled: false,
      basic_auth_password_attribute: '',
      basic_auth_user_attribute: '',
      mode,
      cookie_domain: '',
      access_token_validity: VALIDITY_S,
      intercept_header_auth: true,
      scopes_to_request: ['profile', 'openid', 'ak_proxy', 'email', 'entitlements'],
      assigned_application_slug: slug,
      assigned_application_name: slug,
      ...more,
    };
  }

  #authorize({ query }: Request, res: ServerResponse): void {
    const provider = this.#clientOf(query);
    const redirect = query.get('redirect_uri') ?? '';
    const signature = 'X-authentik-auth-callback=true';
    const registered = provider && [
      `${provider.external_host}/outpost.goauthentik.io/callback?${signature}`,
      `${provider.external_host}?${signature}`,
    ];
    if (!registered?.includes(redirect)) return void res.writeHead(400).end('Redirect URI Error');
    const target = new URL(redirect);
    target.searchParams.set('state', query.get('state') ?? '');
    if (this.person !== undefined) {
      const code = randomBytes(20).toString('hex');
      const [nonce, challenge] = [query.get('nonce'), query.get('code_challenge')];
      this.#codes.set(code, { provider: provider!, redirect, nonce, challenge, person: this.person });
      target.searchParams.set('code', code);
    } else if (query.get('prompt') === 'none') target.searchParams.set('error', 'login_required');
    else return void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>Please sign in.</p>');
    return void res.writeHead(302, { location: target.href }).end();
  }

  async #token(request: Request, base: string, json: (status: number, value: unknown) => unknown): Promise<void> {
    const { form } = request;
    const provider = this.#clientOf(form);
    const refuse = (error: string) => void json(400, { error, error_description: error });
    if (!provider) return refuse('invalid_client');
    if (form.get('grant_type') === 'client_credentials') {
      const { person } = this;
      const right = person?.appPassword !== undefined && form.get('password') === person.appPassword;
      if (!right || form.get('username') !== person.username) return refuse('invalid_grant');
      return void json(200, await this.#tokens(base, provider, person, {}));
    }
    if (form.get('client_secret') !== this.secretOf(provider)) return refuse('invalid_client');
    const code = this.#codes.get(form.get('code') ?? '');
    this.#codes.delete(form.get('code') ?? '');
    if (code?.provider.pk !== provider.pk || form.get('redirect_uri') !== code.redirect) return refuse('invalid_grant');
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (code.challenge !== null && verifier !== code.challenge) return refuse('invalid_grant');
    const more = { sid: this.sid(code.person), ...(code.nonce === null ? {} : { nonce: code.nonce }) };
    return void json(200, await this.#tokens(base, provider, code.person, more));
  }

  async #tokens(base: string, provider: OfficialProvider, person: OfficialPerson, more: JWTPayload): Promise<object> {
    const now = Math.floor(Date.now() / 1000);
    const { username, groups = [], attributes = {} } = person;
    const claims: JWTPayload = {
      iss: `${base}/application/o/${provider.slug}/`,
      sub: sha256(username),
      aud: `client-${provider.pk}`,
      exp: now + VALIDITY_S,
      iat: now,
      auth_time: now,
      acr: 'goauthentik.io/providers/oauth2/default',
      email: `${username}@example.test`,
      email_verified: true,
      name: username,
      given_name: username,
      preferred_username: username,
      nickname: username,
      groups,
      ak_proxy: { user_attributes: attributes, is_superuser: false },
      ...more,
      ...this.claims,
    };
    const secret = this.secretOf(provider);
    const sign = this.sign ?? ((payload, key) => hs256(payload, Buffer.from(key)));
    const scope = 'openid profile email ak_proxy entitlements';
    const access_token = await sign(
      { ...claims, azp: `client-${provider.pk}`, uid: randomBytes(8).toString('hex'), scope },
      secret,
    );
    const id_token = await sign(claims, secret);
    return { access_token, id_token, token_type: 'Bearer', scope, expires_in: VALIDITY_S };
  }

  #clientOf(parameters: URLSearchParams): OfficialProvider | undefined {
    return this.providers.find(({ pk }) => `client-${pk}` === parameters.get('client_id'));
  }
}

/** A token as the real server signs it for proxy providers. */
export const hs256 = (claims: JWTPayload, key: Uint8Array): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(key);

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function requestOf(req: IncomingMessage, body: string): Request {
  const url = new URL(req.url ?? '/', 'http://x');
  const { method = '', headers } = req;
  return { method, path: url.pathname, query: url.searchParams, headers, form: new URLSearchParams(body) };
}

/** The published envelope; a larger page than the cap is quietly smaller. */
function paged(all: readonly unknown[], query: URLSearchParams): object {
  const size = Math.min(MAX_PAGE, Number(query.get('page_size') ?? 20));
  const current = Number(query.get('page') ?? 1);
  const total_pages = Math.max(1, Math.ceil(all.length / size));
  const results = all.slice((current - 1) * size, current * size);
  const start_index = all.length === 0 ? 0 : (current - 1) * size + 1;
  return {
    pagination: {
      next: current < total_pages ? current + 1 : 0,
      previous: current - 1,
      count: all.length,
      current,
      total_pages,
      start_index,
      end_index: (current - 1) * size + results.length,
    },
    results,
    autocomplete: {},
  };
}
