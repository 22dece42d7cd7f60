/**
 * oidc-provider, run for one request at a time: we hand it a request we made ourselves and take its answer as data.
 * So nothing a client sent reaches it unseen, and nothing it would send (its cookies) leaves unseen.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';
import { Socket } from 'node:net';
import { LRUCache } from 'lru-cache';
import Provider, { interactionPolicy } from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { CodedError } from '../../contract/errors.ts';
import { userByUid } from '../directory/users.ts';
import { accessTokenSeconds, refreshTokenSeconds } from '../proxy-provider/providers.ts';
import { ArtefactAdapter } from './adapter.ts';
import { currentExchange, within } from './exchange.ts';
import type { Exchange } from './exchange.ts';

const SESSION_COOKIE = 'session';
/** An authorization code lives this long (spec/server.md 3.3). */
const CODE_SECONDS = 60;
/** 0.36 ms and 94 KiB each (measured): a thousand applications stay at hand, the rest are made again. */
const MAX_PROVIDERS = 1000;

/**
 * oidc-provider makes an ID token of its own on each code exchange. Ours takes its place (tokens.ts: published claims,
 * the server's key), so its key lives as long as the process, is published nowhere, and signs nothing anybody gets.
 */
const discardedKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

interface Engine {
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  contexts: WeakMap<IncomingMessage, KoaContextWithOIDC>;
}

export interface EngineRequest {
  method: 'GET' | 'POST';
  path: '/authorize' | '/token';
  /** query of a GET, form of a POST */
  parameters: URLSearchParams;
  authorization?: string | undefined;
}

export interface EngineAnswer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: string;
  /** what it loaded and made; absent when it failed before */
  entities: Partial<KoaContextWithOIDC['oidc']['entities']>;
}

/** Runs oidc-provider as the issuer of one application. Keep one per process. */
export class OidcEngine {
  readonly #engines = new LRUCache<string, Engine>({ max: MAX_PROVIDERS });

  /**
   * @param issuer from issuerOf()
   * @param scopes what the application may ask for
   */
  run(issuer: string, scopes: readonly string[], exchange: Exchange, request: EngineRequest): Promise<EngineAnswer> {
    const engine = this.#engine(issuer, scopes);
    return within(exchange, async () => {
      const incoming = incomingMessage(issuer, exchange, request);
      const response = new CapturedResponse(incoming);
      await engine.handle(incoming, response);
      const entities = engine.contexts.get(incoming)?.oidc?.entities ?? {};
      return { status: response.statusCode, headers: response.getHeaders(), body: response.captured, entities };
    });
  }

  #engine(issuer: string, scopes: readonly string[]): Engine {
    const key = [issuer, ...[...scopes].sort()].join(' ');
    const known = this.#engines.get(key);
    if (known !== undefined) return known;
    const engine = makeEngine(issuer, scopes);
    this.#engines.set(key, engine);
    return engine;
  }
}

function makeEngine(issuer: string, scopes: readonly string[]): Engine {
  const policy = interactionPolicy.base();
  // Implicit consent: what a provider's mappings name is granted (loadExistingGrant)
  policy.get('consent')?.checks.remove('consent_prompt');
  const provider = new Provider(issuer, {
    adapter: ArtefactAdapter,
    jwks: { keys: [{ ...discardedKey, alg: 'ES256', use: 'sig', kid: 'discarded' }] },
    routes: { authorization: '/authorize', token: '/token' },
    scopes: [...new Set(['openid', 'offline_access', ...scopes])],
    claims: { openid: ['sub'] },
    responseTypes: ['code'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    cookies: { names: { session: SESSION_COOKIE }, long: { signed: false }, short: { signed: false } },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      resourceIndicators: { enabled: false },
    },
    interactions: { policy, url: () => currentExchange().loginUrl },
    pkce: { required: (_ctx, client) => client.clientAuthMethod === 'none' },
    ttl: {
      AccessToken: () => accessTokenSeconds(currentExchange().client.provider),
      AuthorizationCode: CODE_SECONDS,
      Grant: () => Math.max(CODE_SECONDS, refreshTokenSeconds(currentExchange().client.provider)),
      IdToken: () => accessTokenSeconds(currentExchange().client.provider),
      Interaction: CODE_SECONDS,
      RefreshToken: () => refreshTokenSeconds(currentExchange().client.provider),
      Session: CODE_SECONDS, // not stored: our own limits hold
    },
    rotateRefreshToken: true,
    // Asked of the session row itself, each time an artefact is loaded (adapter.ts)
    expiresWithSession: () => false,
    clientBasedCORS: () => false,
    async findAccount(_ctx, uid) {
      const user = await userByUid(currentExchange().ctx.db, uid);
      return user === undefined || user.is_active === 0 ? undefined : { accountId: uid, claims: () => ({ sub: uid }) };
    },
    // Each authorization has a grant of its own: revoking one leaves the other tabs of a person alone
    async loadExistingGrant({ oidc }) {
      const { account, client, params } = oidc;
      if (account === undefined || client === undefined) return undefined;
      const grant = new oidc.provider.Grant({ accountId: account.accountId, clientId: client.clientId });
      grant.addOIDCScope(String(params?.['scope'] ?? ''));
      await grant.save();
      return grant;
    },
    renderError(ctx, out) {
      ctx.type = 'json';
      ctx.body = JSON.stringify(out);
    },
  });
  const report = (error: unknown) => currentExchange().ctx.log.error({ err: error, issuer }, 'oidc-provider failed');
  provider.on('server_error', (_ctx, error) => report(error));
  const application: EventEmitter = provider;
  application.on('error', report);
  const contexts = new WeakMap<IncomingMessage, KoaContextWithOIDC>();
  provider.use((koa, next) => {
    contexts.set(koa.req, koa as KoaContextWithOIDC);
    return next();
  });
  const callback = provider.callback();
  return { contexts, handle: async (request, response) => callback(request, response) };
}

/** A request as if it had come to the issuer's own origin, with our session and nothing else. */
function incomingMessage(issuer: string, exchange: Exchange, request: EngineRequest): IncomingMessage {
  const message = new IncomingMessage(new Socket());
  const text = request.parameters.toString();
  const body = request.method === 'POST' ? text : '';
  message.method = request.method;
  message.url = request.method === 'POST' ? request.path : `${request.path}?${text}`;
  message.httpVersion = '1.1';
  message.headers = {
    host: new URL(issuer).host,
    accept: 'application/json',
    ...(request.authorization === undefined ? {} : { authorization: request.authorization }),
    ...(exchange.live === undefined ? {} : { cookie: `${SESSION_COOKIE}=${exchange.live.session.sid}` }),
    ...(request.method === 'POST'
      ? { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(Buffer.byteLength(body)) }
      : {}),
  };
  if (body !== '') message.push(body);
  message.push(null);
  message.complete = true;
  return message;
}

/** Keeps the answer instead of sending it. */
class CapturedResponse extends ServerResponse {
  captured = '';

  override end(chunk?: unknown): this {
    if (typeof chunk === 'string') this.captured = chunk;
    else if (chunk instanceof Uint8Array) this.captured = Buffer.from(chunk).toString('utf8');
    else if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') {
      throw new CodedError('oidc-answer-unreadable', 500, 'The answer of the OpenID Provider could not be read.');
    }
    return this;
  }
}
