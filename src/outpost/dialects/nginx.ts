/**
 * nginx auth_request: `<prefix>/auth/nginx`, and bare `/akprox/auth` of the older generation.
 *
 * nginx passes on 2xx, 401 and 403 and makes 500 of anything else; it drops bodies and all but the first Set-Cookie.
 * So every login and denial is 401 (its configuration leads the browser to `start`, which tells them apart), and
 * every error 403.
 */
import type { Generation } from '../../contract/paths.ts';
import { sendText } from '../answer.ts';
import { decide, refuse } from '../decide.ts';
import type { Decision } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { challengesFor } from '../identify/credentials/presented.ts';
import type { Identity } from '../identify/identify.ts';
import { isRepeatableNavigation, requestKind } from '../navigation.ts';
import { canRenewAt, renewalDue } from '../session/renewal.ts';
import { ONE_APPLICATION } from '../sites/applications.ts';
import type { Site } from '../sites/site.ts';
import { reportMisconfiguration } from './misconfiguration.ts';
import {
  namedHosts,
  namesAnotherSite,
  namesTwoHosts,
  originalAddress,
  originalMethod,
  originOf,
} from './original-address.ts';
import { sendPermit } from './permit.ts';
import { fromOwnPage, pageOpensWebSocket } from './websocket-page.ts';

const NGINX = {
  name: 'nginx',
  hint: 'Set in the location that asks, and set no other header that names an address: proxy_set_header X-Original-URL $scheme://$http_host$request_uri;',
};

/**
 * How the original address is known.
 * - `required`: missing is a mistake in the configuration, answered 500 as published
 * - `optional`: the older generation's alias; without it the host alone decides
 * - `with-method`: as `required`, and the configuration sets X-Original-Method too. nginx asks with GET whatever the
 *   original was, and hands on what a visitor sent under a name it does not set. So the configuration has to say, in
 *   the path it asks at, that it sets this one (docs/architecture.md, decision 21)
 * - `none`: bare `/akprox/auth`. Its published configuration sends no address, so one that is there was sent by the
 *   client and must not open a public path
 */
export type AddressRule = 'required' | 'with-method' | 'optional' | 'none';

export function answerNginx(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  rule: AddressRule,
  identity: Identity,
): void {
  const decision = decideNginx(exchange, site, rule, identity);
  reportMisconfiguration(exchange, site, NGINX, decision);
  presentNginx(exchange, site, generation, decision, identity.consumed === true);
}

function decideNginx(exchange: Exchange, site: Site, rule: AddressRule, identity: Identity): Decision {
  const { request, services } = exchange;
  const address = rule === 'none' ? undefined : originalAddress(request.headers);
  if (address?.kind === 'invalid') return refuse('original-address-invalid');
  if (services.state !== undefined && namesAnotherSite(services.state.hosts, site, request, address)) {
    return refuse('original-address-invalid');
  }
  const wholeDomain = site.mode === 'forward_domain';
  if (wholeDomain && namesTwoHosts(site, request, address)) return refuse('original-address-invalid');
  if (address?.kind === 'missing' && (rule === 'required' || rule === 'with-method')) {
    return refuse('no-original-address');
  }
  const path = address?.kind === 'named' ? address.path : undefined;
  const applications = site.applications?.asked(namedHosts(request, address), path);
  if (applications === 'conflict') return refuse('original-address-invalid');
  const decision = decide({
    identity,
    path,
    origin: wholeDomain ? originOf(site, request, address) : undefined,
    rules: site.rules,
    method: rule === 'with-method' ? originalMethod(request) : undefined,
    rawHeaders: request.rawHeaders,
    clients: site.clients,
    applications: applications ?? ONE_APPLICATION,
    kind: requestKind(request),
    renew:
      renewalDue(services, site, identity, request) &&
      isRepeatableNavigation(request) &&
      canRenewAt(request.headers.originalUrl ?? request.headers.originalUri),
  });
  if (!pageOpensWebSocket(request.headers)) return decision;
  const { scheme = request.scheme, authority = request.host } = address?.kind === 'named' ? address : {};
  return fromOwnPage(decision, site, request, scheme, authority);
}

function presentNginx(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  decision: Decision,
  consumed: boolean,
): void {
  const { res, request } = exchange;
  switch (decision.verdict) {
    case 'allow':
      return sendPermit(exchange, site, generation, decision, consumed);
    case 'login': {
      // shown where no error_page leads to start
      const asksForOthers = decision.answer === 'unauthorized';
      const challenges = asksForOthers ? challengesFor(request.headers.authorization ?? '', site.meta.application) : [];
      sendText(res, 401, 'unauthorized request', challenges);
      return report(exchange, decision.reason, site);
    }
    case 'deny':
      sendText(res, 401, 'unauthorized request');
      return report(exchange, decision.reason, site, decision.live?.user, 'app', undefined, decision.application);
    case 'error': {
      const missing = decision.error.code === 'no-original-address';
      sendText(res, missing ? 500 : 403, missing ? 'configuration error' : decision.error.message);
      return report(exchange, decision.reason, site);
    }
  }
}
