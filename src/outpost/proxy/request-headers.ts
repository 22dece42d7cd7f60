import { foldHeaderName, isManagedHeader } from '../../contract/headers.ts';
import { connectionNames, isHopByHop, isOwnCookie } from './hop-by-hop.ts';
import { Names } from './names.ts';
import type { ProxyTarget } from './target.ts';

/**
 * Headers that say how a request reached us. `made`: we write them ourselves. `passed`: a trusted peer's are passed
 * on, anybody else's removed. `dropped`: some frameworks act on them instead of the request line, so that a rule
 * for one path would let another through; nobody may send them to an application.
 */
const FORWARDED: ReadonlyMap<string, 'made' | 'passed' | 'dropped'> = new Map([
  ['x-forwarded-for', 'made'],
  ['x-forwarded-host', 'made'],
  ['x-forwarded-proto', 'made'],
  ['x-forwarded-port', 'passed'],
  ['x-forwarded-prefix', 'passed'],
  ['x-forwarded-server', 'passed'],
  ['x-forwarded-ssl', 'passed'],
  ['x-real-ip', 'passed'],
  ['forwarded', 'passed'],
  ['x-forwarded-uri', 'dropped'],
  ['x-forwarded-method', 'dropped'],
  ['x-forwarded-path', 'dropped'],
  ['x-original-url', 'dropped'],
  ['x-original-uri', 'dropped'],
  ['x-original-host', 'dropped'],
  ['x-original-method', 'dropped'],
  ['x-rewrite-url', 'dropped'],
]);

/** Handled apart from the list: routing and expectations are ours to answer. */
const OURS: ReadonlySet<string> = new Set(['host', 'expect']);
const NONE: ReadonlySet<string> = new Set();

/** What of a {@link ProxyTarget} decides about request headers. */
export type RequestIngredients = Pick<
  ProxyTarget,
  'host' | 'originalHost' | 'scheme' | 'peer' | 'trusted' | 'identity' | 'managed'
>;

/**
 * The headers of the request to the application (spec/outpost.md 6.1, security rules A, D and H) but those that say who
 * asks, which are added to them (joined-headers.ts): hop-by-hop headers leave first, then everything only we may say, in
 * every spelling.
 * @param raw `rawHeaders` of the client's request: duplicates and spelling are kept
 * @returns name, value, name, value, …
 */
export function requestHeaders(raw: readonly string[], target: RequestIngredients): string[] {
  const out: string[] = ['Host', target.host];
  const named = connectionNames(valuesOf(raw, 'connection'));
  let before = '';
  let trailers = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    const { lower, folded, treatment } = names.of(name);
    // before anything else: the connection header that announces `TE` names it as well
    if (treatment === 'te') trailers ||= /(^|,)\s*trailers\s*(;|,|$)/i.test(value);
    if (named.has(lower) || target.identity.folded.has(folded) || target.managed?.has(folded) === true) continue;
    switch (treatment) {
      case 'kept':
        out.push(name, value);
        break;
      case 'passed':
        if (target.trusted) out.push(name, value);
        break;
      case 'cookie': {
        const kept = withoutOwnCookies(value);
        if (kept !== '') out.push(name, kept);
        break;
      }
      case 'x-forwarded-for':
        if (target.trusted) before += `${value}, `;
        break;
      case 'te':
      case 'dropped':
        break;
    }
  }
  if (trailers) out.push('TE', 'trailers');
  out.push('X-Forwarded-For', before + target.peer);
  out.push('X-Forwarded-Host', target.originalHost, 'X-Forwarded-Proto', target.scheme);
  return out;
}

interface NameFacts {
  readonly lower: string;
  readonly folded: string;
  readonly treatment: 'kept' | 'passed' | 'dropped' | 'cookie' | 'te' | 'x-forwarded-for';
}

const names = new Names<NameFacts>((name) => {
  const lower = name.toLowerCase();
  const folded = foldHeaderName(lower);
  return { lower, folded, treatment: treatmentOf(lower, folded) };
});

function treatmentOf(lower: string, folded: string): NameFacts['treatment'] {
  if (lower === 'te') return 'te';
  if (OURS.has(lower) || isHopByHop(lower, NONE)) return 'dropped';
  if (lower === 'cookie') return 'cookie';
  if (isManagedHeader(folded)) return 'dropped';
  if (lower === 'x-forwarded-for') return 'x-forwarded-for';
  const forwarded = FORWARDED.get(folded);
  if (forwarded === undefined) return 'kept';
  // `X_Real_IP` and the like are never the header a proxy in front of us sends
  return forwarded === 'passed' && lower === folded ? 'passed' : 'dropped';
}

function valuesOf(raw: readonly string[], lower: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.length === lower.length && raw[i]!.toLowerCase() === lower) values.push(raw[i + 1]!);
  }
  return values;
}

/** @returns the Cookie value without the cookies of ours; `''` when nothing is left. Others stay byte for byte. */
export function withoutOwnCookies(value: string): string {
  if (!/authentik_/i.test(value)) return value;
  const kept = value.split(';').filter((pair) => !isOwnCookie(nameOf(pair)));
  return kept.join(';').trim();
}

function nameOf(pair: string): string {
  const end = pair.indexOf('=');
  return end < 0 ? pair : pair.slice(0, end);
}
