/**
 * Reverse proxies that relay whatever is no 2xx to their client: Traefik, Caddy, Envoy. So a browser gets redirects and
 * pages as they are, and the endpoints of a login work through the question itself: none needs a way of its own.
 */
import type { ServerResponse } from 'node:http';
import type { Generation } from '../../contract/paths.ts';
import { decide, refuse } from '../decide.ts';
import type { Decision } from '../decide.ts';
import type { Exchange } from '../exchange.ts';
import type { Identity } from '../identify/identify.ts';
import type { NormalisedRequest } from '../listen/request.ts';
import { answerLoginEndpoint, loginEndpoint } from '../login/endpoints.ts';
import { isRepeatableNavigation, requestKind } from '../navigation.ts';
import { canRenewAt, renewalDue } from '../session/renewal.ts';
import { canonicalOrigin } from '../../rules/address.ts';
import { readPath } from '../../rules/canonical-path.ts';
import type { ExternalHost } from '../../rules/external-host.ts';
import { ONE_APPLICATION } from '../sites/applications.ts';
import type { Site } from '../sites/site.ts';
import { reportMisconfiguration } from './misconfiguration.ts';
import { sendPermit } from './permit.ts';
import { presentRefusal } from './refusal.ts';
import { fromOwnPage, pageOpensWebSocket } from './websocket-page.ts';

/** How one of them names the original request. */
export interface RelayingProxy {
  readonly name: 'Traefik' | 'Caddy' | 'Envoy';
  /** what to set when it does not name the address */
  readonly hint: string;
  /**
   * @param rest path below the prefix
   * @returns path and query asked for, as sent; `undefined` when they are not named
   */
  target(request: NormalisedRequest, rest: string): string | undefined;
  /** @returns the method asked for; `undefined` when it is not named */
  method(request: NormalisedRequest): string | undefined;
  /** @returns the scheme asked for; that of the external host when it is not named */
  scheme(request: NormalisedRequest, external: ExternalHost): 'http' | 'https';
  /** published configurations do not say what the visitor takes: who says nothing is shown pages */
  readonly hidesAccept?: boolean;
  /**
   * @param consumed whether Authorization says who it is, and is not for the application
   * @returns what else a permission says: name, value, …
   */
  permitHeaders?(request: NormalisedRequest, consumed: boolean): readonly string[];
}

/** @param rest path below the prefix */
export function answerRelayed(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  proxy: RelayingProxy,
  rest: string,
  identity: Identity,
): void | Promise<void> {
  const { request, res } = exchange;
  const target = proxy.target(request, rest) ?? '';
  const mark = target.indexOf('?');
  const rawPath = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark + 1);

  const endpoint = loginEndpoint(site, rawPath, query);
  if (endpoint !== undefined) {
    neverPass(res);
    const method = proxy.method(request) ?? request.method;
    const original = { method, rawTarget: target, rawPath, query, hostHeader: request.host };
    const shown = asShown(exchange, proxy).request;
    return answerLoginEndpoint({ ...exchange, request: { ...shown, ...original } }, site, endpoint, identity);
  }

  const decision = decideRelayed(exchange, site, proxy, target, rawPath, identity);
  if (decision.verdict === 'allow') {
    const consumed = identity.consumed === true;
    return sendPermit(exchange, site, generation, decision, consumed, proxy.permitHeaders?.(request, consumed));
  }
  reportMisconfiguration(exchange, site, proxy, decision);
  neverPass(res);
  return presentRefusal(asShown(exchange, proxy), site, generation, decision, addressOf(exchange, site, proxy, target));
}

/** @param target path and query asked for; empty = not named */
function decideRelayed(
  exchange: Exchange,
  site: Site,
  proxy: RelayingProxy,
  target: string,
  rawPath: string,
  identity: Identity,
): Decision {
  const { request, services } = exchange;
  if (target === '') return refuse('no-original-address', proxy.hint);
  if (!target.startsWith('/')) return refuse('original-address-invalid');
  const path = readPath(rawPath);
  // Host is the outpost's own name with some of them
  const applications = site.applications?.asked([request.host], path);
  if (applications === 'conflict') return refuse('original-address-invalid');
  const method = proxy.method(request);
  const decision = decide({
    identity,
    path,
    origin:
      site.mode === 'forward_domain' ? canonicalOrigin(proxy.scheme(request, site.external), request.host) : undefined,
    rules: site.rules,
    method,
    rawHeaders: request.rawHeaders,
    clients: site.clients,
    applications: applications ?? ONE_APPLICATION,
    kind: requestKind(request),
    renew:
      renewalDue(services, site, identity, request) && isRepeatableNavigation(request, method) && canRenewAt(target),
  });
  if (!pageOpensWebSocket(request.headers)) return decision;
  return fromOwnPage(decision, site, request, proxy.scheme(request, site.external), request.host);
}

/**
 * The address in the visitor's address bar. At domain level that is on any host of the domain; a scheme other than the
 * one the provider is configured for only counts as an upgrade, since not every configuration tells it.
 */
function addressOf({ request }: Exchange, { mode, external }: Site, proxy: RelayingProxy, target: string): string {
  if (!target.startsWith('/')) return external.href;
  if (mode !== 'forward_domain') return external.origin + target;
  const scheme = external.scheme === 'https' ? 'https' : proxy.scheme(request, external);
  return `${scheme}://${request.host}${target}`;
}

/** How answers are shown; what is decided by the kind of request stays undecided. */
function asShown(exchange: Exchange, { hidesAccept }: RelayingProxy): Exchange {
  const { request } = exchange;
  if (hidesAccept !== true || requestKind(request) !== 'unknown') return exchange;
  return { ...exchange, request: { ...request, headers: { ...request.headers, accept: 'text/html' } } };
}

/**
 * From here on nothing is a permission: a page that would do well as a 200 elsewhere ("you are signed out") would open
 * the application to nobody in particular.
 */
function neverPass(res: ServerResponse): void {
  const write = res.writeHead.bind(res) as (status: number, ...rest: unknown[]) => ServerResponse;
  res.writeHead = (status: number, ...rest: unknown[]) => write(status < 300 ? 401 : status, ...rest);
}
