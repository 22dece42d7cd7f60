/**
 * What goes on after it was decided for people who are signed in: downloads, event streams, long polls, WebSockets. A
 * session that is over must not go on through them (spec/security.md I), so they are looked at whenever a revocation
 * arrives, and before their session runs out.
 */
import type { Identity } from '../identify/identify.ts';
import { breakOff } from '../proxy/client-side.ts';
import { LiveSession } from './live.ts';
import type { Revocations } from './revocations.ts';

/** While fresh claims cannot be had, they are asked for again this often; after the grace of old claims it is over. */
const RETRY_MS = 2000;
/** How often expiry is looked at. */
const LOOK_MS = 500;
/** So long before a session runs out the server is asked whether the person is still signed in; at most half its life. */
const AHEAD_MS = 60_000;

/** An answer, or a connection that left HTTP. To break it is the only way to say that the rest is missing. */
export interface Breakable {
  destroy(error?: Error): unknown;
}

/** Decides once more, by what is known of the person and configured now: groups and rules may have changed. */
export type MayGoOn = (live: LiveSession) => boolean;

/** What {@link OpenAnswers.add} gives, for {@link OpenAnswers.delete}. */
export interface OpenAnswer {
  readonly answer: Breakable;
  live: LiveSession;
  readonly mayGoOn: MayGoOn;
  /** where it stands in the list; -1 = no longer */
  at: number;
}

export interface OpenAnswersOptions {
  revocations: Revocations;
  /** fetches fresh claims for a session */
  settle(live: LiveSession): Identity | Promise<Identity>;
  /** epoch ms */
  now(): number;
}

export class OpenAnswers {
  readonly #options: OpenAnswersOptions;
  /**
   * In no order. No Map: one that every request is put into and taken from makes itself anew again and again, and V8
   * hangs the new one on the old one, so that requests long answered live on until the next full collection (measured:
   * docs/performance.md).
   */
  readonly #open: OpenAnswer[] = [];
  /** sessions near their end -> when the server may be asked (again), epoch ms; Infinity = it said all it will */
  #prolonging = new WeakMap<LiveSession, number>();
  #retry: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  constructor(options: OpenAnswersOptions) {
    this.#options = options;
  }

  /** An answer begins. */
  add(answer: Breakable, live: LiveSession, mayGoOn: MayGoOn): OpenAnswer {
    const entry: OpenAnswer = { answer, live, mayGoOn, at: this.#open.length };
    this.#open.push(entry);
    this.#look ??= setInterval(() => this.#expire(), LOOK_MS).unref();
    const { revocations } = this.#options;
    // as a rule it was found out just now, for the decision
    const standing = live.seenVersion === revocations.version ? live.standing : revocations.standing(live.session);
    // begun with old claims, while new ones cannot be had: no event would bring it up again
    if (standing !== 'live') this.#checkSoon();
    return entry;
  }

  /** It is over, one way or the other. The second time nothing happens. */
  delete(entry: OpenAnswer): void {
    const { at } = entry;
    if (at < 0) return;
    entry.at = -1;
    const last = this.#open.pop();
    if (last === undefined || last === entry) return;
    last.at = at;
    this.#open[at] = last;
  }

  get size(): number {
    return this.#open.length;
  }

  /** Breaks off the answers of sessions that are over. To be called after every change of the revocations. */
  check(): void {
    const stale = new Set<LiveSession>();
    for (const entry of this.#now()) {
      const standing = this.#options.revocations.standing(entry.live.session);
      if (standing === 'ended') this.#cut(entry);
      else if (standing === 'stale') stale.add(entry.live);
    }
    for (const live of stale) void this.#settle(live);
  }

  /** Breaks off what would be refused now. To be called after every change of the configuration. */
  recheck(): void {
    for (const entry of this.#now()) if (!entry.mayGoOn(entry.live)) this.#cut(entry);
  }

  /** No timer stays behind. */
  close(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#look);
    this.#retry = undefined;
    this.#look = undefined;
  }

  async #settle(live: LiveSession): Promise<void> {
    const identity = await this.#ask(live);
    // an event that came while the claims were under way got this same answer, which does not know of it
    const standing = this.#options.revocations.standing(live.session);
    if (identity?.kind !== 'person' || standing === 'ended') return this.#cutAll(live);
    for (const entry of this.#now()) if (entry.live === live && !entry.mayGoOn(live)) this.#cut(entry);
    if (identity.reason === 'session-grace' || standing === 'stale') this.#checkSoon();
  }

  #checkSoon(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.check();
    }, RETRY_MS).unref();
  }

  /**
   * A session that runs out does not end what goes on while the person is still signed in at the server: the browser
   * got a new session meanwhile, or would with its next page. So the server is asked; without its consent it is over.
   */
  #expire(): void {
    const now = this.#options.now();
    const due = new Set<LiveSession>();
    for (const entry of this.#now()) {
      const { live } = entry;
      const { expiresAt, issuedAt } = live.session;
      if (expiresAt <= now) this.#cut(entry);
      else if (expiresAt - now <= Math.min(AHEAD_MS, (expiresAt - issuedAt) / 2)) due.add(live);
    }
    for (const live of due) {
      if ((this.#prolonging.get(live) ?? 0) > now) continue;
      this.#prolonging.set(live, now + RETRY_MS);
      void this.#prolong(live);
    }
  }

  async #prolong(live: LiveSession): Promise<void> {
    // a session of its own: the cookie that was issued with the old one must still run out
    const own = new LiveSession(live.site, live.session);
    const { expiresAt } = live.session;
    const identity = await this.#ask(own);
    if (identity === undefined || identity.kind === 'nobody' || identity.kind === 'denied') return this.#cutAll(live);
    // a question already under way for the same session has the answer
    const session = identity.live.session;
    if (identity.kind !== 'person' || identity.reason === 'session-grace') return; // asked again until it has run out
    if (session.expiresAt <= expiresAt) return void this.#prolonging.set(live, Infinity);
    own.replace(session);
    for (const entry of this.#now()) {
      if (entry.live !== live) continue;
      if (entry.mayGoOn(own)) entry.live = own;
      else this.#cut(entry);
    }
    this.check(); // an event may have come meanwhile
  }

  /** @returns `undefined` when asking failed in a way nobody foresaw, which lets nobody go on */
  async #ask(live: LiveSession): Promise<Identity | undefined> {
    try {
      return await this.#options.settle(live);
    } catch {
      return undefined;
    }
  }

  #cutAll(live: LiveSession): void {
    for (const entry of this.#now()) if (entry.live === live) this.#cut(entry);
  }

  #cut(entry: OpenAnswer): void {
    this.delete(entry);
    breakOff(entry.answer);
  }

  /** What is open now, to go through while some of it is taken out. */
  #now(): readonly OpenAnswer[] {
    return this.#open.slice();
  }
}
