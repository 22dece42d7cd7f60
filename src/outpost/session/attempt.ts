/**
 * Login attempts, kept by the browser (docs/architecture.md, decision 3; spec/security.md G): a small sealed cookie
 * binds each to the browser that began it, the sealed `state` brings the rest back.
 */
import { createHash, randomBytes } from 'node:crypto';
import { cookieNames, deleteCookie, findCookie, setCookie } from './cookies.ts';
import type { CookieScope } from './cookies.ts';
import { deriveSealKey, open, seal } from './sealed.ts';
import type { SealKey } from './sealed.ts';

export const ATTEMPT_LIFE_S = 15 * 60;
/** More at once is no person. The oldest goes. */
const MAX_ATTEMPTS = 8;
/** Longer addresses come from nowhere: nginx takes 8 KiB. */
const MAX_TARGET = 8192;
/**
 * The redirects of a login hold the state and some hundred bytes more, and nginx in front of the identity server takes
 * heads of 4 KiB unless told otherwise (measured). Sealed, 6 kB of what people have in addresses are about 1.5 kB.
 */
const MAX_STATE = 3000;
/** of an attempt's id, behind the time */
const RANDOM_BYTES = 6;

/** What only the browser knows. */
export interface AttemptSecrets {
  readonly id: string;
  /** PKCE code verifier (RFC 7636) */
  readonly verifier: string;
  readonly nonce: string;
}

/** What comes back in `state`. */
export interface AttemptState {
  readonly id: string;
  /** where the person wanted to go, an address of this site */
  readonly target: string;
  /** how often this login started over already */
  readonly round: number;
  /** epoch ms */
  readonly created: number;
  /** `renew`: silent (prompt=none), for a session that is still valid */
  readonly purpose: 'login' | 'renew';
}

export interface AttemptsOptions {
  clientId: string;
  secret: string;
  previousSecret: string;
  /** name of the session cookie; attempt cookies are called `<name>_a<id>` */
  cookieName: string;
  scope: CookieScope;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #prefix: string;
  readonly #keys = new Map<'attempt' | 'state', SealKey[]>();

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#prefix = `${options.cookieName}_a`;
  }

  /**
   * @returns values for the authorize address, and the Set-Cookie texts that belong to them; `undefined` when the
   *   target is too long to be taken along
   */
  async begin(
    request: { target: string; round: number; purpose: AttemptState['purpose']; now: number },
    cookies: string | undefined,
  ): Promise<{ state: string; nonce: string; codeChallenge: string; setCookies: string[] } | undefined> {
    const { target, round, purpose, now } = request;
    if (target.length > MAX_TARGET) return undefined;
    const id = newId(now);
    const secrets: AttemptSecrets = { id, verifier: randomText(), nonce: randomText() };
    const value = await seal(this.#sealKey('attempt'), JSON.stringify(secrets));
    const state = await this.#sealState({ id, target, round, created: now, purpose });
    // one that starts over came this way already
    if (state.length > MAX_STATE && round === 0) return undefined;
    const { scope } = this.#options;
    return {
      state,
      nonce: secrets.nonce,
      codeChallenge: createHash('sha256').update(secrets.verifier).digest('base64url'),
      setCookies: [
        setCookie(this.#prefix + id, value, ATTEMPT_LIFE_S, scope),
        ...this.names(cookies)
          .sort()
          .slice(0, -(MAX_ATTEMPTS - 1))
          .map((name) => deleteCookie(name, scope)),
      ],
    };
  }

  #sealState(state: AttemptState): Promise<string> {
    return seal(this.#sealKey('state'), JSON.stringify(state));
  }

  /** @returns `undefined` for text that is no state of this provider */
  readState(sealed: string): AttemptState | undefined {
    return this.#open('state', sealed) as AttemptState | undefined;
  }

  /** @returns the secrets of an attempt this browser began, or `undefined` when it did not or they are gone */
  secrets(id: string, cookies: string | undefined): AttemptSecrets | undefined {
    const value = cookies === undefined ? undefined : findCookie(cookies, this.#prefix + id)?.value;
    const secrets = value === undefined ? undefined : (this.#open('attempt', value) as AttemptSecrets | undefined);
    return secrets?.id === id ? secrets : undefined;
  }

  /** Names of the attempt cookies a request carries. */
  names(cookies: string | undefined): string[] {
    return cookieNames(cookies, this.#prefix);
  }

  /** Whether a request carries an attempt that was begun less than `ms` ago: their names say when. */
  begunWithin(ms: number, cookies: string | undefined, now: number): boolean {
    const begun = (name: string) => parseInt(name.slice(this.#prefix.length, -RANDOM_BYTES * 2), 36) * 1000;
    // another outpost's clock may be ahead; what is no name of ours is no attempt
    return this.names(cookies).some((name) => Math.abs(now - begun(name)) < ms);
  }

  /** Set-Cookie texts that put a cookie of now in the place of an attempt that came to nothing: it counts from now on. */
  giveUp(id: string, now: number): string[] {
    return [this.end(id), setCookie(this.#prefix + newId(now), '-', ATTEMPT_LIFE_S, this.#options.scope)];
  }

  /** Set-Cookie text that ends one attempt. */
  end(id: string): string {
    return deleteCookie(this.#prefix + id, this.#options.scope);
  }

  /** Set-Cookie texts that end all attempts a request carries. */
  endAll(cookies: string | undefined): string[] {
    return this.names(cookies).map((name) => deleteCookie(name, this.#options.scope));
  }

  #open(purpose: 'attempt' | 'state', sealed: string): unknown {
    for (const key of this.#sealKeys(purpose)) {
      const text = open(key, sealed);
      if (text !== undefined) return JSON.parse(text);
    }
    return undefined;
  }

  #sealKey(purpose: 'attempt' | 'state'): SealKey {
    const key = this.#sealKeys(purpose)[0];
    if (key === undefined) throw new TypeError('a provider without cookie secret cannot start a login');
    return key;
  }

  #sealKeys(purpose: 'attempt' | 'state'): SealKey[] {
    let keys = this.#keys.get(purpose);
    if (keys === undefined) {
      const { clientId, secret, previousSecret } = this.#options;
      keys = [secret, previousSecret].filter((s) => s !== '').map((s) => deriveSealKey(s, clientId, purpose));
      this.#keys.set(purpose, keys);
    }
    return keys;
  }
}

/** The time first, so that names sort by age. */
const newId = (now: number) => Math.floor(now / 1000).toString(36) + randomBytes(RANDOM_BYTES).toString('hex');

/** 256 bits as base64url: a PKCE verifier or a nonce. */
const randomText = () => randomBytes(32).toString('base64url');
