/**
 * CORS preflights (Fetch standard 4.9). Browsers send them without cookies and accept no redirect, so a login can
 * never answer one. What may come of them is a setting of the provider (`preflight`).
 */
import { foldHeaderName } from '../contract/headers.ts';

/** What a preflight asks for. All three are safe to repeat in a header. */
export interface Preflight {
  /** serialised origin, or `null` */
  readonly origin: string;
  /** the method of the request that is to follow */
  readonly method: string;
  /** header names of the request that is to follow, as sent; empty = none */
  readonly headers: string;
}

/** Also of extensions and apps, whose schemes are their own. */
const ORIGIN = /^(?:null|[a-z][a-z0-9+.-]*:\/\/[a-z0-9._:[\]-]{1,260})$/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]{1,64}$/;
const TOKENS = /^[\w!#$%&'*+.^`|~, -]{0,2000}$/;

/**
 * No browser sends these with a preflight: a request that carries one wants to do something. Some frameworks take the
 * method from a header, which would make anything of an OPTIONS.
 */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'transfer-encoding',
  'upgrade',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
]);

/**
 * Reads a preflight.
 * @param method what the application would be asked with; undefined = not known, and then nothing is a preflight
 * @param rawHeaders name, value, … as received
 * @returns `undefined` for every request that is none
 */
export function readPreflight(method: string | undefined, rawHeaders: readonly string[]): Preflight | undefined {
  if (method !== 'OPTIONS') return undefined;
  const found: Record<string, string> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = foldHeaderName(rawHeaders[i] as string);
    const value = rawHeaders[i + 1] as string;
    if (FORBIDDEN.has(name) || (name === 'content-length' && value !== '0' && value !== '')) return undefined;
    if (name !== 'origin' && !name.startsWith('access-control-request-')) continue;
    if (found[name] !== undefined) return undefined;
    found[name] = value;
  }
  const { origin = '' } = found;
  const asked = found['access-control-request-method'] ?? '';
  const headers = found['access-control-request-headers'] ?? '';
  if (!ORIGIN.test(origin) || !TOKEN.test(asked) || !TOKENS.test(headers)) return undefined;
  return { origin, method: asked, headers };
}

/** Header list of an answer that allows what was asked (Fetch standard 3.3.3). Name, value, … */
export function preflightAnswer({ origin, method, headers }: Preflight): string[] {
  return [
    ...corsHeaders(origin),
    ...['Access-Control-Allow-Methods', method],
    ...(headers === '' ? [] : ['Access-Control-Allow-Headers', headers]),
    ...['Access-Control-Max-Age', '600'],
  ];
}

/** Lets scripts of an origin read an answer. Name, value, … */
export function corsHeaders(origin: string): string[] {
  return [
    ...['Access-Control-Allow-Origin', origin],
    ...['Access-Control-Allow-Credentials', 'true'],
    ...['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
  ];
}
