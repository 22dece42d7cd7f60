/** `callback`: the end of a login (docs/architecture.md, decision 3; spec/security.md F and G). */
import { CodedError } from '../../contract/errors.ts';
import type { Generation } from '../../contract/paths.ts';
import { sendRedirect } from '../answer.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { identityHeaders } from '../headers.ts';
import type { Identity } from '../identify/identify.ts';
import { sendCodedError, sendProblem, sendUnheld } from '../pages.ts';
import { ATTEMPT_LIFE_S } from '../session/attempt.ts';
import type { AttemptState } from '../session/attempt.ts';
import { deleteCookie, findCookie } from '../session/cookies.ts';
import type { Session } from '../session/session.ts';
import { ownEndpoint } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';
import { sendToLogin } from './authorize.ts';
import { diagnoseCallback } from './diagnosis.ts';
import { noteLogin } from './loop-guard.ts';
import { authorizationError, CodeNotTaken, readCallback, redeem } from './redeem.ts';
import { checkReturnAddress } from './return-address.ts';
import { reportSkippedHeaders } from './skipped-headers.ts';

/** How often a login whose attempt is gone, or whose code is not taken, starts over by itself. */
const MAX_ROUNDS = 1;
/** The published nginx configuration takes 32 KiB of response headers; with more every request would fail. */
const MAX_HEADER_BYTES = 30_000;
/** What `prompt=none` is answered when the server would have to ask the person (OpenID Connect Core 3.1.2.6). */
const SILENT_FAILURES = new Set([
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
]);

export async function callback(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  identity: Identity,
): Promise<void> {
  const { request, services } = exchange;
  const cookies = request.headers.cookie;
  const query = new URLSearchParams(request.query);
  const sealed = query.get('state') ?? '';
  const state = site.attempts.readState(sealed);
  if (state === undefined) {
    sendProblem(exchange, 'login-state-invalid', { site, asPage: true });
    return report(exchange, 'login-failed', site);
  }
  // checked when the attempt began; checked again since the configuration may be another now
  const target = checkReturnAddress(site, state.target) ?? site.external.href;
  const secrets = site.attempts.secrets(state.id, cookies);
  if (secrets === undefined || services.now() - state.created > ATTEMPT_LIFE_S * 1000) {
    return withoutAttempt(exchange, site, generation, identity, state, target);
  }

  const retry = `${ownEndpoint(site, generation, '/start')}?rd=${encodeURIComponent(target)}`;
  const setCookies = [site.attempts.end(state.id)];
  let session: Session;
  try {
    const accepted = readCallback(site, query, sealed);
    session = await redeem(site, generation, accepted, secrets, services);
  } catch (error) {
    const refusal = authorizationError(error);
    const codeNotTaken = error instanceof CodeNotTaken;
    const away = error instanceof CodedError && error.code === 'login-server-unreachable';
    const cameToNothing = codeNotTaken || away || SILENT_FAILURES.has(refusal ?? '');
    if (state.purpose === 'renew' && identity.kind === 'person' && cameToNothing) {
      // for a while renewal is not tried again
      sendRedirect(exchange.res, target, site.attempts.giveUp(state.id, services.now()));
      return report(exchange, 'endpoint', site, identity.live.user);
    }
    if (codeNotTaken && state.round < MAX_ROUNDS) {
      const again = { target, round: state.round + 1, purpose: 'login' } as const;
      await sendToLogin(exchange, site, generation, again, setCookies);
      return report(exchange, 'endpoint', site);
    }
    explain(exchange, site, refusal, error, { retry, setCookies });
    return report(exchange, refusal === 'access_denied' ? 'access-denied' : 'login-failed', site);
  }

  reportSkippedHeaders(exchange, site, session.claims);
  const sealedSession = await site.cookie.seal(session);
  if (sealedSession === undefined || headerBytes(site, generation, session) > MAX_HEADER_BYTES) {
    tooLarge(exchange, site, session, setCookies);
    return report(exchange, 'login-failed', site);
  }
  // the attempts of other tabs are not needed any more: with a session their callbacks go on to their targets
  const done = [...sealedSession.setCookies, ...site.attempts.endAll(cookies)];
  if (identity.kind === 'nobody') done.push(noteLogin(site, cookies));
  const second = `${site.cookie.name}_1`;
  if (sealedSession.setCookies.length === 1 && cookies !== undefined && findCookie(cookies, second) !== undefined) {
    done.push(deleteCookie(second, site.cookieScope));
  }
  sendRedirect(exchange.res, target, done);
  report(exchange, 'endpoint', site, session.claims.preferred_username || session.claims.sub);
}

/** The browser does not know this attempt (any more): another tab finished, or it took too long, or cookies are off. */
async function withoutAttempt(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  identity: Identity,
  state: AttemptState,
  target: string,
): Promise<void> {
  if (identity.kind === 'person') sendRedirect(exchange.res, target, identity.setCookies);
  else if (state.round < MAX_ROUNDS) {
    await sendToLogin(exchange, site, generation, { target, round: state.round + 1, purpose: 'login' });
  } else {
    const retry = `${ownEndpoint(site, generation, '/start')}?rd=${encodeURIComponent(target)}`;
    const diagnosis = diagnoseCallback(site, exchange.request, exchange.services.now() - state.created);
    sendUnheld(exchange, site, 'login-cookie-missing', diagnosis, retry);
  }
  report(exchange, 'endpoint', site);
}

function explain(
  exchange: Exchange,
  site: Site,
  refusal: string | undefined,
  error: unknown,
  options: { retry: string; setCookies: readonly string[] },
): void {
  const { services, request } = exchange;
  const page = { site, asPage: true, ...options };
  // not the error as it is: those of the OAuth library may hold what the server sent
  const why = error instanceof CodedError ? { code: error.code, detail: error.detail } : { detail: String(error) };
  services.log.warn({ provider: site.pk, refusal, request: request.requestId, ...why }, 'a login failed');
  if (refusal === 'access_denied') sendProblem(exchange, 'login-refused', page);
  else if (refusal !== undefined)
    sendProblem(exchange, 'login-failed', { ...page, facts: [['error', refusal.slice(0, 80)]] });
  else if (error instanceof CodedError) sendCodedError(exchange, error, page);
  else sendProblem(exchange, 'login-failed', page);
}

function tooLarge(exchange: Exchange, site: Site, session: Session, setCookies: readonly string[]): void {
  const facts = measure(session);
  exchange.services.onProblem({
    code: 'session-too-large',
    message: `What is said about ${session.claims.preferred_username || session.claims.sub} does not fit into a cookie.`,
    provider: site.pk,
    clientIp: exchange.request.clientAddress,
    context: { provider: site.provider.name, ...Object.fromEntries(facts) },
  });
  sendProblem(exchange, 'session-too-large', { site, setCookies, facts, asPage: true });
}

function headerBytes(site: Site, generation: Generation, session: Session): number {
  return identityHeaders(site.meta, generation, session).reduce((sum, part) => sum + part.length + 2, 0);
}

/** What a session is made of, largest first. */
function measure({ claims, extra, applications = [] }: Session): (readonly [string, string])[] {
  const size = (value: unknown) => JSON.stringify(value).length;
  const parts: [string, number][] = [
    [`groups (${claims.groups.length})`, size(claims.groups)],
    [`entitlements (${claims.entitlements.length})`, size(claims.entitlements)],
    [`attributes (${Object.keys(claims.ak_proxy.user_attributes).length})`, size(claims.ak_proxy.user_attributes)],
    [`additionalHeaders (${extra.length})`, size(extra)],
    [`applications (${applications.length})`, size(applications)],
  ];
  return parts.sort((a, b) => b[1] - a[1]).map(([name, bytes]) => [name, `${bytes} bytes`] as const);
}
