/** Everything a request handler of the identity server needs, built once per process. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely, KyselyPlugin } from 'kysely';
import type { Logger } from 'pino';
import type { IdentityEvent } from '../contract/extension.ts';
import type { Settings } from '../settings/settings.ts';
import { openBaseAddress } from './base-address.ts';
import type { BaseAddress } from './base-address.ts';
import { SessionStore } from './directory/sessions.ts';
import { SYSTEM, writeAudit } from './events/audit.ts';
import type { Actor, AuditAction, AuditEntry } from './events/audit.ts';
import { appendIdentity, beginEpoch } from './events/identity-log.ts';
import type { IdentityChange } from './events/identity-log.ts';
import { OutpostHub } from './outposts/hub.ts';
import { openExpressions } from './expressions/expressions.ts';
import type { Expressions } from './expressions/types.ts';
import type { IssueAccessToken } from './proxy-provider/issue.ts';
import { openDatabase } from './storage/database.ts';
import type { Db, Tx } from './storage/database.ts';
import { ensureInstallationId } from './storage/installation.ts';
import { openKeyring } from './storage/keyring.ts';
import type { Keyring } from './storage/keyring.ts';
import type { Database } from './storage/schema.ts';

export interface ServerContext {
  /** for reads outside a change; inside one only `tx.db` works, anything else would wait for itself */
  readonly db: Db;
  readonly keyring: Keyring;
  readonly settings: Settings;
  readonly log: Logger;
  readonly installation: { readonly id: string };
  readonly sessions: SessionStore;
  readonly hub: OutpostHub;
  readonly baseAddress: BaseAddress;
  /** boot secret of the embedded outpost; valid as bearer token on internal calls only */
  readonly embeddedToken: string;
  /** Python for scope mappings; nothing runs before the first expression comes */
  readonly expressions: Expressions;
  /** boot secret that acts as the first administrator, on internal calls only; only with `--demo` */
  readonly demoToken: string | undefined;
  /** set by the OpenID Provider when it registers */
  readonly tokens: { issue: IssueAccessToken | undefined };
  /**
   * Runs one change in one transaction: rows, audit entries and identity events commit together or not at all, and
   * outposts hear of it after the commit. Do slow work (password hashing, network) before, never inside.
   */
  change<T>(work: (tx: Change) => Promise<T>, actor?: Actor): Promise<T>;
  close(): Promise<void>;
}

/** A change under way. Write functions of the services take it. */
export interface Change {
  readonly db: Tx;
  readonly keyring: Keyring;
  readonly installation: { readonly id: string };
  readonly baseAddress: BaseAddress;
  /** epoch ms, the same for everything in this change */
  readonly now: number;
  readonly actor: Actor;
  audit(action: AuditAction, entry?: AuditEntry): Promise<void>;
  /** appends to the log outposts follow */
  identity(event: IdentityChange): Promise<void>;
  /** these outposts (by uuid), or every one, must fetch their configuration again */
  outpostsChanged(outposts: Iterable<string> | 'all'): void;
  /** an outpost was deleted: its links are closed */
  outpostGone(uuid: string): void;
  /** a token or an account is worth less than before: links that rest on it are closed at once */
  credentialsEnded(): void;
  /** runs once the change is committed; for in-memory state only */
  afterCommit(action: () => void): void;
}

export interface ContextOptions {
  settings: Settings;
  log: Logger;
  embeddedToken: string;
  demoToken?: string | undefined;
  /** public port, for the address used until a better one is known */
  httpPort: number;
  /** instead of the real one, in tests */
  expressions?: Expressions | undefined;
}

/**
 * Opens the database and builds the services. Bootstrap (bootstrap/first-start.ts) is the caller's next step.
 * @throws CodedError with a sentence for the terminal, see {@link openDatabase} and {@link openKeyring}
 */
export async function openContext(options: ContextOptions): Promise<ServerContext> {
  const { settings, log, embeddedToken } = options;
  const raw = await openDatabase(settings.data);
  try {
    const keyring = await openKeyring(raw, settings.data, settings.secretKey);
    const installation = { id: await ensureInstallationId(raw) };
    await beginEpoch(raw);
    const db = raw.withPlugin(outsideChangesOnly);
    const hub = new OutpostHub(db, log);
    const baseAddress = await openBaseAddress(db, settings, options.httpPort);
    const sessions = new SessionStore(db, log);
    const expressions = options.expressions ?? openExpressions({ log });
    const context: ServerContext = {
      db,
      keyring,
      settings,
      log,
      installation,
      sessions,
      hub,
      baseAddress,
      embeddedToken,
      expressions,
      demoToken: options.demoToken,
      tokens: { issue: undefined },
      change: changes(raw, { keyring, installation, hub, baseAddress }),
      close: async () => {
        await hub.close();
        await expressions.close();
        await raw.destroy();
      },
    };
    return context;
  } catch (error) {
    await raw.destroy();
    throw error;
  }
}

interface ChangeParts {
  keyring: Keyring;
  installation: { readonly id: string };
  hub: OutpostHub;
  baseAddress: BaseAddress;
}

function changes(raw: Kysely<Database>, parts: ChangeParts): ServerContext['change'] {
  return async (work, actor = SYSTEM) => {
    if (current.getStore()?.open === true) throw new TypeError('a change inside a change: pass the tx on instead');
    const events: IdentityEvent[] = [];
    const outposts = new Set<string>();
    let every = false;
    let ended = false;
    const after: (() => void)[] = [];
    const scope = { open: true };
    let result;
    try {
      result = await raw.transaction().execute((db) => {
        const now = Date.now();
        const tx: Change = {
          db,
          keyring: parts.keyring,
          installation: parts.installation,
          baseAddress: parts.baseAddress,
          now,
          actor,
          audit: (action, entry = {}) => writeAudit(db, action, { actor, ...entry }, now),
          identity: async (event) => {
            events.push(await appendIdentity(db, event, now));
          },
          outpostsChanged: (which) => {
            if (which === 'all') every = true;
            else for (const uuid of which) outposts.add(uuid);
          },
          outpostGone: (uuid) => after.push(() => parts.hub.disconnect(uuid)),
          credentialsEnded: () => {
            ended = true;
          },
          afterCommit: (action) => after.push(action),
        };
        return current.run(scope, () => work(tx));
      });
    } finally {
      scope.open = false;
    }
    for (const action of after) action();
    if (ended) parts.hub.recheck();
    if (events.length > 0) parts.hub.publish(events);
    if (every || outposts.size > 0) parts.hub.configurationChanged(every ? 'all' : outposts);
    return result;
  };
}

// There is one connection: a query beside the transaction, awaited inside it, would wait for ever. Fail at once.
const current = new AsyncLocalStorage<{ open: boolean }>();

const outsideChangesOnly: KyselyPlugin = {
  transformQuery({ node }) {
    if (current.getStore()?.open === true) throw new TypeError('ctx.db used inside a change: use tx.db');
    return node;
  },
  transformResult: ({ result }) => Promise.resolve(result),
};
