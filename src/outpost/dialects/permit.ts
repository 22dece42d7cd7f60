/** The answer that lets a request through: every managed header, for a reverse proxy to copy (spec/outpost.md 7.3). */
import type { Generation } from '../../contract/paths.ts';
import type { Decision } from '../decide.ts';
import { report } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import type { Site } from '../sites/site.ts';

/** @param decision for nobody in particular (a public path) the headers are there, and empty */
export function sendPermit(
  exchange: Exchange,
  site: Site,
  generation: Generation,
  decision: Extract<Decision, { verdict: 'allow' }>,
): void {
  const { res, request } = exchange;
  const { live, setCookies } = decision;
  const { flat } = live === undefined ? site.anonymous[generation] : live.headers(generation);
  // as published; it is what the client said itself
  const headers = flat.concat('User-Agent', request.headers.userAgent ?? '', 'Content-Length', '0');
  // of two halves nginx would pass one, and the others none or both by their configuration
  if (setCookies.length === 1) headers.push('Set-Cookie', setCookies[0] as string);
  res.writeHead(200, headers);
  res.end();
  return report(exchange, decision.reason, site, live?.user);
}
