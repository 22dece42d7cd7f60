/**
 * The address browsers reach this server under. Issuers, redirects and links are made from it, never from a Host
 * header: the embedded outpost's config `authentik_host`; while that is empty the address learnt from the set-up link
 * or a superuser's sign-in; else `http://localhost:<port>`. Below it stands the web path: as published, scheme and
 * authority of `authentik_host` count, so that it may be written with the path or without.
 */
import ipaddr from 'ipaddr.js';
import { EMBEDDED_OUTPOST_MANAGED } from '../contract/api.ts';
import type { Settings } from '../settings/settings.ts';
import type { Change, ServerContext } from './context.ts';
import { noteEverything } from './outposts/changes.ts';
import type { Db } from './storage/database.ts';
import { readFact, writeFact } from './storage/installation.ts';

export class BaseAddress {
  readonly #webPath: string;
  readonly #fallback: string;
  #configured: string;
  #learnt: string;

  /** @param webPath with slashes at both ends; the other addresses are origins (`configured` may have a path), or empty */
  constructor(webPath: string, fallback: string, configured: string, learnt: string) {
    this.#webPath = webPath.replace(/\/$/, '');
    this.#fallback = fallback;
    this.#configured = originOf(configured);
    this.#learnt = learnt;
  }

  /** Absolute URL of the server's root, web path included, without a slash at the end. */
  current(): string {
    return `${this.#configured || this.#learnt || this.#fallback}${this.#webPath}`;
  }

  /** Addresses a request may be answered for: the current one first, then those that came before it. */
  allowed(): string[] {
    const known = [this.current(), ...[this.#learnt, this.#fallback].filter(Boolean).map((o) => o + this.#webPath)];
    return [...new Set(known)];
  }

  /** Whether browsers that open this `authentik_host` find this server there. */
  isAbove(authentikHost: string): boolean {
    const path = URL.parse(authentikHost)?.pathname.replace(/\/+$/, '') ?? '';
    return path === '' || path === this.#webPath;
  }

  /** The web path for messages, with slashes at both ends. */
  get path(): string {
    return `${this.#webPath}/`;
  }

  /** The administrator's own choice; takes effect without a restart. */
  async configure(tx: Change, authentikHost: string): Promise<void> {
    const next = originOf(authentikHost);
    if (next === this.#configured) return;
    tx.afterCommit(() => {
      this.#configured = next;
    });
    await noteEverything(tx, 'all');
  }

  /**
   * Keeps the address an administrator evidently uses, if it is a better one than what is known: a name beats an IP
   * address, that beats loopback. Equals never replace each other: otherwise an administrator lured to a look-alike
   * host would send everybody there.
   * @param host authority, already checked to come from a trusted hop
   */
  async learn(ctx: ServerContext, scheme: 'http' | 'https', host: string): Promise<void> {
    const origin = toOrigin(scheme, host);
    if (origin === undefined || this.#configured !== '' || rank(origin) <= rank(this.#learnt)) return;
    if (await proxiedHost(ctx.db, new URL(origin).host)) return;
    await ctx.change(async (tx) => {
      await writeFact(tx.db, 'learnt_host', origin);
      tx.afterCommit(() => {
        this.#learnt = origin;
      });
      await noteEverything(tx, 'all');
    });
    ctx.log.info({ address: origin }, 'browsers reach this server here; set authentik_host to choose another address');
  }
}

/** Reads what is known from the database. */
export async function openBaseAddress(db: Db, settings: Settings, httpPort: number): Promise<BaseAddress> {
  const outpost = await db
    .selectFrom('outpost')
    .select('config')
    .where('managed', '=', EMBEDDED_OUTPOST_MANAGED)
    .executeTakeFirst();
  const config = JSON.parse(outpost?.config ?? '{}') as { authentik_host?: unknown };
  const configured = typeof config.authentik_host === 'string' ? config.authentik_host : '';
  const learnt = (await readFact(db, 'learnt_host')) ?? '';
  return new BaseAddress(settings.webPath, `http://localhost:${httpPort}`, configured, learnt);
}

const originOf = (url: string) => URL.parse(url)?.origin ?? '';

function toOrigin(scheme: string, host: string): string | undefined {
  if (!URL.canParse(`${scheme}://${host}`)) return undefined;
  const url = new URL(`${scheme}://${host}`);
  // Anything beyond an authority in there was no Host header.
  return url.username === '' && url.pathname === '/' && url.search === '' && url.hash === '' ? url.origin : undefined;
}

/** 0 nothing, 1 loopback, 2 IP address, 3 name */
function rank(origin: string): number {
  if (origin === '') return 0;
  const name = new URL(origin).hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(name)) return ipaddr.process(name).range() === 'loopback' ? 1 : 2;
  return name === 'localhost' || name.endsWith('.localhost') ? 1 : 3;
}

/** A proxy-mode application takes every request on its host: the server could not be reached there. */
async function proxiedHost(db: Db, host: string): Promise<boolean> {
  const rows = await db.selectFrom('proxy_provider').select('external_host').where('mode', '=', 'proxy').execute();
  return rows.some((row) => new URL(row.external_host).host === host);
}
