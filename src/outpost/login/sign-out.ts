/** `sign_out`: ends the session here, at the other workers and at the server (spec/outpost.md 11). */
import { sendRedirect } from '../answer.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import type { Identity } from '../identify/identify.ts';
import { sendSignedOut } from '../pages.ts';
import type { Site } from '../sites/site.ts';
import { forgetLogins } from './loop-guard.ts';

export function signOut(exchange: Exchange, site: Site, identity: Identity): void {
  const { request, res, services } = exchange;
  const { cookie } = request.headers;
  const clear = [...site.cookie.clear(cookie), ...site.attempts.endAll(cookie), ...forgetLogins(site, cookie)];
  if (identity.kind === 'nobody' || identity.live === undefined) {
    sendSignedOut(exchange, site, clear);
    return report(exchange, 'endpoint', site);
  }
  const { session, user } = identity.live;
  services.onSignOut({ provider: site.pk, sid: session.claims.sid, uid: session.claims.sub });
  const url = new URL(site.endpoints.endSession);
  url.searchParams.set('id_token_hint', session.token);
  sendRedirect(res, url.href, clear);
  report(exchange, 'endpoint', site, user);
}
