/** `start`: the way into a login, and for nginx the place where a 401 is told apart (spec/outpost.md 9). */
import type { Generation } from '../../contract/paths.ts';
import { sendRedirect } from '../answer.ts';
import { refuse } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import type { Identity } from '../identify/identify.ts';
import { isRepeatableNavigation, requestKind } from '../navigation.ts';
import { sendChallenge, sendCodedError, sendDenial, sendFramed, sendProblem } from '../pages.ts';
import { renewalDue } from '../session/renewal.ts';
import { ownEndpoint } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';
import { sendToLogin } from './authorize.ts';
import { isLooping } from './loop-guard.ts';
import { checkReturnAddress, readReturnAddress } from './return-address.ts';

export async function start(exchange: Exchange, site: Site, generation: Generation, identity: Identity): Promise<void> {
  const { request, res, services } = exchange;
  const target = checkReturnAddress(site, readReturnAddress(request.query), request.hostHeader);
  const destination = target ?? site.external.href;

  switch (identity.kind) {
    case 'denied':
      sendDenial(exchange, identity.live, generation, identity.detail, destination);
      return report(exchange, 'access-denied', site, identity.live.user);
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
      await begin(exchange, site, generation, identity.reason, destination);
  }
}

async function begin(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  reason: (Identity & { kind: 'nobody' })['reason'],
  target: string,
): Promise<void> {
  const { request } = exchange;
  const kind = requestKind(request);
  const loginUrl = `${ownEndpoint(site, generation, '/start')}?rd=${encodeURIComponent(target)}`;
  if (kind === 'background') sendChallenge(exchange, site, loginUrl);
  else if (kind === 'framed') sendFramed(exchange, site, loginUrl);
  else if (isLooping(site, reason, request.headers.cookie)) {
    sendProblem(exchange, 'login-loop', { site, retry: loginUrl, asPage: true });
  } else {
    const clear = reason === 'no-session' ? [] : site.cookie.clear(request.headers.cookie);
    await sendToLogin(exchange, site, generation, { target, round: 0, purpose: 'login' }, clear);
  }
  report(exchange, reason, site);
}
