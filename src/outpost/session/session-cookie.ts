/** The session cookie of one provider: seals sessions, splits what is too long for one cookie, opens them again. */
import { deleteCookie, findCookie, setCookie } from './cookies.ts';
import type { CookieScope } from './cookies.ts';
import { deriveSealKey, open, seal } from './sealed.ts';
import type { SealKey } from './sealed.ts';
import { readSession, writeSession } from './session.ts';
import type { Session } from './session.ts';

/** Browsers take 4,096 bytes of name and value (RFC 6265 6.1); this leaves room for the name. */
const MAX_PART = 3900;
/** Marks the first of two parts. */
const SPLIT_MARK = '2.';
/** A sibling host can set cookies of the same name for a shared domain; so many are tried. */
const MAX_TRIES = 3;

export interface SessionCookieOptions {
  provider: number;
  clientId: string;
  secret: string;
  /** earlier secret whose sessions still count; empty for none */
  previousSecret: string;
  name: string;
  scope: CookieScope;
}

export class SessionCookie {
  readonly name: string;
  readonly #options: SessionCookieOptions;
  #keys: SealKey[] | undefined;

  constructor(options: SessionCookieOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Values the request carries under our name, joined when split. The first that opens counts. */
  candidates(header: string | undefined): string[] {
    const values: string[] = [];
    if (header === undefined) return values;
    for (let found = findCookie(header, this.name); found !== undefined;) {
      if (found.value !== '') values.push(this.#whole(header, found.value));
      if (values.length >= MAX_TRIES) break;
      found = findCookie(header, this.name, found.next);
    }
    return values;
  }

  #whole(header: string, value: string): string {
    if (!value.startsWith(SPLIT_MARK)) return value;
    return value.slice(SPLIT_MARK.length) + (findCookie(header, `${this.name}_1`)?.value ?? '');
  }

  /** @returns the session; `undefined` for what is malformed, sealed with another key or for another provider */
  open(value: string): Session | undefined {
    if (value.length > 2 * MAX_PART) return undefined;
    for (const key of this.#sealKeys()) {
      const text = open(key, value);
      if (text === undefined) continue;
      const session = readSession(text);
      return session?.provider === this.#options.provider ? session : undefined;
    }
    return undefined;
  }

  /**
   * Seals a session.
   * @returns the sealed value and its Set-Cookie texts; `undefined` when it is too large for two cookies
   */
  async seal(session: Session): Promise<{ value: string; setCookies: string[] } | undefined> {
    const key = this.#sealKeys()[0];
    if (key === undefined) return undefined;
    const value = await seal(key, writeSession(session));
    if (value.length > 2 * MAX_PART - SPLIT_MARK.length) return undefined;
    const { scope } = this.#options;
    const maxAge = Math.floor((session.expiresAt - session.issuedAt) / 1000);
    if (value.length <= MAX_PART) return { value, setCookies: [setCookie(this.name, value, maxAge, scope)] };
    const cut = MAX_PART - SPLIT_MARK.length;
    return {
      value,
      setCookies: [
        setCookie(this.name, SPLIT_MARK + value.slice(0, cut), maxAge, scope),
        setCookie(`${this.name}_1`, value.slice(cut), maxAge, scope),
      ],
    };
  }

  /** Set-Cookie texts that remove whatever of ours the request carries. */
  clear(header: string | undefined): string[] {
    if (header === undefined) return [];
    return [this.name, `${this.name}_1`]
      .filter((name) => findCookie(header, name) !== undefined)
      .map((name) => deleteCookie(name, this.#options.scope));
  }

  /** Derived when first needed: an outpost may serve thousands of providers. */
  #sealKeys(): SealKey[] {
    const { clientId, secret, previousSecret } = this.#options;
    this.#keys ??= [secret, previousSecret].filter((s) => s !== '').map((s) => deriveSealKey(s, clientId, 'session'));
    return this.#keys;
  }
}
