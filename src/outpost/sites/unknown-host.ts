/** What can be said about a host that belongs to no application, to somebody who may be a stranger. */
import { diagnosisTexts } from '../../look/texts-diagnosis.ts';
import type { Finding } from '../../look/texts-diagnosis.ts';
import type { NormalisedRequest } from '../listen/request.ts';
import type { Site } from './site.ts';

/** A name this far away is a slip of the keyboard. Whoever can guess one so well, knows it. */
const MAX_EDITS = 2;
/** Shorter names are all near to each other. */
const MIN_LENGTH = 6;

/**
 * @returns what was found out, and the one application that was probably meant. Never more than one, and none that is
 *   not nearly named by the request: the list of hosts is nobody's business
 */
export function explainUnknownHost(
  request: Pick<NormalisedRequest, 'host' | 'hostHeader' | 'peer' | 'trusted' | 'rawHeaders'>,
  sites: Iterable<Site>,
): { findings: Finding[]; near: Site | undefined } {
  const { unknownHost } = diagnosisTexts;
  const { host, peer, trusted } = request;
  const findings: Finding[] = [];
  const forwarded = trusted ? undefined : forwardedHost(request.rawHeaders);
  if (forwarded !== undefined) findings.push(unknownHost.ignored(peer, forwarded));
  const near = nearestSite(host, sites);
  if (near !== undefined) findings.push(unknownHost.near(near.external.host));
  else if (forwarded === undefined && looksInternal(host)) findings.push(unknownHost.passHost);
  return { findings, near };
}

function forwardedHost(rawHeaders: readonly string[]): string | undefined {
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'x-forwarded-host');
  return at < 0 ? undefined : rawHeaders[at + 1]?.slice(0, 253);
}

/** A service name, an address, a port of ours: what proxies ask with unless told otherwise. */
const looksInternal = (host: string) =>
  !host.includes('.') || /^\[|^[\d.]+(?::\d+)?$|:9000$|:9443$|\.(?:svc|internal|local)(?:$|[.:])/.test(host);

/** The one site whose name differs by a port, a `www.`, or a slip. */
function nearestSite(host: string, sites: Iterable<Site>): Site | undefined {
  const name = bare(host);
  if (name.length < MIN_LENGTH || name.length > 253) return undefined;
  let best: Site | undefined;
  let least = MAX_EDITS + 1;
  for (const site of sites) {
    const known = withoutWww(site.external.hostname);
    if (known.length < MIN_LENGTH || Math.abs(known.length - name.length) >= least) continue;
    const edits = distance(name, known, least);
    if (edits < least) [best, least] = [site, edits];
  }
  return best;
}

const bare = (host: string) => withoutWww(host.replace(/:\d+$/, '').replace(/\.$/, ''));
const withoutWww = (name: string) => (name.startsWith('www.') ? name.slice(4) : name);

/** Levenshtein distance below `limit`, or `limit`. There may be thousands of sites, and strangers may ask often. */
function distance(a: string, b: string, limit: number): number {
  for (let edits = 0; edits < limit; edits++) if (isWithin(a, 0, b, 0, edits)) return edits;
  return limit;
}

/** Whether the rest of `a` becomes the rest of `b` with so many insertions, deletions and replacements. */
function isWithin(a: string, i: number, b: string, j: number, edits: number): boolean {
  while (i < a.length && a[i] === b[j]) {
    i++;
    j++;
  }
  if (i === a.length || j === b.length) return a.length - i + b.length - j <= edits;
  if (edits === 0) return false;
  const left = edits - 1;
  return isWithin(a, i + 1, b, j + 1, left) || isWithin(a, i + 1, b, j, left) || isWithin(a, i, b, j + 1, left);
}
