/** Answers of everything but `allow` for clients that get them as they are: those of the outpost's own proxy, and of reverse proxies that relay them. */
import type { Generation } from '../../contract/paths.ts';
import type { Decision } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { sendToLogin } from '../login/authorize.ts';
import { diagnoseLoop } from '../login/diagnosis.ts';
import { isLooping } from '../login/loop-guard.ts';
import { checkReturnAddress } from '../login/return-address.ts';
import { sendChallenge, sendCodedError, sendDenial, sendFramed, sendUnauthorized, sendUnheld } from '../pages.ts';
import { ownEndpoint } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';

export type Refusal = Exclude<Decision, { verdict: 'allow' }>;

/**
 * @param generation whose addresses the login goes over
 * @param asked the address asked for, as the visitor sees it; not checked yet
 */
export async function presentRefusal(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  decision: Refusal,
  asked: string,
): Promise<void> {
  switch (decision.verdict) {
    case 'deny':
      sendDenial(exchange, site, decision, generation, asked);
      return report(exchange, decision.reason, site, decision.live?.user, 'app', undefined, decision.application);
    case 'error':
      sendCodedError(exchange, decision.error, { site });
      return report(exchange, decision.reason, site);
    case 'login': {
      if (decision.answer === 'unauthorized') {
        sendUnauthorized(exchange, site);
        return report(exchange, decision.reason, site);
      }
      const target = checkReturnAddress(site, asked) ?? site.external.href;
      const loginUrl = `${ownEndpoint(site, generation, '/start')}?rd=${encodeURIComponent(target)}`;
      if (decision.answer === 'challenge') sendChallenge(exchange, site, loginUrl);
      else if (decision.answer === 'frame') sendFramed(exchange, site, loginUrl);
      else if (isLooping(site, decision.reason, exchange.request.headers.cookie)) {
        const diagnosis = diagnoseLoop(site, exchange.request, decision.reason);
        sendUnheld(exchange, site, 'login-loop', diagnosis, loginUrl);
      } else await sendToLogin(exchange, site, generation, { target, round: 0, purpose: decision.purpose });
      return report(exchange, decision.reason, site);
    }
  }
}
