/**
 * The way of a request, top to bottom. Every step either answers or hands on; whatever throws is an answer that lets
 * nothing through.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { outpostPath } from '../contract/paths.ts';
import type { Generation } from '../contract/paths.ts';
import type { CodedError } from '../contract/errors.ts';
import { sendEmpty, sendText } from './answer.ts';
import { checkOf, ENVOY } from './dialects/checks.ts';
import type { Check } from './dialects/checks.ts';
import { withOwnHost } from './dialects/envoy.ts';
import { reportUnknownHost } from './dialects/misconfiguration.ts';
import { answerNginx } from './dialects/nginx.ts';
import { answerProxyMode } from './dialects/proxy-mode.ts';
import { answerRelayed } from './dialects/relayed.ts';
import { report } from './exchange.ts';
import type { Exchange, Services } from './exchange.ts';
import { identify } from './identify/identify.ts';
import type { Identity } from './identify/identify.ts';
import { withUsed } from './identify/credentials/used.ts';
import { normalise, upgradeOverHttp10 } from './listen/normalise.ts';
import type { NormalisedRequest } from './listen/request.ts';
import type { Upgrade } from './listen/upgrade.ts';
import { answerLoginEndpoint, loginEndpoint } from './login/endpoints.ts';
import { sendCodedError, sendProblem } from './pages.ts';
import { breakOff } from './proxy/client-side.ts';
import type { Reason } from './reasons.ts';
import type { Site } from './sites/site.ts';
import { sendUnknownHost } from './unknown-host-page.ts';

type Work = void | Promise<void>;
type Own = { generation: Generation; rest: string };

export function handle(services: Services, req: IncomingMessage, res: ServerResponse, upgrade?: Upgrade): void {
  const request = normalise(req, services.peers);
  // The client is gone already: nobody would read the answer, and nothing further in may take it for nobody in particular.
  if (request.peer === '') return void req.socket.destroy();
  const exchange: Exchange = { req, res, request, services, upgrade, started: performance.now() };
  try {
    const work = route(exchange);
    if (work !== undefined) work.catch((error: unknown) => failed(exchange, error));
  } catch (error) {
    failed(exchange, error);
  }
}

function route(exchange: Exchange): Work {
  const { request, res, services } = exchange;
  const own = outpostPath(request.rawPath);

  // 1. what needs no site and tells nothing
  if (own?.rest === '/ping') {
    sendEmpty(res, mayBeSentTo(services) ? 204 : 503);
    return report(exchange, 'endpoint', undefined, undefined, 'ping');
  }
  if (own !== undefined && /^\/static(?:\/|$)/.test(own.rest)) return noSuchEndpoint(exchange, undefined, 'static');

  // 2. a request that means one thing
  if (request.problem !== undefined) return refused(exchange, own, request.problem, 'invalid-request');

  // 3. the site, by host
  const check = own === undefined ? undefined : checkOf(own.generation, own.rest, request.query);
  if (check === ENVOY && request.host !== request.hostHeader) {
    return route({ ...exchange, request: withOwnHost(request) });
  }
  if (services.state === undefined) return notReady(exchange, own);
  const site = services.state.hosts.find(request.host, request.scheme);
  if (site === undefined) return own === undefined ? toControlPlane(exchange, undefined) : unknownHost(exchange, own);

  // 4. the questions of reverse proxies
  if (check !== undefined && own !== undefined && site.mode !== 'proxy') return answerCheck(exchange, site, own, check);

  // 5. the outpost's own endpoints, and the two signatures on any other address of the site
  const endpoint = loginEndpoint(site, request.rawPath, request.query);
  if (endpoint !== undefined) {
    return identified(exchange, site, (who) => answerLoginEndpoint(exchange, site, endpoint, who));
  }
  if (own !== undefined) return noSuchEndpoint(exchange, site);

  // 6. ordinary requests
  if (site.mode !== 'proxy') return toControlPlane(exchange, site);
  const outdated = upgradeOverHttp10(request);
  if (outdated !== undefined) return refused(exchange, undefined, outdated, 'invalid-request', site);
  return identified(exchange, site, (who) => answerProxyMode(exchange, site, who));
}

/** For those who spread visitors over several outposts: one that cannot serve anybody yet, or soon, gets none. */
const mayBeSentTo = ({ leaving, state, controlPlane }: Services) =>
  !leaving && (state !== undefined || controlPlane !== undefined);

function answerCheck(exchange: Exchange, site: Site, { generation, rest }: Own, check: Check): Work {
  if (check.by === 'nginx') {
    return identified(exchange, site, (who) => answerNginx(exchange, site, generation, check.rule, who));
  }
  return identified(exchange, site, (who) => answerRelayed(exchange, site, generation, check.proxy, rest, who));
}

/**
 * Finds out who asks, and goes on: by the session, with fresh claims if an event made them stale; without one, by the
 * credentials in Authorization.
 */
function identified(exchange: Exchange, site: Site, answer: (identity: Identity) => Work): Work {
  const { request, services } = exchange;
  const found = identify(site, request.headers.cookie, services.sessions, services.revocations, services.now());
  if (found.kind === 'person') return answer(withUsed(found, request.headers.authorization));
  const who = found.kind === 'stale' ? services.refresher.settle(found.live) : found;
  if (who instanceof Promise) return who.then((settled) => byCredentials(exchange, site, settled, answer));
  return byCredentials(exchange, site, who, answer);
}

function byCredentials(exchange: Exchange, site: Site, who: Identity, answer: (identity: Identity) => Work): Work {
  const { request, services } = exchange;
  const { authorization } = request.headers;
  if (authorization === undefined || authorization === '') return answer(who);
  if (who.kind !== 'nobody') return answer(withUsed(who, authorization));
  const found = services.credentials.identify(site, authorization, request.clientAddress, who);
  return found instanceof Promise ? found.then(answer) : answer(found);
}

/** The identity server answers whatever is no application's; an outpost without one beside it has nothing there. */
function toControlPlane(exchange: Exchange, site: Site | undefined): void {
  const { req, res, request, services } = exchange;
  const outdated = upgradeOverHttp10(request, webSocketsOf(services));
  if (outdated !== undefined) return refused(exchange, undefined, outdated, 'invalid-request', site);
  if (services.controlPlane === undefined) {
    return site === undefined ? unknownHost(exchange, undefined) : noSuchEndpoint(exchange, site);
  }
  res.once('close', () => report(exchange, 'control-plane', site));
  if (req.url !== request.rawTarget) req.url = request.rawTarget;
  services.controlPlane(req, res, request, (error) => sendCodedError(exchange, error, { site }));
}

function unknownHost(exchange: Exchange, own: Own | undefined): void {
  const { services, request } = exchange;
  const check = own === undefined ? undefined : checkOf(own.generation, own.rest, request.query);
  if (check !== undefined) reportUnknownHost(exchange, check.by === 'nginx' ? 'nginx' : check.proxy.name);
  const sites = services.state?.sites.values() ?? [];
  sendUnknownHost(exchange, sites, check?.by === 'nginx');
  report(exchange, 'unknown-host');
}

function noSuchEndpoint(exchange: Exchange, site: Site | undefined, type: 'app' | 'static' = 'app'): void {
  sendProblem(exchange, 'endpoint-unknown', { site });
  report(exchange, 'unknown-endpoint', site, undefined, type);
}

function notReady(exchange: Exchange, own: Own | undefined): void {
  sendProblem(exchange, 'not-ready', asksAsNginx(own, exchange.request) ? { status: 403 } : {});
  report(exchange, 'not-ready');
}

function refused(exchange: Exchange, own: Own | undefined, error: CodedError, reason: Reason, site?: Site): void {
  if (asksAsNginx(own, exchange.request)) sendText(exchange.res, 403, error.message);
  else sendCodedError(exchange, error, { site });
  report(exchange, reason, site);
}

function failed(exchange: Exchange, error: unknown): void {
  const { res, request, services } = exchange;
  services.log.error({ err: error, request: request.requestId }, 'a request failed');
  if (res.headersSent) breakOff(res);
  else if (asksAsNginx(outpostPath(request.rawPath), request)) sendText(res, 403, 'internal error');
  else sendProblem(exchange, 'internal-error');
  report(exchange, 'internal-error');
}

/** nginx passes on nothing but 2xx, 401 and 403 from its question. */
function asksAsNginx(own: Own | undefined, { query }: NormalisedRequest): boolean {
  return own !== undefined && checkOf(own.generation, own.rest, query)?.by === 'nginx';
}

/** Where outposts attach to the identity server beside this one. */
const webSocketsOf = ({ controlPlanePath }: Services) => `${controlPlanePath}ws/`;

/** Whether an upgrade request is for the identity server: only then is it taken out of the ordinary way. */
export function isControlPlaneUpgrade(services: Services, exchange: Pick<Exchange, 'request'>): boolean {
  const { request } = exchange;
  if (services.controlPlane === undefined || services.state === undefined) return false;
  if (request.problem !== undefined || request.peer === '') return false;
  if (!request.rawPath.startsWith(webSocketsOf(services))) return false;
  if (upgradeOverHttp10(request) !== undefined) return false; // an ordinary request, which is told so
  const site = services.state.hosts.find(request.host, request.scheme);
  return site === undefined || site.mode !== 'proxy';
}

/** Whether an upgrade request is for an application in proxy mode: then it is decided with its connection at hand. */
export function isCarriedUpgrade(services: Services, request: NormalisedRequest): boolean {
  if (services.state === undefined || request.problem !== undefined || request.peer === '') return false;
  if (outpostPath(request.rawPath) !== undefined) return false;
  return services.state.hosts.find(request.host, request.scheme)?.mode === 'proxy';
}
