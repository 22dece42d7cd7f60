/** Sends a browser to the login (OpenID Connect Core 3.1.2.1; PKCE, RFC 7636). */
import type { Generation } from '../../contract/paths.ts';
import { sendRedirect } from '../answer.ts';
import type { Exchange } from '../exchange.ts';
import { sendTooLong } from '../pages.ts';
import type { AttemptState } from '../session/attempt.ts';
import { ownEndpoint, redirectUri } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';

export interface LoginRequest {
  /** address of this site to come back to; empty = its start page */
  target: string;
  round: number;
  purpose: AttemptState['purpose'];
}

/**
 * Begins an attempt and redirects to the authorize endpoint. An address too long to be taken along is kept by a page
 * that stays open meanwhile; a renewal is left for another address then.
 */
export async function sendToLogin(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  login: LoginRequest,
  setCookies: readonly string[] = [],
): Promise<void> {
  const { request, res, services } = exchange;
  const attempt = await site.attempts.begin({ ...login, now: services.now() }, request.headers.cookie);
  if (attempt === undefined) {
    if (login.purpose === 'renew') sendRedirect(res, login.target, setCookies);
    else sendTooLong(exchange, site, ownEndpoint(site, generation, '/start'), setCookies);
    return;
  }
  const url = new URL(site.endpoints.authorize);
  const parameters: Record<string, string> = {
    client_id: site.provider.client_id,
    code_challenge: attempt.codeChallenge,
    code_challenge_method: 'S256',
    nonce: attempt.nonce,
    ...(login.purpose === 'renew' ? { prompt: 'none' } : {}),
    redirect_uri: redirectUri(site, generation),
    response_type: 'code',
    ...(site.provider.scopes_to_request.length > 0
      ? { scope: site.provider.scopes_to_request.toSorted().join(' ') }
      : {}),
    state: attempt.state,
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  sendRedirect(res, url.href, [...setCookies, ...attempt.setCookies]);
}
