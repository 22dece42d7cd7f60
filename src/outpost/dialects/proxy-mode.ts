/** Proxy mode: allowed requests are carried to the application, the rest is answered here. */
import type { Generation } from '../../contract/paths.ts';
import { sendEmpty } from '../answer.ts';
import { readPath } from '../../rules/canonical-path.ts';
import { decide } from '../decide.ts';
import type { Decision, DecisionInput } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange, Services } from '../exchange.ts';
import type { Identity } from '../identify/identify.ts';
import { isRepeatableNavigation, requestKind } from '../navigation.ts';
import { sendCodedError, sendProblem } from '../pages.ts';
import { preflightAnswer } from '../preflight.ts';
import { carry } from '../proxy/carry.ts';
import { breakOff } from '../proxy/client-side.ts';
import { NO_IDENTITY } from '../proxy/target.ts';
import type { ProxyTarget } from '../proxy/target.ts';
import { refuseBackend } from './refused-backend.ts';
import { carryUpgrade } from '../proxy/upgrade.ts';
import { originAllowed } from '../proxy/websocket-origin.ts';
import type { Reason } from '../reasons.ts';
import { canRenewAt, renewalDue } from '../session/renewal.ts';
import { ONE_APPLICATION } from '../sites/applications.ts';
import type { Breakable, MayGoOn, OpenAnswer } from '../session/open-answers.ts';
import type { Site } from '../sites/site.ts';
import { presentRefusal } from './refusal.ts';

const SESSION_ENDED = { kind: 'nobody', reason: 'session-ended' } as const satisfies Identity;

/** Logins begun here use the newer generation's addresses. */
const GENERATION: Generation = 'outpost';

export function answerProxyMode(exchange: Exchange, site: Site, identity: Identity): void | Promise<void> {
  const { request, services } = exchange;
  const input: DecisionInput = {
    identity,
    path: readPath(request.rawPath),
    // only rules of domain-level providers look at it
    origin: undefined,
    rules: site.rules,
    method: request.method,
    rawHeaders: request.rawHeaders,
    clients: site.clients,
    applications: ONE_APPLICATION,
    kind: requestKind(request),
    renew:
      renewalDue(services, site, identity, request) && isRepeatableNavigation(request) && canRenewAt(request.rawTarget),
  };
  const decision = decide(input);
  if (decision.verdict !== 'allow') {
    return presentRefusal(exchange, site, GENERATION, decision, site.external.origin + request.rawTarget);
  }
  if (decision.preflight === undefined) {
    return pass(exchange, site, decision, input);
  }
  sendEmpty(exchange.res, 204, preflightAnswer(decision.preflight));
  report(exchange, decision.reason, site);
}

/** What is under way is decided once more with fresh claims, and by the rules there are then, and only for the same backend. */
function mayGoOn(services: Services, site: Site, input: DecisionInput): MayGoOn {
  const began = input.identity.kind === 'person' ? input.identity.live.session.claims.ak_proxy.backend_override : '';
  return (live) => {
    const current = services.state?.sites.get(site.pk);
    if (current === undefined || current.mode !== 'proxy') return false;
    const { ak_proxy } = live.session.claims;
    if (ak_proxy.backend_override !== began || !current.backends.allows(ak_proxy)) return false;
    const identity: Identity = { kind: 'person', reason: 'session', live, setCookies: [] };
    return decide({ ...input, identity, rules: current.rules, renew: false }).verdict === 'allow';
  };
}

/** What was allowed when it began, and no longer is before it was answered, is answered like what comes now. */
async function withdraw(exchange: Exchange, site: Site, input: DecisionInput): Promise<void> {
  const decision = decide({ ...input, identity: SESSION_ENDED, renew: false });
  if (decision.verdict === 'allow') return breakOff(exchange.res); // a public path, asked for as somebody who is no longer
  await presentRefusal(exchange, site, GENERATION, decision, site.external.origin + exchange.request.rawTarget);
}

function pass(exchange: Exchange, site: Site, decision: Decision & { verdict: 'allow' }, input: DecisionInput): void {
  const { req, res, request, services, upgrade } = exchange;
  const { live } = decision;
  if (site.upstream === undefined) {
    sendProblem(exchange, 'upstream-unusable', { site });
    return report(exchange, 'upstream-unusable', site, live?.user);
  }
  const backend = site.backends.find(live?.session.claims.ak_proxy, site.upstream);
  if (backend === undefined) return refuseBackend(exchange, site, live);
  if (upgrade !== undefined && !originAllowed(request.rawHeaders, site.external.origin, site.websocketOrigins)) {
    sendProblem(exchange, 'websocket-origin', { site });
    return report(exchange, 'websocket-origin', site, live?.user);
  }
  let { reason }: { reason: Reason } = decision;
  let entry: OpenAnswer | undefined;
  const target: ProxyTarget = {
    upstream: backend.upstream,
    rawTarget: request.rawTarget,
    host: backend.host ?? (site.hostHeader === 'original' ? request.host : backend.upstream.authority),
    originalHost: request.host,
    scheme: request.scheme,
    peer: request.peer,
    trusted: request.trusted,
    identity: live === undefined ? NO_IDENTITY : live.identityHeaders(),
    managed: input.identity.consumed === true ? site.removedWithCredentials : site.removed,
    setCookies: decision.setCookies,
    limits: services.carryLimits,
    rewriteTo: site.hostHeader === 'backend' || backend.host !== undefined ? site.external.origin : undefined,
    onFailure: (_req, _res, error) => {
      reason = 'upstream-failed';
      sendCodedError(exchange, error, { site });
    },
    onWithdrawn: () => {
      withdraw(exchange, site, input).catch(() => breakOff(res));
    },
    onDone: (outcome) => {
      if (entry !== undefined) services.openAnswers.delete(entry);
      const seconds = outcome.duration / 1000;
      services.metrics.upstream(request.method, request.scheme, site.external.host, backend.label, seconds);
      if (outcome.result === 'withdrawn') return; // reported with the answer it got
      report(exchange, reason, site, live?.user, 'app', outcome.bytes || undefined);
    },
  };
  const goesOn = live === undefined ? undefined : mayGoOn(services, site, input);
  const remember = (what: Breakable) =>
    live === undefined || goesOn === undefined ? undefined : services.openAnswers.add(what, live, goesOn);
  const carrier =
    upgrade === undefined
      ? carry(req, res, target)
      : carryUpgrade(req, res, upgrade, target, (connection) => {
          const switched = remember(connection);
          return () => {
            if (switched !== undefined) services.openAnswers.delete(switched);
          };
        });
  entry = remember(carrier);
}
