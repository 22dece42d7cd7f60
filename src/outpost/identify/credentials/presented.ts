/** What an Authorization header holds (RFC 7617 Basic, RFC 6750 Bearer; seed 002; spec/outpost.md 8). */

export type Presented =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** a signed token, not looked at yet */
  | { readonly kind: 'bearer'; readonly token: string };

/** With this user name the password is a token, for clients that can do nothing but Basic. */
export const TOKEN_USER = 'goauthentik.io/token';

/** Longer than any password or token of ours; Node takes 16 KiB of all headers unless told otherwise. */
const MAX_LENGTH = 12_288;
const SCHEME = /^(basic|bearer) (?! )/i;
const BEARER = /^bearer (?! )/i;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const SIGNED_TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const CONTROL = /[\u0000-\u001f\u007f]/;
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * @param header value of the header, not empty
 * @returns `undefined` for what cannot be meant for us: another scheme, a token that is none of ours by its form
 */
export function readAuthorization(header: string): Presented | undefined {
  if (header.length > MAX_LENGTH) return undefined;
  const scheme = SCHEME.exec(header)?.[1]?.toLowerCase();
  if (scheme === 'bearer') return bearer(header.slice('bearer '.length));
  if (scheme !== 'basic') return undefined;
  const pair = decode(header.slice('basic '.length));
  const colon = pair?.indexOf(':') ?? -1;
  if (pair === undefined || colon < 1 || colon === pair.length - 1 || CONTROL.test(pair)) return undefined;
  const username = pair.slice(0, colon);
  const password = pair.slice(colon + 1);
  return username === TOKEN_USER ? bearer(password) : { kind: 'basic', username, password };
}

/** The credentials as one text, however the header spells them. */
export const secretOf = (presented: Presented): string =>
  presented.kind === 'bearer' ? presented.token : `${presented.username}\n${presented.password}`;

/**
 * The same text of a header, to be compared with one that was believed before: a token's form is not looked at again.
 * @returns `undefined` for what cannot be meant for us
 */
export function secretIn(header: string): string | undefined {
  if (header.length > MAX_LENGTH) return undefined;
  if (BEARER.test(header)) return header.slice('bearer '.length);
  const presented = readAuthorization(header);
  return presented === undefined ? undefined : secretOf(presented);
}

function bearer(token: string): Presented | undefined {
  return SIGNED_TOKEN.test(token) ? { kind: 'bearer', token } : undefined;
}

/** RFC 7617 2.1: UTF-8, as our challenge asks for. */
function decode(text: string): string | undefined {
  if (!BASE64.test(text)) return undefined;
  try {
    return decoder.decode(Buffer.from(text, 'base64'));
  } catch {
    return undefined;
  }
}

/**
 * How a client is told that its credentials do not count: in the scheme it used, since a browser asks the person for a
 * password when it reads `Basic` (RFC 9110 11.6.1).
 * @param header what the client sent
 * @returns name, value, …
 */
export function challengesFor(header: string, realm: string): string[] {
  const name = realm.replace(/[^\w.-]/g, '');
  const basic = ['WWW-Authenticate', `Basic realm="${name}", charset="UTF-8"`];
  const token = ['WWW-Authenticate', `Bearer realm="${name}", error="invalid_token"`];
  if (/^basic /i.test(header)) return basic;
  return /^bearer /i.test(header) ? token : [...token, ...basic];
}
