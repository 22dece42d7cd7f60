/** The answer that lets a request through: every managed header, for a reverse proxy to copy (spec/outpost.md 7.3). */
import type { Generation } from '../../contract/paths.ts';
import type { Decision } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { answerHeaders } from '../session/live.ts';
import type { Site } from '../sites/site.ts';
import { writeTogether } from '../write-together.ts';

const NONE: readonly string[] = [];

/**
 * @param decision for nobody in particular (a public path) the headers are there, and empty
 * @param more further headers: name, value, …
 */
export function sendPermit(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  decision: Extract<Decision, { verdict: 'allow' }>,
  more: readonly string[] = NONE,
): void {
  const { res, request } = exchange;
  const { live, setCookies, application } = decision;
  // as published; it is what the client said itself
  const userAgent = request.headers.userAgent ?? '';
  const headers =
    live === undefined
      ? answerHeaders(site.anonymous[generation].flat, userAgent)
      : live.answerHeaders(generation, userAgent, application);
  // of two halves nginx would pass one, and the others none or both by their configuration
  const [cookie, ...others] = setCookies;
  const cookies = cookie !== undefined && others.length === 0 ? ['Set-Cookie', cookie] : NONE;
  writeTogether(res, 200, cookies.length + more.length === 0 ? headers : [...headers, ...cookies, ...more]);
  return report(exchange, decision.reason, site, live?.user);
}
