import { foldHeaderName } from '../../contract/headers.ts';
import { connectionNames, isHopByHop, isOwnCookie } from './hop-by-hop.ts';
import { Names } from './names.ts';
import type { ProxyTarget, Upstream } from './target.ts';

const EMPTY: ReadonlySet<string> = new Set();

/** What of a {@link ProxyTarget} decides about response headers. */
export type ResponseIngredients = Pick<ProxyTarget, 'upstream' | 'host' | 'rewriteTo' | 'setCookies'>;

/**
 * The headers of the answer to the client.
 *
 * An application cannot set cookies of ours, nor speak in our header space: an answer that echoes the request would
 * hand the person's token to any script on the page.
 * @param raw name, value, … as the application sent them
 * @param framed false when the answer has no body of its own framing (204): its length is left out
 * @returns name, value, name, value, …
 */
export function responseHeaders(raw: readonly string[], target: ResponseIngredients, framed = true): string[] {
  const out: string[] = [];
  const connection: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.length === 10 && raw[i]!.toLowerCase() === 'connection') connection.push(raw[i + 1]!);
  }
  const named = connectionNames(connection);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    const { lower, treatment } = names.of(name);
    if (treatment === 'dropped' || named.has(lower) || (treatment === 'length' && !framed)) continue;
    if (treatment === 'cookie' && isOwnCookie(value.split('=', 1)[0]!)) continue;
    out.push(name, target.rewriteTo === undefined ? value : rewritten(value, treatment, target, target.rewriteTo));
  }
  for (const cookie of target.setCookies ?? []) out.push('Set-Cookie', cookie);
  out.push('X-Powered-By', 'goauthentik.io'); // spec/outpost.md 3.2
  return out;
}

interface NameFacts {
  readonly lower: string;
  readonly treatment: 'kept' | 'dropped' | 'length' | 'cookie' | 'address';
}

const names = new Names<NameFacts>((name) => {
  const lower = name.toLowerCase();
  return { lower, treatment: treatmentOf(lower) };
});

function treatmentOf(lower: string): NameFacts['treatment'] {
  if (isHopByHop(lower, EMPTY) || lower === 'x-powered-by' || isReserved(lower)) return 'dropped';
  if (lower === 'content-length') return 'length';
  if (lower === 'set-cookie') return 'cookie';
  return lower === 'location' || lower === 'content-location' ? 'address' : 'kept';
}

function rewritten(
  value: string,
  treatment: NameFacts['treatment'],
  { upstream, host }: ResponseIngredients,
  to: string,
): string {
  if (treatment === 'cookie') return rewriteCookieDomain(value, upstream, to, host);
  return treatment === 'address' ? rewriteAddress(value, upstream, host, to) : value;
}

/** Trailers are passed on except what must be known before the body (RFC 9110 6.5.1) or is ours. */
export function responseTrailers(raw: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const lower = raw[i]!.toLowerCase();
    if (isHopByHop(lower, EMPTY) || isReserved(lower) || NEVER_TRAILERS.has(lower)) continue;
    out.push([raw[i]!, raw[i + 1]!]);
  }
  return out;
}

const NEVER_TRAILERS: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'set-cookie',
  'location',
  'cache-control',
  'authorization',
]);

function isReserved(lower: string): boolean {
  if (!lower.startsWith('x')) return false;
  const folded = foldHeaderName(lower);
  return folded.startsWith('x-authentik-') || folded.startsWith('x-gatehouse-');
}

const ADDRESS = /^(?:(https?):)?\/\/([^/?#]*)(.*)$/is;

/**
 * Turns an address of the application's own host into the one the browser knows. Anything else stays byte for byte.
 * The application's own host is the authority it was called by, with its port or without any, or the Host it saw.
 * The base path of `internal_host` was added on the way in, so it is taken off on the way out.
 */
export function rewriteAddress(value: string, upstream: Upstream, host: string, rewriteTo: string): string {
  const match = ADDRESS.exec(value);
  if (!match) {
    if (!value.startsWith('/')) return value;
    const path = withoutBase(value, upstream.basePath);
    // without its base, "/base//host" would name another host
    return /^\/[/\\]/.test(path) ? rewriteTo + path : path;
  }
  const authority = canonicalAuthority(match[2]!.toLowerCase(), match[1]?.toLowerCase());
  const own = authority === upstream.authority || authority === host.toLowerCase() || authority === hostname(upstream);
  return own ? rewriteTo + withoutBase(match[3]!, upstream.basePath) : value;
}

function canonicalAuthority(authority: string, scheme: string | undefined): string {
  return authority.replace(scheme === 'https' ? /:443$/ : /:80$/, '');
}

function hostname(upstream: Upstream): string {
  return upstream.authority.replace(/:\d+$/, '');
}

function withoutBase(rest: string, basePath: string): string {
  if (basePath === '' || !rest.startsWith(basePath)) return rest;
  const tail = rest.slice(basePath.length);
  if (tail === '') return '/';
  return /^[/?#]/.test(tail) ? (tail.startsWith('/') ? tail : `/${tail}`) : rest;
}

const DOMAIN = /(;\s*domain\s*=\s*)\.?([^;\s]*)/gi;

/**
 * Domain of the application's own host becomes the external host; other domains are the browser's to judge.
 * @param host the Host it saw, where that is another one
 */
export function rewriteCookieDomain(
  cookie: string,
  upstream: Upstream,
  rewriteTo: string,
  host: string = upstream.authority,
): string {
  const own = [hostname(upstream), host.toLowerCase().replace(/:\d+$/, '')];
  return cookie.replace(DOMAIN, (whole, head: string, domain: string) =>
    own.includes(domain.toLowerCase()) ? head + new URL(rewriteTo).hostname : whole,
  );
}
