/** `start`: the way into a login, and for nginx the place where a 401 is told apart (spec/outpost.md 9). */
import type { Generation } from '../../contract/paths.ts';
import { sendRedirect } from '../answer.ts';
import { readPath } from '../../rules/canonical-path.ts';
import { judge } from '../../rules/judge.ts';
import { isAssetPath } from '../../rules/public-assets.ts';
import { refuse, senderOf, unaccepted } from '../decide.ts';
import { presentRefusal } from '../dialects/refusal.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { identityAt } from '../identify/identify.ts';
import type { Identity } from '../identify/identify.ts';
import type { NormalisedRequest } from '../listen/request.ts';
import { isRepeatableNavigation, loginAnswer, requestKind } from '../navigation.ts';
import type { RequestKind } from '../navigation.ts';
import { sendChallenge, sendCodedError, sendDenial, sendFramed, sendUnheld } from '../pages.ts';
import { readPreflight } from '../preflight.ts';
import { renewalDue } from '../session/renewal.ts';
import { ONE_APPLICATION } from '../sites/applications.ts';
import type { SiteApplication } from '../sites/applications.ts';
import { ownEndpoint } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';
import { sendToLogin } from './authorize.ts';
import { diagnoseLoop } from './diagnosis.ts';
import { isLooping } from './loop-guard.ts';
import { checkReturnAddress, readReturnAddress } from './return-address.ts';

export async function start(exchange: Exchange, site: Site, generation: Generation, who: Identity): Promise<void> {
  const { request, res, services } = exchange;
  const target = checkReturnAddress(site, readReturnAddress(request.query), request.hostHeader);
  const destination = target ?? site.external.href;
  const identity = target === undefined ? who : identityAt(who, applicationsAt(site, generation, target));

  const refusal = target === undefined ? undefined : refusedByRule(site, target, identity);
  if (refusal !== undefined) {
    sendDenial(exchange, site, refusal, generation, destination);
    return report(exchange, refusal.reason, site, refusal.live?.user);
  }
  switch (identity.kind) {
    case 'denied':
      sendDenial(exchange, site, identity, generation, destination);
      return report(exchange, 'access-denied', site, identity.live?.user, 'app', undefined, identity.application);
    case 'unsettled': {
      const decision = refuse('claims-outdated');
      sendCodedError(exchange, decision.error, { site, retry: destination });
      return report(exchange, decision.reason, site, identity.live.user);
    }
    case 'person':
      if (renewalDue(services, site, identity, request) && isRepeatableNavigation(request)) {
        await sendToLogin(exchange, site, generation, { target: destination, round: 0, purpose: 'renew' });
      } else sendRedirect(res, destination, identity.setCookies);
      return report(exchange, 'endpoint', site, identity.live.user);
    case 'nobody':
      // nginx leads here whoever it may not pass; a login would not be what a program asked for
      if (identity.credentials !== undefined && site.clients.interceptsCredentials) {
        return presentRefusal(exchange, site, generation, unaccepted(identity.credentials), destination);
      }
      await begin(exchange, site, generation, identity.reason, destination);
  }
}

/**
 * Of several applications below one login the one asked for may be closed to a person who is signed in. The older
 * generation's question names no path: to decide by another one than it did would send people round for ever.
 */
function applicationsAt(site: Site, generation: Generation, target: string): readonly SiteApplication[] {
  return site.applications?.at(target, generation !== 'akprox') ?? ONE_APPLICATION;
}

/** nginx sends everybody here, also those who ask for a manifest or with a preflight. */
function kindOf(site: Site, request: NormalisedRequest, target: string): RequestKind {
  const kind = requestKind(request);
  if (kind !== 'unknown') return kind;
  const isAsset = isAssetPath(readPath(URL.parse(target)?.pathname ?? ''), site.clients.basePath);
  return isAsset || readPreflight(request.method, request.rawHeaders) !== undefined ? 'background' : kind;
}

/**
 * Whether an access rule refuses the address asked for, as it refused when nginx asked, without a method: nginx makes
 * one 401 of every refusal, and people who were sent on from here would only come back.
 */
function refusedByRule(site: Site, destination: string, identity: Identity) {
  if (!site.rules.closes) return undefined;
  const { origin, pathname } = new URL(destination);
  const method = site.mode === 'proxy' ? 'GET' : undefined;
  const ruling = judge(site.rules, { method, path: readPath(pathname), origin }, senderOf(identity));
  if (ruling.verdict !== 'deny') return undefined;
  const live = identity.kind === 'nobody' ? undefined : identity.live;
  return { live, reason: ruling.reason, detail: ruling.reason };
}

async function begin(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  reason: (Identity & { kind: 'nobody' })['reason'],
  target: string,
): Promise<void> {
  const { request } = exchange;
  const answer = loginAnswer(kindOf(site, request, target), site.clients.loginAnswer);
  const loginUrl = `${ownEndpoint(site, generation, '/start')}?rd=${encodeURIComponent(target)}`;
  if (answer === 'challenge') sendChallenge(exchange, site, loginUrl);
  else if (answer === 'frame') sendFramed(exchange, site, loginUrl);
  else if (isLooping(site, reason, request.headers.cookie)) {
    sendUnheld(exchange, site, 'login-loop', diagnoseLoop(site, request, reason), loginUrl);
  } else {
    const clear = reason === 'no-session' ? [] : site.cookie.clear(request.headers.cookie);
    await sendToLogin(exchange, site, generation, { target, round: 0, purpose: 'login' }, clear);
  }
  report(exchange, reason, site);
}
