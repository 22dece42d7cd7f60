/**
 * Answers on their way to people who are signed in: downloads, event streams, long polls. A session that is over must
 * not go on through them (spec/security.md I), so they are looked at whenever a revocation arrives.
 */
import type { ServerResponse } from 'node:http';
import type { Identity } from '../identify/identify.ts';
import { breakOff } from '../proxy/client-side.ts';
import type { LiveSession } from './live.ts';
import type { Revocations } from './revocations.ts';

/** While fresh claims cannot be had, they are asked for again this often; after the grace of old claims it is over. */
const RETRY_MS = 2000;

export interface OpenAnswersOptions {
  revocations: Revocations;
  /** fetches fresh claims for a session that an event made stale */
  settle(live: LiveSession): Identity | Promise<Identity>;
}

export class OpenAnswers {
  readonly #options: OpenAnswersOptions;
  readonly #open = new Map<ServerResponse, LiveSession>();
  #retry: NodeJS.Timeout | undefined;

  constructor(options: OpenAnswersOptions) {
    this.#options = options;
  }

  /** An answer begins. */
  add(res: ServerResponse, live: LiveSession): void {
    this.#open.set(res, live);
  }

  /** It is over, one way or the other. */
  delete(res: ServerResponse): void {
    this.#open.delete(res);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Breaks off the answers of sessions that are over. To be called after every change of the revocations. */
  check(): void {
    const stale = new Set<LiveSession>();
    for (const [res, live] of this.#open) {
      const standing = this.#options.revocations.standing(live.session);
      if (standing === 'ended') this.#cut(res);
      else if (standing === 'stale') stale.add(live);
    }
    for (const live of stale) void this.#settle(live);
  }

  /** No timer stays behind. */
  close(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  async #settle(live: LiveSession): Promise<void> {
    const identity = await this.#ask(live);
    // an event that came while the claims were under way got this same answer, which does not know of it
    const standing = this.#options.revocations.standing(live.session);
    if (identity?.kind !== 'person' || standing === 'ended') {
      for (const [res, owner] of this.#open) if (owner === live) this.#cut(res);
    } else if (identity.reason === 'session-grace' || standing === 'stale') {
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        this.check();
      }, RETRY_MS).unref();
    }
  }

  /** @returns `undefined` when asking failed in a way nobody foresaw, which lets nobody go on */
  async #ask(live: LiveSession): Promise<Identity | undefined> {
    try {
      return await this.#options.settle(live);
    } catch {
      return undefined;
    }
  }

  /** Breaking the connection is the only way to say within an answer that the rest is missing. */
  #cut(res: ServerResponse): void {
    this.#open.delete(res);
    breakOff(res);
  }
}
