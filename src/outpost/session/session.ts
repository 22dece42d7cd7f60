/** A signed-in person at one application, as the session cookie carries it (docs/architecture.md, decision 1). */
import { readClaims } from '../../contract/claims.ts';
import type { Claims } from '../../contract/claims.ts';
import type { Cursor } from '../../contract/extension.ts';
import type { HeaderEntry } from '../../contract/headers.ts';

export interface Session {
  /** pk of the provider it was made for */
  readonly provider: number;
  /** the server's token, byte for byte */
  readonly token: string;
  readonly claims: Claims;
  /** headers of this person that travel outside the token */
  readonly extra: readonly HeaderEntry[];
  /**
   * the groups this person is in, directly or through others, of those that access rules name; undefined when the
   * server did not say, and then they count as in none
   */
  readonly ruleGroups?: readonly string[] | undefined;
  /** slugs of the applications of a domain this person may open; undefined = the server did not say */
  readonly applications?: readonly string[] | undefined;
  /** what it was made from when that was no login, by handles that events name (TokenExtension.credentials) */
  readonly credentials?: readonly string[] | undefined;
  /** salt and digest of the credentials it was made from, as `identify/credentials/used.ts` makes them */
  readonly usedAuthorization?: readonly [salt: string, digest: string] | undefined;
  /** position in the log of identity events, read before the claims were */
  readonly cursor: Cursor;
  /** epoch ms */
  readonly issuedAt: number;
  /** epoch ms; from the token's `exp` */
  readonly expiresAt: number;
}

/** Cursor of sessions from a server that has no log. */
export const NO_CURSOR: Cursor = { epoch: '', n: 0 };

const NO_EXTRA: readonly HeaderEntry[] = [];

/** The sealed form. The token's parts stand unencoded, since base64 hides from deflate what repeats. */
interface SealedForm {
  p: number;
  /** header, payload (JSON text) and signature (base64url) of the token */
  j: [string, string, string];
  x?: HeaderEntry[];
  g?: readonly string[];
  a?: readonly string[];
  k?: readonly string[];
  u?: readonly [string, string];
  c?: [string, number];
  t: number;
}

export function writeSession(session: Session): string {
  const [header = '', payload = '', signature = ''] = session.token.split('.');
  const form: SealedForm = {
    p: session.provider,
    j: [decode(header), decode(payload), signature],
    t: session.issuedAt,
    ...(session.extra.length > 0 ? { x: [...session.extra] } : {}),
    ...(session.ruleGroups === undefined ? {} : { g: session.ruleGroups }),
    ...(session.applications === undefined ? {} : { a: session.applications }),
    ...(session.credentials === undefined ? {} : { k: session.credentials }),
    ...(session.usedAuthorization === undefined ? {} : { u: session.usedAuthorization }),
    ...(session.cursor.epoch !== '' ? { c: [session.cursor.epoch, session.cursor.n] } : {}),
  };
  return JSON.stringify(form);
}

/** @returns the session, or `undefined` when the text is not one (sealed by another version) */
export function readSession(text: string): Session | undefined {
  try {
    const { p, j, x, g, a, k, u, c, t } = JSON.parse(text) as SealedForm;
    const [header, payload, signature] = j;
    const claims = readClaims(JSON.parse(payload) as Record<string, unknown>);
    if (!Number.isInteger(p) || !Number.isFinite(t) || claims.sub === '' || claims.exp <= 0) return undefined;
    // all members, always in this order: V8 makes it, and reads from it, several times faster than one put together
    return {
      provider: p,
      token: `${encode(header)}.${encode(payload)}.${signature}`,
      claims,
      extra: x ?? NO_EXTRA,
      ruleGroups: g,
      applications: a,
      credentials: k,
      usedAuthorization: u,
      cursor: c === undefined ? NO_CURSOR : { epoch: c[0], n: c[1] },
      issuedAt: t,
      expiresAt: claims.exp * 1000,
    };
  } catch {
    return undefined;
  }
}

/**
 * Whether {@link writeSession} gives the token back byte for byte: its parts must be canonical base64url of UTF-8.
 * Checked once, when the token arrives.
 */
export function isRestorable(token: string): boolean {
  const parts = token.split('.');
  return parts.length === 3 && parts.slice(0, 2).every((part) => encode(decode(part)) === part);
}

const decode = (part: string) => Buffer.from(part, 'base64url').toString('utf8');
const encode = (text: string) => Buffer.from(text, 'utf8').toString('base64url');
