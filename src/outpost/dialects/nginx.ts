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
import type { Identity } from '../identify/identify.ts';
import { isRepeatableNavigation, requestKind } from '../navigation.ts';
import { renewalDue } from '../session/renewal.ts';
import type { Site } from '../sites/site.ts';
import { namesAnotherSite, originalAddress } from './original-address.ts';

/**
 * How the original address is known.
 * - `required`: missing is a mistake in the configuration, answered 500 as published
 * - `optional`: the older generation's alias; without it the host alone decides
 * - `none`: bare `/akprox/auth`. Its published configuration sends no address, so one that is there was sent by the
 *   client and must not open a public path
 */
export type AddressRule = 'required' | 'optional' | 'none';

export function answerNginx(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  rule: AddressRule,
  identity: Identity,
): void {
  const decision = decideNginx(exchange, site, rule, identity);
  presentNginx(exchange, site, generation, decision);
}

function decideNginx({ request, services }: Exchange, site: Site, rule: AddressRule, identity: Identity): Decision {
  const address = rule === 'none' ? undefined : originalAddress(request.headers);
  if (address?.kind === 'invalid') return refuse('original-address-invalid');
  if (services.state !== undefined && namesAnotherSite(services.state.hosts, site, request, address)) {
    return refuse('original-address-invalid');
  }
  if (address?.kind === 'missing' && rule === 'required') {
    services.onProblem({
      code: 'no-original-address',
      message: `The reverse proxy in front of "${site.application}" does not say which address was asked for.`,
      provider: site.pk,
      context: { host: request.host, peer: request.peer, trusted: request.trusted },
    });
    return refuse('no-original-address');
  }
  return decide({
    identity,
    path: address?.kind === 'named' ? address.path : undefined,
    rules: site.rules,
    kind: requestKind(request),
    renew: renewalDue(services, site, identity, request) && isRepeatableNavigation(request),
  });
}

/** Presents any decision. */
export function presentNginx(exchange: Exchange, site: Site, generation: Generation, decision: Decision): void {
  const { res, request } = exchange;
  switch (decision.verdict) {
    case 'allow': {
      const { live, setCookies } = decision;
      const { flat } = live === undefined ? site.anonymous[generation] : live.headers(generation);
      // as published; it is what the client said itself
      const headers = flat.concat('User-Agent', request.headers.userAgent ?? '', 'Content-Length', '0');
      // of two halves nginx would pass one
      if (setCookies.length === 1) headers.push('Set-Cookie', setCookies[0] as string);
      res.writeHead(200, headers);
      res.end();
      return report(exchange, decision.reason, site, live?.user);
    }
    case 'login':
    case 'deny':
      sendText(res, 401, 'unauthorized request');
      return report(exchange, decision.reason, site, decision.verdict === 'deny' ? decision.live.user : undefined);
    case 'error': {
      const missing = decision.error.code === 'no-original-address';
      sendText(res, missing ? 500 : 403, missing ? 'configuration error' : decision.error.message);
      return report(exchange, decision.reason, site);
    }
  }
}
