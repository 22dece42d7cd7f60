/** Opened sessions, kept while they are used: opening a cookie costs more than all the rest of a decision. */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Generation } from '../../contract/paths.ts';
import { identityHeaders } from '../headers.ts';
import { prepareHeaders } from '../proxy/target.ts';
import type { PreparedHeaders } from '../proxy/target.ts';
import type { Site } from '../sites/site.ts';
import type { Standing } from './revocations.ts';
import type { Session } from './session.ts';

/** An opened session at its site. One per cookie value; replaced content when the claims are refreshed. */
export class LiveSession {
  readonly site: Site;
  #session: Session;
  #headers: Partial<Record<Generation, PreparedHeaders>> = {};
  /** standing as found at this version of the revocations */
  standing: Standing = 'live';
  seenVersion = -1;
  /** the server said at this version of the revocations that the person may not come in */
  denied: { version: number; reason: string } | undefined;

  constructor(site: Site, session: Session) {
    this.site = site;
    this.#session = session;
  }

  get session(): Session {
    return this.#session;
  }

  /** Takes over fresh claims of the same person. */
  replace(session: Session): void {
    this.#session = session;
    this.#headers = {};
    this.seenVersion = -1;
    this.denied = undefined;
  }

  headers(generation: Generation): PreparedHeaders {
    return (this.#headers[generation] ??= prepareHeaders(identityHeaders(this.site.meta, generation, this.#session)));
  }

  /** name for logs, as published: preferred_username, else sub */
  get user(): string {
    return this.#session.claims.preferred_username || this.#session.claims.sub;
  }
}

export interface CacheLimits {
  count: number;
  bytes: number;
}

/** Fits the memory budget of a worker (design/architecture.md 6): 100 MB with everything a session brings along. */
const DEFAULT_LIMITS: CacheLimits = { count: 16_384, bytes: 64 * 1024 * 1024 };

/** Parsed claims, prepared headers and the objects around them, per byte of token. */
const BYTES_PER_TOKEN_BYTE = 4;
const BYTES_PER_ENTRY = 2048;

/** Sessions by SHA-256 of their cookie value, so that the cookies themselves are not kept. */
export class LiveSessions {
  readonly #cache: LRUCache<string, LiveSession>;

  constructor(limits: CacheLimits = DEFAULT_LIMITS) {
    this.#cache = new LRUCache({
      max: limits.count,
      maxSize: limits.bytes,
      sizeCalculation: (live) => BYTES_PER_ENTRY + live.session.token.length * BYTES_PER_TOKEN_BYTE,
    });
  }

  static key(cookieValue: string): string {
    return hash('sha256', cookieValue, 'base64url');
  }

  /** @returns the session opened for exactly this site object: another configuration opens it anew */
  get(site: Site, key: string): LiveSession | undefined {
    const live = this.#cache.get(key);
    return live?.site === site ? live : undefined;
  }

  add(key: string, live: LiveSession): void {
    this.#cache.set(key, live);
  }

  get size(): number {
    return this.#cache.size;
  }
}
