/** The answer that lets a request through: every managed header, for a reverse proxy to copy (spec/outpost.md 7.3). */
import type { Generation } from '../../contract/paths.ts';
import type { Decision } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import type { Site } from '../sites/site.ts';
import { permitTogether } from '../write-together.ts';

const NONE: readonly string[] = [];

/**
 * @param decision for nobody in particular (a public path) the headers are there, and empty
 * @param consumed whether Authorization says who it is. Otherwise the answer repeats it: a reverse proxy that replaces the
 *   visitor's by the answer's then keeps it where it is the application's, and drops it where it is not
 * @param more further headers: name, value, …
 */
export function sendPermit(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  decision: Extract<Decision, { verdict: 'allow' }>,
  consumed: boolean,
  more: readonly string[] = NONE,
): void {
  const { res, request } = exchange;
  const { live, setCookies, application } = decision;
  const checked =
    live === undefined
      ? [site.anonymous[generation]]
      : [live.permitHeaders(generation), (application ?? site).permitMeta[generation]];
  // as published; it is what the client said itself
  const rest = ['User-Agent', request.headers.userAgent ?? '', 'Content-Length', '0', ...more];
  const { authorization } = request.headers;
  const ours = site.meta.managed.has('authorization') || live?.setsAuthorization === true;
  if (authorization !== undefined && !consumed && !ours) {
    rest.push('Authorization', authorization);
  }
  // of two halves nginx would pass one, and the others none or both by their configuration
  if (setCookies.length === 1) rest.push('Set-Cookie', setCookies[0] as string);
  permitTogether(res, checked, rest);
  return report(exchange, decision.reason, site, live?.user, 'app', 0, application);
}
