/** Fresh claims for sessions that an identity event made stale (docs/architecture.md, decision 2). */
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { CodedError } from '../../contract/errors.ts';
import { EXTENSION_HEADER, EXTENSION_VERSION, REFRESH_PATH } from '../../contract/extension.ts';
import type { RefreshAnswer, RefreshRequest } from '../../contract/extension.ts';
import { OUTPOST_USER_AGENT } from '../../contract/version.ts';
import type { BackChannel } from '../back-channel.ts';
import { newSession } from '../login/new-session.ts';
import type { TokenVerifier } from '../login/verify-token.ts';
import type { LiveSession } from '../session/live.ts';
import type { Revocations } from '../session/revocations.ts';
import type { Session } from '../session/session.ts';
import type { Identity } from './identify.ts';

/** How long old claims are served while new ones cannot be had. */
const GRACE_MS = 5 * 60_000;
/** After a failure the next try waits; requests in between are answered at once. */
const RETRY_AFTER_MS = 2000;
const TIMEOUT_MS = 3000;
/** So often are claims asked for on behalf of one request when events arrive in between; then the last ones count. */
const MAX_ROUNDS = 2;
/** So many at once, the others wait: an event that concerns everybody must not drown the server. */
const MAX_AT_ONCE = 16;
/** More than this do not wait; they get the old claims and try on a later request. */
const MAX_WAITING = 2000;
/** How many failing sessions, and how many refusals, are remembered. */
const MAX_REMEMBERED = 20_000;
/** As `max` says it, all places would be taken from memory at once: 0.6 MB each. */
const SELDOM_FULL = { maxSize: MAX_REMEMBERED, sizeCalculation: () => 1 };

export interface RefresherOptions {
  backChannel: BackChannel;
  verifier: TokenVerifier;
  revocations: Revocations;
  log: Logger;
  now: () => number;
}

type Refused = { kind: 'ended' } | { kind: 'denied'; reason: string };
type Outcome = { kind: 'fresh'; session: Session } | Refused;

/** What the server said last about a login that it did not let go on. */
interface Refusal {
  verdict: Refused;
  /** revocations' version when it was asked: at the same version it is not asked again */
  version: number;
  /** when it was asked, epoch ms: claims got later are not concerned */
  at: number;
}

export class Refresher {
  readonly #options: RefresherOptions;
  readonly #running = new Map<string, Promise<Identity>>();
  /** session -> first failure and last failure, epoch ms */
  readonly #failing = new LRUCache<string, { since: number; last: number }>(SELDOM_FULL);
  /**
   * By login, not by opened session: an older cookie of the same login, or the same one opened anew, is refused too.
   * Old claims are never served against it.
   */
  readonly #refusals = new LRUCache<string, Refusal>(SELDOM_FULL);

  readonly #slots = new Slots(MAX_AT_ONCE);

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  /** Settles a stale session: with new claims, the old ones for a while, or not at all. */
  settle(live: LiveSession): Identity | Promise<Identity> {
    const { revocations, backChannel, now } = this.#options;
    // an official server has no such call: what goes on ends with its session
    if (live.site.provider.gatehouse === undefined)
      return { kind: 'person', reason: 'session-grace', live, setCookies: [] };
    const refusal = this.#refusalOf(live);
    if (refusal?.version === revocations.version) return refused(live, refusal.verdict);
    const key = keyOf(live.session);
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const failing = this.#failing.get(key);
    const tooSoon = failing !== undefined && now() - failing.last < RETRY_AFTER_MS;
    if (tooSoon) return this.#oldClaims(live, key);
    if (!backChannel.up || this.#running.size >= MAX_AT_ONCE + MAX_WAITING) return this.#failed(live, key);
    const run = this.#run(live).finally(() => this.#running.delete(key));
    this.#running.set(key, run);
    return run;
  }

  async #run(live: LiveSession): Promise<Identity> {
    await this.#slots.take();
    try {
      return await this.#refresh(live);
    } finally {
      this.#slots.free();
    }
  }

  async #refresh(live: LiveSession, round = 1): Promise<Identity> {
    const { revocations, log } = this.#options;
    const key = keyOf(live.session);
    // an event that arrives while the answer is under way must be able to make it stale again
    const asked = { version: revocations.version, at: this.#options.now() };
    let outcome: Outcome;
    try {
      outcome = await this.#ask(live, asked.at);
    } catch (error) {
      const why = error instanceof CodedError ? { code: error.code, detail: error.detail } : { detail: String(error) };
      log.warn({ provider: live.site.pk, ...why }, 'claims of a session could not be refreshed');
      return this.#failed(live, key);
    }
    this.#failing.delete(key);
    if (outcome.kind !== 'fresh') {
      this.#refusals.set(loginOf(live.session), { verdict: outcome, ...asked });
      return refused(live, outcome);
    }
    this.#refusals.delete(loginOf(live.session));
    live.replace(outcome.session);
    const sealed = await live.site.cookie.seal(outcome.session);
    // last, since asking and sealing take time: what was learnt meanwhile counts
    const standing = revocations.standing(outcome.session);
    if (standing === 'ended') return { kind: 'nobody', reason: 'session-ended' };
    if (standing === 'stale' && round < MAX_ROUNDS) return this.#refresh(live, round + 1);
    return { kind: 'person', reason: 'session-refreshed', live, setCookies: sealed?.setCookies ?? [] };
  }

  /** @param at when it is asked, epoch ms: an end that is heard of while the server answers concerns what it answers */
  async #ask(live: LiveSession, at: number): Promise<Outcome> {
    const { backChannel, verifier } = this.#options;
    const { site, session } = live;
    const body: RefreshRequest = {
      provider: site.pk,
      sid: session.claims.sid,
      uid: session.claims.sub,
      ...(session.credentials === undefined ? {} : { token: session.token }),
    };
    const response = await backChannel.fetch(new URL(REFRESH_PATH, backChannel.apiBase), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': OUTPOST_USER_AGENT,
        [EXTENSION_HEADER]: EXTENSION_VERSION,
        ...site.endpoints.meant,
      },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`the server answered ${response.status}`);
    const answer = (await response.json()) as RefreshAnswer;
    if (answer.result === 'ended') return { kind: 'ended' };
    if (answer.result === 'denied') return { kind: 'denied', reason: String(answer.reason ?? '') };
    if (answer.result !== 'token') throw new Error('the server gave an answer that is not known');
    const payload = await verifier.verify(site, answer.access_token);
    const fresh = newSession(site, answer.access_token, payload, answer.gatehouse, at);
    if (fresh.claims.sub !== session.claims.sub || fresh.claims.sid !== session.claims.sid) {
      throw new Error('the server gave the claims of somebody else');
    }
    const { usedAuthorization } = session;
    return { kind: 'fresh', session: usedAuthorization === undefined ? fresh : { ...fresh, usedAuthorization } };
  }

  #refusalOf({ session }: LiveSession): Refusal | undefined {
    const refusal = this.#refusals.get(loginOf(session));
    return refusal !== undefined && session.issuedAt <= refusal.at ? refusal : undefined;
  }

  #failed(live: LiveSession, key: string): Identity {
    const at = this.#options.now();
    this.#failing.set(key, { since: this.#failing.get(key)?.since ?? at, last: at });
    return this.#oldClaims(live, key);
  }

  /** Old claims are good for a while, unless the server has refused this login since they were given. */
  #oldClaims(live: LiveSession, key: string): Identity {
    const refusal = this.#refusalOf(live);
    if (refusal !== undefined) return refused(live, refusal.verdict);
    const since = this.#failing.get(key)?.since ?? 0;
    if (this.#options.now() - since > GRACE_MS) return { kind: 'unsettled', live };
    return { kind: 'person', reason: 'session-grace', live, setCookies: [] };
  }
}

function refused(live: LiveSession, verdict: Refused): Identity {
  if (verdict.kind === 'ended') return { kind: 'nobody', reason: 'session-ended' };
  return { kind: 'denied', live, detail: verdict.reason };
}

/** One login of one person at one application, whatever claims it has. */
const loginOf = (session: Session) => `${session.provider} ${whose(session)} ${session.claims.sub}`;

const keyOf = (session: Session) => `${loginOf(session)} ${session.cursor.epoch} ${session.cursor.n}`;

/** Tokens made from credentials may hold less than others of the same person: each stands for itself, by its signature. */
const whose = ({ credentials, claims, token }: Session) =>
  credentials === undefined ? claims.sid : token.slice(token.lastIndexOf('.'));

/** A fixed number of places; whoever finds none waits for its turn. */
export class Slots {
  #places: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#places = places;
  }

  take(): Promise<void> | undefined {
    if (this.#places > 0) {
      this.#places--;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  free(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#places++;
    else next();
  }
}
