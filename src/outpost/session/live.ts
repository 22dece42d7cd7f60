/** Opened sessions, kept while they are used: opening a cookie costs more than all the rest of a decision. */
import { LRUCache } from 'lru-cache';
import { foldHeaderName } from '../../contract/headers.ts';
import type { Generation } from '../../contract/paths.ts';
import { identityHeaders, personHeaders } from '../headers.ts';
import { prepareHeaders } from '../proxy/target.ts';
import type { PreparedHeaders } from '../proxy/target.ts';
import type { Site } from '../sites/site.ts';
import { checkHeaders } from '../write-together.ts';
import type { CheckedHeaders } from '../write-together.ts';
import type { Standing } from './revocations.ts';
import type { Session } from './session.ts';

/** An opened session at its site. One per cookie value; replaced content when the claims are refreshed. */
export class LiveSession {
  readonly site: Site;
  /** the whole cookie value, when it is kept for further requests: then it is worth making it small */
  sealed: string | undefined;
  /** name for logs, as published: preferred_username, else sub */
  user: string;
  /** whether attributes of the person say what Authorization the application gets */
  setsAuthorization: boolean;
  #session: Session;
  #identity: PreparedHeaders | undefined;
  #permits: Partial<Record<Generation, CheckedHeaders>> | undefined;
  /** standing as found at this version of the revocations */
  standing: Standing = 'live';
  seenVersion = -1;

  constructor(site: Site, session: Session) {
    this.site = site;
    this.sealed = undefined;
    this.#session = session;
    this.user = userOf(session);
    this.setsAuthorization = setsAuthorization(session);
  }

  get session(): Session {
    return this.#session;
  }

  /** Takes over fresh claims of the same person. */
  replace(session: Session): void {
    this.#session = session;
    this.user = userOf(session);
    this.setsAuthorization = setsAuthorization(session);
    this.#identity = undefined;
    this.#permits = undefined;
    this.seenVersion = -1;
  }

  /** What a forward-auth answer says about the person. */
  permitHeaders(generation: Generation): CheckedHeaders {
    const permits = (this.#permits ??= {});
    const known = permits[generation];
    if (known !== undefined) return known;
    const made = checkHeaders(personHeaders(this.site.meta, generation, this.#session));
    permits[generation] = made;
    this.#shareToken(made.lines);
    return made;
  }

  /** All headers of a request in proxy mode. */
  identityHeaders(): PreparedHeaders {
    if (this.#identity !== undefined) return this.#identity;
    const made = prepareHeaders(identityHeaders(this.site.meta, 'outpost', this.#session));
    this.#identity = made;
    this.#shareToken(made.joined?.rest ?? '');
    return made;
  }

  /** The token is a quarter of all that is kept of a session, and in its headers as well: once is enough. */
  #shareToken(headers: string): void {
    if (this.sealed !== undefined) this.#session = { ...this.#session, token: partOf(headers, this.#session.token) };
  }
}

// found once for a session: of thousands in use, what each request looks up is in no cache of the processor
const userOf = ({ claims }: Session) => claims.preferred_username || claims.sub;
const setsAuthorization = ({ extra }: Session) => extra.some(([name]) => foldHeaderName(name) === 'authorization');

/** The same text, sharing the memory of a longer one. */
function partOf(whole: string, text: string): string {
  const at = whole.indexOf(text);
  return at < 0 ? text : whole.slice(at, at + text.length);
}

export interface CacheLimits {
  count: number;
  bytes: number;
}

/**
 * Fits the memory budget of a worker (design/architecture.md 6): 100 MB with everything a session brings along, about
 * 20,000 sessions of usual size.
 */
const DEFAULT_LIMITS: CacheLimits = { count: 32_768, bytes: 90_000_000 };

/** Claims, headers and the objects around them (measured: 4.0 kB with a token and a cookie of 1 kB each). */
const BYTES_PER_TOKEN_BYTE = 2;
const BYTES_PER_ENTRY = 1500;
/** A text of its own, beside what the token and the headers hold of it. */
const BYTES_PER_GROUP = 40;

/** So many last characters of a cookie value find it: of the authentication tag, which is as good as random. */
const KEY_LENGTH = 12;
/** How often those that ran out are let go: short sessions would else fill the cache with what nobody asks for again. */
const SWEEP_MS = 60_000;

/** A number to find a cookie value by. Others may have the same: the whole value decides. */
function keyOf(sealed: string): number {
  let key = 0;
  for (let i = Math.max(0, sealed.length - KEY_LENGTH); i < sealed.length; i++) {
    key = Math.imul(key ^ sealed.charCodeAt(i), 16_777_619); // FNV-1a
  }
  return key;
}

function bytesOf(sealed: string, live: LiveSession): number {
  const { token, claims } = live.session;
  const texts = sealed.length + token.length * BYTES_PER_TOKEN_BYTE;
  return BYTES_PER_ENTRY + texts + claims.groups.length * BYTES_PER_GROUP;
}

/** a power of two */
const SEEN_SLOTS = 16_384;

/** Cookie values that were opened lately, as marks that others write over: no objects, whatever number there is. */
class SeenOnce {
  readonly #marks = new Int32Array(SEEN_SLOTS);

  /** Whether it was asked about before, and is not forgotten. */
  again(key: number): boolean {
    const slot = (key ^ (key >>> 16)) & (SEEN_SLOTS - 1);
    if (this.#marks[slot] === key) return true;
    this.#marks[slot] = key;
    return false;
  }
}

/** Opened sessions by cookie value. Comparing values costs a twentieth of hashing them (measured). */
export class LiveSessions {
  readonly #cache: LRUCache<number, LiveSession>;
  readonly #limits: CacheLimits;
  readonly #seen = new SeenOnce();
  #sweptAt = 0;

  constructor(limits: CacheLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
    this.#cache = new LRUCache({
      max: limits.count,
      maxSize: limits.bytes,
      sizeCalculation: (live) => bytesOf(live.sealed ?? '', live),
    });
  }

  /** @returns the session opened for exactly this site object: another configuration opens it anew */
  get(site: Site, sealed: string): LiveSession | undefined {
    const live = this.#cache.get(keyOf(sealed));
    return live !== undefined && live.site === site && live.sealed === sealed ? live : undefined;
  }

  /**
   * Keeps a session. When others would have to go for it, only one that was opened before, not long ago: of those that
   * come once in a while each would push out one that is used, and be gone itself before it is asked for again.
   * @param now epoch ms
   */
  add(sealed: string, live: LiveSession, now: number): void {
    if (now - this.#sweptAt > SWEEP_MS) this.#sweep(now);
    const key = keyOf(sealed);
    const pushesOut = !this.#cache.has(key) && this.#isFull(bytesOf(sealed, live));
    if (pushesOut && !this.#seen.again(key)) return;
    // a copy: the value is a part of the request's Cookie header, which it would keep alive
    live.sealed = Buffer.from(sealed, 'latin1').toString('latin1');
    this.#cache.set(key, live);
  }

  get size(): number {
    return this.#cache.size;
  }

  #isFull(more: number): boolean {
    return this.#cache.size >= this.#limits.count || this.#cache.calculatedSize + more > this.#limits.bytes;
  }

  #sweep(now: number): void {
    this.#sweptAt = now;
    for (const [key, live] of this.#cache.entries()) if (live.session.expiresAt < now) this.#cache.delete(key);
  }
}
