/**
 * Browsers in which a person has signed in before. What comes from one of them for this account is counted for itself, so
 * that guesses of strangers keep nobody waiting who has been here before (docs/architecture.md, decision 42).
 *
 * The browser keeps a sealed cookie. It proves nothing but that the right password was typed here once: it signs nobody
 * in, and whoever steals it gets the few attempts of this one browser for this one account.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';
import type { UserRow } from '../storage/rows.ts';
import { knownBrowserCookie, setKnownBrowserCookie } from './cookies.ts';

/** From the last sign-in on. */
const LIFE_MS = 90 * 24 * 60 * 60_000;
/** People who share a browser; of more, those who signed in last. Bounds the cookie to about 800 characters. */
const MOST_ACCOUNTS = 5;
/** What is sealed for this opens as nothing else, and the other way round. */
const PURPOSE = 'cookie:known-browser-1';

interface Known {
  /** uuid of the user */
  account: string;
  /** digest of the stored hash: another password ends it */
  password: string;
  /** epoch ms */
  until: number;
}

interface Content {
  /** random, the same for as long as the cookie is kept: what is counted */
  browser: string;
  /** last sign-in first */
  accounts: Known[];
}

export class KnownBrowsers {
  readonly #ctx: ServerContext;
  readonly #now: () => number;

  constructor(ctx: ServerContext, now: () => number = Date.now) {
    this.#ctx = ctx;
    this.#now = now;
  }

  /** @returns what to count attempts for this account from this browser by; undefined when it is like any other */
  find(request: FastifyRequest, user: UserRow): string | undefined {
    const { browser, accounts } = this.#read(request);
    const password = digestOf(user);
    const known = accounts.some((one) => one.account === user.uuid && one.password === password);
    return known ? `${browser} ${user.uuid}` : undefined;
  }

  /** @param user whose right password was typed, with the hash that was checked */
  remember(request: FastifyRequest, reply: FastifyReply, user: UserRow): void {
    const { browser, accounts } = this.#read(request);
    const others = accounts.filter(({ account }) => account !== user.uuid);
    const own = { account: user.uuid, password: digestOf(user), until: this.#now() + LIFE_MS };
    const content: Content = { browser, accounts: [own, ...others].slice(0, MOST_ACCOUNTS) };
    const value = this.#ctx.keyring.seal(JSON.stringify(content), PURPOSE);
    setKnownBrowserCookie(this.#ctx, request, reply, value, LIFE_MS / 1000);
  }

  #read(request: FastifyRequest): Content {
    const fresh: Content = { browser: randomBytes(12).toString('base64url'), accounts: [] };
    const cookie = knownBrowserCookie(request);
    if (cookie === '') return fresh;
    try {
      const { browser, accounts } = JSON.parse(this.#ctx.keyring.open(cookie, PURPOSE)) as Content;
      return { browser, accounts: accounts.filter(({ until }) => until > this.#now()) };
    } catch {
      return fresh; // not ours, or sealed with another key: a browser like any other
    }
  }
}

const digestOf = (user: UserRow) => createHash('sha256').update(user.password).digest('base64url').slice(0, 22);
