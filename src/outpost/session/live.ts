/** Opened sessions, kept while they are used: opening a cookie costs more than all the rest of a decision. */
import { LRUCache } from 'lru-cache';
import type { Generation } from '../../contract/paths.ts';
import { identityHeaders } from '../headers.ts';
import { prepareHeaders } from '../proxy/target.ts';
import type { PreparedHeaders } from '../proxy/target.ts';
import type { SiteApplication } from '../sites/applications.ts';
import type { Site } from '../sites/site.ts';
import { checkHeaders } from '../write-together.ts';
import type { CheckedHeaders } from '../write-together.ts';
import type { Standing } from './revocations.ts';
import type { Session } from './session.ts';

/** What was prepared for one application. */
interface Prepared {
  headers: Partial<Record<Generation, PreparedHeaders>>;
  permits: Partial<Record<Generation, CheckedHeaders>>;
}

/** Prepared for so many applications of a domain at once; people seldom use more, and memory is bounded. */
const MAX_APPLICATIONS = 16;

/** An opened session at its site. One per cookie value; replaced content when the claims are refreshed. */
export class LiveSession {
  readonly site: Site;
  #session: Session;
  #prepared: Prepared = { headers: {}, permits: {} };
  /** at domain level, where headers name the application */
  #preparedFor: Map<SiteApplication, Prepared> | undefined;
  /** standing as found at this version of the revocations */
  standing: Standing = 'live';
  seenVersion = -1;

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
    this.#prepared = { headers: {}, permits: {} };
    this.#preparedFor = undefined;
    this.seenVersion = -1;
  }

  /**
   * The headers of a forward-auth answer.
   * @param application of a domain, which the headers name then; otherwise the site's own
   */
  permitHeaders(generation: Generation, application?: SiteApplication): CheckedHeaders {
    const { permits } = this.#preparedAt(application);
    return (permits[generation] ??= checkHeaders(this.#identityHeaders(generation, application)));
  }

  /** The headers of a request in proxy mode. */
  headers(generation: Generation, application?: SiteApplication): PreparedHeaders {
    const { headers } = this.#preparedAt(application);
    return (headers[generation] ??= prepareHeaders(this.#identityHeaders(generation, application)));
  }

  #identityHeaders(generation: Generation, application: SiteApplication | undefined): string[] {
    return identityHeaders(application?.meta ?? this.site.meta, generation, this.#session);
  }

  #preparedAt(application: SiteApplication | undefined): Prepared {
    if (application === undefined) return this.#prepared;
    const preparedFor = (this.#preparedFor ??= new Map());
    let prepared = preparedFor.get(application);
    if (prepared === undefined) {
      if (preparedFor.size >= MAX_APPLICATIONS) preparedFor.clear();
      prepared = { headers: {}, permits: {} };
      preparedFor.set(application, prepared);
    }
    return prepared;
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

/** So many last characters of a cookie value find it: the authentication tag and some more. The whole decides. */
const KEY_LENGTH = 32;

interface Entry {
  /** the whole cookie value */
  readonly sealed: string;
  readonly live: LiveSession;
}

/** Opened sessions by cookie value. Comparing values costs a twentieth of hashing them (measured). */
export class LiveSessions {
  readonly #cache: LRUCache<string, Entry>;

  constructor(limits: CacheLimits = DEFAULT_LIMITS) {
    this.#cache = new LRUCache({
      max: limits.count,
      maxSize: limits.bytes,
      sizeCalculation: ({ sealed, live }) =>
        BYTES_PER_ENTRY + sealed.length + live.session.token.length * BYTES_PER_TOKEN_BYTE,
    });
  }

  /** @returns the session opened for exactly this site object: another configuration opens it anew */
  get(site: Site, sealed: string): LiveSession | undefined {
    const entry = this.#cache.get(sealed.slice(-KEY_LENGTH));
    return entry !== undefined && entry.live.site === site && entry.sealed === sealed ? entry.live : undefined;
  }

  add(sealed: string, live: LiveSession): void {
    // a copy: the value is a part of the request's Cookie header, which it would keep alive
    const own = Buffer.from(sealed, 'latin1').toString('latin1');
    this.#cache.set(own.slice(-KEY_LENGTH), { sealed: own, live });
  }

  get size(): number {
    return this.#cache.size;
  }
}
