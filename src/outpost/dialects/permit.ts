/** The answer that lets a request through: every managed header, for a reverse proxy to copy (spec/outpost.md 7.3). */
import type { Generation } from '../../contract/paths.ts';
import type { Decision } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { answerHeaders } from '../session/live.ts';
import type { Site } from '../sites/site.ts';
import { writeTogether } from '../write-together.ts';

/** @param decision for nobody in particular (a public path) the headers are there, and empty */
export function sendPermit(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  decision: Extract<Decision, { verdict: 'allow' }>,
): void {
  const { res, request } = exchange;
  const { live, setCookies } = decision;
  // as published; it is what the client said itself
  const userAgent = request.headers.userAgent ?? '';
  const headers =
    live === undefined
      ? answerHeaders(site.anonymous[generation].flat, userAgent)
      : live.answerHeaders(generation, userAgent);
  // of two halves nginx would pass one, and the others none or both by their configuration
  const [cookie, ...more] = setCookies;
  const cookies = cookie !== undefined && more.length === 0 ? ['Set-Cookie', cookie] : [];
  writeTogether(res, 200, cookies.length === 0 ? headers : [...headers, ...cookies]);
  return report(exchange, decision.reason, site, live?.user);
}
