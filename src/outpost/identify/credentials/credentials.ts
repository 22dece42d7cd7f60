/**
 * Who sends these credentials? The second source of an identity, beside the session cookie (docs/architecture.md,
 * decision 33; spec/security.md M).
 */
import { createHmac, generateKeySync } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { CodedError } from '../../../contract/errors.ts';
import { LiveSession } from '../../session/live.ts';
import type { Revocations } from '../../session/revocations.ts';
import type { Site } from '../../sites/site.ts';
import { stand } from '../identify.ts';
import type { CredentialProblem, Identity } from '../identify.ts';
import { Slots } from '../refresh.ts';
import { askServer } from './ask-server.ts';
import type { Asked, ServerAccess, Verdict } from './ask-server.ts';
import { CredentialsLimit } from './failure-limit.ts';
import type { Attempt } from './failure-limit.ts';
import { readAuthorization, secretOf } from './presented.ts';
import type { Presented } from './presented.ts';
import { markUsed } from './used.ts';

/** As published: so long a verified answer counts. Identity events end it at once. */
export const ACCEPTED_MS = 60_000;
/** So long the same wrong credentials are not asked about again: somebody may be setting them right. */
export const REFUSED_MS = 10_000;
/** About 5 kB each: 20 MB. */
const MAX_ACCEPTED = 4096;
const MAX_REFUSED = 16_384;
const MAX_AT_ONCE = 16;
/** More than these do not wait: so many logins at once are no honest traffic. */
const MAX_WAITING = 500;
/** So often one request asks when events arrive in between; then the last answer counts. */
const MAX_ROUNDS = 2;

type Nobody = Extract<Identity, { kind: 'nobody' }>;
/** Who it is, or why nobody. */
type Answer = Identity | CredentialProblem;

interface Accepted {
  readonly live: LiveSession;
  readonly until: number;
  /** made once: what requests get that need no call */
  readonly identity: Identity;
}

interface Refused {
  readonly site: Site;
  readonly answer: Answer;
  readonly until: number;
  /** revocations' version when it was asked: what changed since may have made it right */
  readonly version: number;
}

export interface CredentialsOptions extends ServerAccess {
  revocations: Revocations;
  log: Logger;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  /** Credentials are kept as keyed hashes only: a dump of this memory holds none. A key object: from bytes, each use would make one, at seven times the cost of the rest (measured) */
  readonly #key = generateKeySync('hmac', { length: 256 });
  readonly #accepted = new LRUCache<string, Accepted>({ max: MAX_ACCEPTED });
  readonly #refused = new LRUCache<string, Refused>({ max: MAX_REFUSED });
  readonly #running = new Map<string, Promise<Answer>>();
  readonly #slots = new Slots(MAX_AT_ONCE);
  readonly #limit: CredentialsLimit;

  constructor(options: CredentialsOptions) {
    this.#options = options;
    this.#limit = new CredentialsLimit(options.now);
  }

  /**
   * @param header value of Authorization, not empty
   * @param address client address
   * @param nobody who it is without the header
   */
  identify(site: Site, header: string, address: string, nobody: Nobody): Identity | Promise<Identity> {
    const key = this.#digest(`${site.pk} ${header}`);
    const known = this.#known(site, key);
    if (known !== undefined) return typeof known === 'string' ? unaccepted(nobody, known) : known;
    const presented = readAuthorization(header);
    if (presented === undefined) return unaccepted(nobody, 'credentials-invalid');
    const found = this.#running.get(key) ?? this.#begin(site, key, presented, address);
    if (typeof found === 'string') return unaccepted(nobody, found);
    return found.then((who) => (typeof who === 'string' ? unaccepted(nobody, who) : who));
  }

  #known(site: Site, key: string): Answer | undefined {
    const { revocations, now } = this.#options;
    const accepted = this.#accepted.get(key);
    if (accepted !== undefined) {
      const { live, until, identity } = accepted;
      if (live.site === site && until > now() && stand(live, revocations, now()).kind === 'person') return identity;
      this.#accepted.delete(key);
      return undefined;
    }
    const refused = this.#refused.get(key);
    if (refused === undefined || refused.site !== site) return undefined;
    if (refused.until <= now() || refused.version !== revocations.version) return undefined;
    return refused.answer;
  }

  /** One call for all requests that come with the same credentials meanwhile. */
  #begin(site: Site, key: string, presented: Presented, address: string): Promise<Answer> | CredentialProblem {
    const { backChannel } = this.#options;
    if (!backChannel.up || this.#running.size >= MAX_AT_ONCE + MAX_WAITING) return 'credentials-unchecked';
    const account = presented.kind === 'basic' ? presented.username : '';
    const secret = this.#digest(secretOf(presented)); // the same at every provider
    const run = this.#admit(site, key, { presented, address }, { account, address, secret });
    this.#running.set(key, run);
    return run.finally(() => this.#running.delete(key));
  }

  async #admit(site: Site, key: string, asked: Asked, attempt: Attempt): Promise<Answer> {
    if (!(await this.#limit.enter(attempt))) return 'credentials-limited';
    let failed = false;
    try {
      return await this.#verify(site, key, asked, () => (failed = true));
    } finally {
      this.#limit.leave(attempt, failed);
    }
  }

  #digest(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64');
  }

  /** @param onFailure the server knows these credentials to be wrong */
  async #verify(site: Site, key: string, asked: Asked, onFailure: () => void): Promise<Answer> {
    await this.#slots.take();
    try {
      return await this.#ask(site, key, asked, onFailure);
    } catch (error) {
      // not the error as it is: those of the OAuth library may hold what the server sent
      const why = error instanceof CodedError ? { code: error.code, detail: error.detail } : { detail: String(error) };
      this.#options.log.warn({ provider: site.pk, ...why }, 'credentials could not be verified');
      return 'credentials-unchecked';
    } finally {
      this.#slots.free();
    }
  }

  async #ask(site: Site, key: string, asked: Asked, onFailure: () => void, round = 1): Promise<Answer> {
    const { revocations, now } = this.#options;
    const { version } = revocations;
    const verdict = await askServer(site, asked, this.#options);
    if (verdict.kind !== 'right') {
      if (verdict.kind === 'wrong' && verdict.guess) onFailure();
      const answer = answerTo(verdict);
      this.#refused.set(key, { site, answer, until: now() + REFUSED_MS, version });
      return answer;
    }
    const session = { ...verdict.session, usedAuthorization: markUsed(asked.presented) };
    const live = new LiveSession(site, session);
    const sealed = await site.cookie.seal(session);
    const setCookies = sealed?.setCookies ?? [];
    // last, since asking and sealing take time: what was learnt meanwhile counts
    const standing = stand(live, revocations, now()).kind;
    if (standing === 'nobody') return 'credentials-invalid';
    if (standing === 'stale' && round < MAX_ROUNDS) return this.#ask(site, key, asked, onFailure, round + 1);
    const person = { kind: 'person', live, setCookies, consumed: true } as const;
    this.#refused.delete(key);
    const identity: Identity = { ...person, reason: 'credentials-cached' };
    this.#accepted.set(key, { live, until: now() + ACCEPTED_MS, identity });
    return { ...person, reason: 'credentials' };
  }
}

/** What is wrong may be the application's own. What nobody could look at may be right, and is not for the application. */
const unaccepted = (nobody: Nobody, credentials: CredentialProblem): Identity =>
  credentials === 'credentials-invalid' ? { ...nobody, credentials } : { ...nobody, credentials, consumed: true };

function answerTo(verdict: Exclude<Verdict, { kind: 'right' }>): Answer {
  switch (verdict.kind) {
    case 'denied':
      return { kind: 'denied', live: undefined, detail: verdict.detail, consumed: true };
    case 'limited':
      return 'credentials-limited';
    case 'wrong':
      return 'credentials-invalid';
  }
}
