/**
 * Names of the headers that carry identity, and the equivalence class that keeps clients from setting them
 * (spec/outpost.md 7, spec/security.md A).
 */

/** The twelve headers every allowed request carries, in wire casing and published order (spec/outpost.md 7.1). */
export const IDENTITY_HEADERS = [
  'X-Authentik-Username',
  'X-Authentik-Groups',
  'X-Authentik-Entitlements',
  'X-Authentik-Email',
  'X-Authentik-Name',
  'X-Authentik-Uid',
  'X-Authentik-Jwt',
  'X-Authentik-Meta-Jwks',
  'X-Authentik-Meta-Outpost',
  'X-Authentik-Meta-Provider',
  'X-Authentik-Meta-App',
  'X-Authentik-Meta-Version',
] as const;

/** The five headers of the older generation, sent in addition on `/akprox` (spec/outpost.md 22, seed 003). */
export const LEGACY_HEADERS = [
  'X-Auth-Username',
  'X-Auth-Groups',
  'X-Forwarded-Email',
  'X-Forwarded-Preferred-Username',
  'X-Forwarded-User',
] as const;

/** Every header of ours lies in this reserved space: a client can never send any of them. */
const RESERVED_PREFIXES = ['x-authentik-', 'x-gatehouse-'];

/**
 * Folds a header name to its equivalence class: lower case, every character that is not a letter or digit
 * becomes `-`. `X_Authentik.Username` and `x-authentik-username` are the same header to many applications.
 */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

const ALWAYS_MANAGED: ReadonlySet<string> = new Set([...IDENTITY_HEADERS, ...LEGACY_HEADERS].map(foldHeaderName));

/**
 * Tells whether a client may not set this header.
 * @param folded a name as returned by {@link foldHeaderName}
 * @param more folded names an operator added (keys of `additionalHeaders`, presets)
 */
export function isManagedHeader(folded: string, more?: ReadonlySet<string>): boolean {
  return (
    RESERVED_PREFIXES.some((prefix) => folded.startsWith(prefix)) ||
    ALWAYS_MANAGED.has(folded) ||
    (more?.has(folded) ?? false)
  );
}

/**
 * Names an `additionalHeaders` entry may not have (folded): framing, hop-by-hop and routing headers, cookies,
 * and our reserved spaces. `Authorization` is allowed: it is how applications with their own Basic login are fed.
 */
const FORBIDDEN_ADDITIONAL: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'content-type',
  'content-encoding',
  'cookie',
  'set-cookie',
  'location',
  'expect',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-uri',
  'x-forwarded-method',
  'x-forwarded-port',
  'x-real-ip',
  'x-original-url',
  'x-original-uri',
]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // RFC 9110 5.6.2
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/; // RFC 9110 5.5, a tab is allowed

/** One header an administrator may add: name and text value. */
export type HeaderEntry = readonly [name: string, value: string];

/**
 * Turns the attribute `additionalHeaders` into header entries (spec/outpost.md 7.2). Any JSON scalar becomes text.
 * @returns the usable entries and, for the rest, one problem sentence each (no values in it: they may be secret)
 */
export function parseAdditionalHeaders(value: unknown): { headers: HeaderEntry[]; problems: string[] } {
  const headers: HeaderEntry[] = [];
  const problems: string[] = [];
  if (value === undefined || value === null) return { headers, problems };
  if (typeof value !== 'object' || Array.isArray(value)) {
    return { headers, problems: ['additionalHeaders: must be an object of header names and values'] };
  }
  const seen = new Set<string>();
  for (const [name, raw] of Object.entries(value)) {
    const folded = foldHeaderName(name);
    const text = typeof raw === 'string' ? raw : raw === null ? '' : String(raw);
    const label = `additionalHeaders.${JSON.stringify(name)}`;
    if (!TOKEN.test(name)) problems.push(`${label}: not a valid header name`);
    else if (FORBIDDEN_ADDITIONAL.has(folded)) problems.push(`${label}: this header may not be set`);
    else if (RESERVED_PREFIXES.some((p) => folded.startsWith(p))) problems.push(`${label}: this name is reserved`);
    else if (seen.has(folded)) problems.push(`${label}: the same header is given twice`);
    else if (typeof raw === 'object' && raw !== null)
      problems.push(`${label}: the value must be text, a number or true/false`);
    else if (CONTROL.test(text)) problems.push(`${label}: the value contains a control character`);
    else headers.push([name, text]);
    seen.add(folded);
  }
  return { headers, problems };
}

/**
 * Makes text safe as a header value on Node, which takes latin-1 only: UTF-8 bytes read as latin-1
 * (spec/outpost.md 26), control characters removed.
 */
export function headerValue(text: string): string {
  const clean = CONTROL.test(text) ? text.replace(new RegExp(CONTROL, 'g'), '') : text;
  return /[^\u0000-\u007f]/.test(clean) ? Buffer.from(clean, 'utf8').toString('latin1') : clean;
}

/** Joins a list with the published separator; a pipe inside a name becomes `%7C`, so one name never reads as two. */
export function joinList(names: readonly string[]): string {
  return names.map((n) => (n.includes('|') ? n.replaceAll('|', '%7C') : n)).join('|');
}
