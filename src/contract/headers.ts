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

/** @returns why an application may not be sent a header of this name, or `undefined` */
export function headerNameProblem(name: string): string | undefined {
  const folded = foldHeaderName(name);
  if (!TOKEN.test(name)) return 'not a valid header name';
  if (FORBIDDEN_ADDITIONAL.has(folded)) return 'this header may not be set';
  return RESERVED_PREFIXES.some((prefix) => folded.startsWith(prefix)) ? 'this name is reserved' : undefined;
}

/** What JSON holds beside objects and lists, as a header value. @returns `undefined` for these */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

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
    const text = scalarText(raw);
    const label = `additionalHeaders.${JSON.stringify(name)}`;
    const nameProblem = headerNameProblem(name);
    if (nameProblem !== undefined) problems.push(`${label}: ${nameProblem}`);
    else if (seen.has(folded)) problems.push(`${label}: the same header is given twice`);
    else if (text === undefined) problems.push(`${label}: the value must be text, a number or true/false`);
    else if (CONTROL.test(text)) problems.push(`${label}: the value contains a control character`);
    else headers.push([name, text]);
    seen.add(folded);
  }
  return { headers, problems };
}

/**
 * Basic credentials for an application (RFC 7617), from what two attributes hold (seed 002): without a user name the
 * e-mail address, without a password an empty one.
 * @param user any JSON value; texts, numbers, true and false count
 * @param password likewise
 */
export function basicCredentials(user: unknown, password: unknown, email: string): [name: string, value: string] {
  const text = (value: unknown) => (value === null ? undefined : scalarText(value));
  const pair = `${text(user) ?? email}:${text(password) ?? ''}`;
  return ['Authorization', `Basic ${Buffer.from(pair).toString('base64')}`];
}

/** What nearly every value is, tokens too: one look is enough. */
const PRINTABLE = /^[\u0020-\u007e]*$/;

/**
 * Makes text safe as a header value on Node, which takes latin-1 only: UTF-8 bytes read as latin-1
 * (spec/outpost.md 26), control characters removed.
 */
export function headerValue(text: string): string {
  if (PRINTABLE.test(text)) return text;
  const clean = CONTROL.test(text) ? text.replace(new RegExp(CONTROL, 'g'), '') : text;
  return /[^\u0000-\u007f]/.test(clean) ? Buffer.from(clean, 'utf8').toString('latin1') : clean;
}

/**
 * Joins a list, with the published separator unless told otherwise. A separator inside a name is written as in an
 * address (`%7C`, `%2C`), so one name never reads as two; so are control characters (`%01`), since without them a name
 * would read as another.
 */
export function joinList(names: readonly string[], separator: '|' | ',' = '|'): string {
  const written = WRITTEN[separator];
  return names.map((name) => name.replace(written, asInAddress)).join(separator);
}

const WRITTEN = { '|': /[|\u0000-\u0008\u000a-\u001f\u007f]/g, ',': /[,\u0000-\u0008\u000a-\u001f\u007f]/g };

/** @param c below U+0080 */
const asInAddress = (c: string) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** `x-test-HEADER` -> `X-Test-Header`, as the published outpost writes names. */
export function canonicalCase(name: string): string {
  return name
    .split('-')
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1).toLowerCase())
    .join('-');
}
