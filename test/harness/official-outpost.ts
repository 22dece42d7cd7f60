import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import { WebSocket } from 'ws';
import { decode, decodePage, strict } from '../../src/server/api/strict.test-helper.ts';

export interface Served {
  pk: number;
  name: string;
  external_host: string;
  client_id: string;
  client_secret: string;
  cookie_secret: string;
  certificate: string | null;
  scopes_to_request: string[];
  assigned_application_slug: string;
  oidc_configuration: Record<string, string> & { id_token_signing_alg_values_supported: string[] };
}

export interface Frame {
  instruction: number;
  args: Record<string, unknown>;
}

const USER_AGENT = 'goauthentik.io/outpost/2026.5.0';
const PREFIX = '/outpost.goauthentik.io';
const SIGNATURE = 'X-authentik-auth-callback=true';

/**
 * An official outpost as far as a server meets it: exactly the requests of spec/outpost.md 9, 16 and 17, in their order,
 * every answer decoded strictly. A confidential client without PKCE and nonce; no word of our extension. It has one page
 * for whoever is signed in at a provider, which shows the claims.
 */
export class OfficialOutpost {
  readonly instance = randomUUID();
  /** every frame of the server */
  readonly frames: Frame[] = [];
  outpost = { pk: '', name: '', config: {} as Record<string, unknown>, refresh_interval_s: 0 };
  providers: Served[] = [];
  /** by uuid: certificate and key as PEM */
  certificates: Record<string, { certificate: string; key: string }> = {};
  /** how often the configuration was fetched */
  refreshes = 0;
  readonly #api: string;
  readonly #token: string;
  readonly #server: Server;
  readonly #sessions = new Map<string, JWTPayload>();
  #link: WebSocket | undefined;
  /** one after the other: of two at once the older answer could come last */
  #refreshing = Promise.resolve();
  #stopped = false;
  #hello: NodeJS.Timeout | undefined;

  /** @param server address with a slash at its end, as such outposts need it */
  constructor(server: string, token: string) {
    this.#api = `${server}api/v3`;
    this.#token = token;
    this.#server = createServer((req, res) => {
      this.#answer(req, res).catch((error: unknown) => res.writeHead(500).end(String(error)));
    });
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  /** What it does at its start. @throws when an answer is not exactly what is published */
  async start(): Promise<void> {
    await this.#fetchOutpost();
    decode(strict.rootConfig, await this.#get('/root/config/'));
    await this.refresh();
  }

  async refresh(): Promise<void> {
    await this.#fetchOutpost();
    const providers: Served[] = [];
    for (let page = 1; page > 0;) {
      const answer = await this.#get(`/outposts/proxy/?page=${page}&page_size=100`);
      providers.push(...decodePage<Served>(strict.proxyOutpostConfig, answer));
      const { next } = (answer as { pagination: { next: number } }).pagination;
      page = next;
    }
    for (const { certificate } of providers) if (certificate !== null) await this.#fetchCertificate(certificate);
    this.providers = providers;
    this.refreshes += 1;
  }

  /** Connects, says HELLO, and does what it is told from then on. */
  async connect(): Promise<void> {
    const url = new URL(`${this.#api.replace(/^http/, 'ws').replace(/api\/v3$/, '')}ws/outpost/${this.outpost.pk}/`);
    url.search = new URLSearchParams({ attempt: '0', instance_uuid: this.instance }).toString();
    const headers = { authorization: `Bearer ${this.#token}`, 'user-agent': USER_AGENT };
    const link = new WebSocket(url, { headers, handshakeTimeout: 30_000 });
    this.#link = link;
    link.on('message', (data: Buffer) => this.#obey(String(data)));
    await new Promise((resolve, reject) => link.once('open', resolve).once('error', reject));
    this.#sayHello();
    this.#hello = setInterval(() => this.#sayHello(), 10_000);
    link.on('close', () => clearInterval(this.#hello));
  }

  get connected(): boolean {
    return this.#link?.readyState === WebSocket.OPEN;
  }

  /** Status of a call with this outpost's token. */
  async status(path: string): Promise<number> {
    const answer = await fetch(`${this.#api}${path}`, { headers: this.#headers });
    await answer.body?.cancel();
    return answer.status;
  }

  /** The published grant of a user name with an app password; `undefined` when it is refused. */
  async basic(provider: Served, username: string, password: string): Promise<JWTPayload | undefined> {
    const scope = provider.scopes_to_request.join(' ');
    const form = { grant_type: 'client_credentials', client_id: provider.client_id, username, password, scope };
    const answer = await this.#post(provider.oidc_configuration['token_endpoint'] ?? '', form);
    const { id_token } = answer.body as { id_token?: string };
    return id_token === undefined ? undefined : this.#verify(provider, id_token);
  }

  /** Claims of a token that somebody shows, as the server tells them. */
  async introspect({ client_id, client_secret, oidc_configuration }: Served, token: string): Promise<JWTPayload> {
    const form = { client_id, client_secret, token };
    return (await this.#post(oidc_configuration['introspection_endpoint'] ?? '', form)).body as JWTPayload;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#hello);
    this.#link?.terminate();
    await this.#refreshing;
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get #headers(): Record<string, string> {
    const trace = `${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-0`;
    return {
      authorization: `Bearer ${this.#token}`,
      'user-agent': USER_AGENT,
      accept: 'application/json',
      'sentry-trace': trace,
    };
  }

  async #get(path: string): Promise<unknown> {
    const answer = await fetch(`${this.#api}${path}`, { headers: this.#headers });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as unknown;
  }

  async #post(url: string, form: Record<string, string>): Promise<{ status: number; body: unknown }> {
    const headers = { 'user-agent': `${USER_AGENT} (provider=x)` };
    const answer = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(form) });
    return { status: answer.status, body: (await answer.json()) as unknown };
  }

  async #fetchOutpost(): Promise<void> {
    const page = decodePage<OfficialOutpost['outpost']>(strict.outpost, await this.#get('/outposts/instances/'));
    if (page[0] === undefined) throw new Error('no outpost: the real one would end here');
    if (typeof page[0].config['authentik_host'] !== 'string')
      throw new Error('authentik_host: the real one would panic');
    this.outpost = page[0];
  }

  async #fetchCertificate(uuid: string): Promise<void> {
    const path = `/crypto/certificatekeypairs/${uuid}/`;
    decode(strict.certificate, await this.#get(path));
    const { data: certificate } = decode<{ data: string }>(strict.data, await this.#get(`${path}view_certificate/`));
    const { data: key } = decode<{ data: string }>(strict.data, await this.#get(`${path}view_private_key/`));
    this.certificates[uuid] = { certificate, key };
  }

  #sayHello(): void {
    const args = {
      version: '2026.5.0',
      buildHash: '',
      uuid: this.instance,
      golangVersion: 'go1.26.1',
      opensslEnabled: true,
      opensslVersion: 'OpenSSL 3.0',
      fipsEnabled: false,
      hostname: 'official',
    };
    this.#link?.send(JSON.stringify({ instruction: 1, args }));
  }

  #obey(text: string): void {
    const frame = decode<Frame & Record<string, unknown>>(strict.frame, JSON.parse(text));
    this.frames.push(frame);
    if (frame.instruction === 2) this.#refreshing = this.#refreshing.then(() => this.#refreshTold());
    const { session_id } = frame.args;
    if (frame.instruction !== 4 && frame.args['sub_type'] !== 'logout') return;
    for (const [id, { sid }] of this.#sessions) if (sid === session_id) this.#sessions.delete(id);
  }

  /** @throws what {@link refresh} throws, unless nobody cares any more */
  async #refreshTold(): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      if (!this.#stopped) throw error;
    }
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const host = req.headers.host ?? '';
    const url = new URL(req.url ?? '/', `http://${host}`);
    const provider = this.providers.find(({ external_host }) => new URL(external_host).host === host);
    if (provider === undefined) return void res.writeHead(404).end();
    const id = /(?:^|; )official=(\w+)/.exec(req.headers.cookie ?? '')?.[1] ?? '';
    if (url.pathname === `${PREFIX}/callback`) return this.#callback(provider, url, res);
    if (url.pathname === `${PREFIX}/sign_out`) {
      this.#sessions.delete(id);
      return void res.writeHead(302, { location: provider.oidc_configuration['end_session_endpoint'] }).end();
    }
    const claims = this.#sessions.get(id);
    if (claims === undefined) return void res.writeHead(302, { location: await this.#authorizeUrl(provider) }).end();
    return void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(claims));
  }

  /** Alphabetical, spaces as `+`; state is a signed value without an end. */
  async #authorizeUrl(provider: Served): Promise<string> {
    const key = Buffer.from(provider.cookie_secret);
    const claims = { iss: `goauthentik.io/outpost/${provider.client_id}`, sid: randomUUID(), state: 'x', redirect: '' };
    const state = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(key);
    const query = new URLSearchParams({
      client_id: provider.client_id,
      redirect_uri: this.#redirectUri(provider),
      response_type: 'code',
      scope: provider.scopes_to_request.join(' '),
      state,
    });
    return `${provider.oidc_configuration['authorization_endpoint']}?${query.toString()}`;
  }

  #redirectUri = ({ external_host }: Served): string => `${external_host}${PREFIX}/callback?${SIGNATURE}`;

  async #callback(provider: Served, { searchParams }: URL, res: ServerResponse): Promise<void> {
    await jwtVerify(searchParams.get('state') ?? '', Buffer.from(provider.cookie_secret));
    const answer = await this.#post(provider.oidc_configuration['token_endpoint'] ?? '', {
      client_id: provider.client_id,
      client_secret: provider.client_secret,
      code: searchParams.get('code') ?? '',
      grant_type: 'authorization_code',
      redirect_uri: this.#redirectUri(provider),
    });
    if (answer.status !== 200) return void res.writeHead(400).end(JSON.stringify(answer.body));
    const body = decode<{ access_token: string }>(strict.tokenAnswer, answer.body);
    const claims = await this.#verify(provider, body.access_token);
    const id = randomBytes(16).toString('hex');
    this.#sessions.set(id, claims);
    return void res.writeHead(302, { location: provider.external_host, 'set-cookie': `official=${id}; Path=/` }).end();
  }

  /** HS256 where the list holds it, else RS256 with the key set; no leeway for `exp`. */
  async #verify(provider: Served, token: string): Promise<JWTPayload> {
    const { issuer = '', jwks_uri = '', id_token_signing_alg_values_supported: listed } = provider.oidc_configuration;
    const checks = { issuer, audience: provider.client_id };
    const { payload } = listed.includes('HS256')
      ? await jwtVerify(token, Buffer.from(provider.client_secret), { ...checks, algorithms: ['HS256'] })
      : await jwtVerify(token, createRemoteJWKSet(new URL(jwks_uri), { timeoutDuration: 30_000 }), {
          ...checks,
          algorithms: ['RS256'],
        });
    decode(strict.proxyClaims, payload);
    return payload;
  }
}
