/**
 * What outlives this process: enough to serve everybody who is signed in while the server is away. It is served from
 * only together with all that ended sessions: a copy beside which an end is missing would let ended sessions go on.
 */
import type { Logger } from 'pino';
import type { IdentityEventBatch } from '../../contract/extension.ts';
import type { Configuration } from './rest.ts';
import { SealedFile } from './sealed-file.ts';
import type { SessionEnd } from './session-ends.ts';

interface LastKnownGood {
  /** where it came from: the copy of another server's configuration is never used */
  base: string;
  configuration: Configuration;
}

/** Beside it, as it changes far more often. */
export interface KeptEvents {
  events: IdentityEventBatch | undefined;
  ends: SessionEnd[];
}

export interface KeptStateOptions {
  /** undefined = nothing is kept */
  folder: string | undefined;
  /** address of the server */
  base: string;
  /** as they are now */
  events: () => KeptEvents;
  log: Logger;
}

export class KeptState {
  readonly #options: KeptStateOptions;
  readonly #copy: SealedFile<LastKnownGood>;
  readonly #events: SealedFile<KeptEvents & { base: string }>;
  /** the last to keep */
  #configuration: Configuration | undefined;
  /** the copy on disk is that one */
  #complete = false;
  #eventsKept = false;
  #signOutsKept = true;

  constructor(options: KeptStateOptions) {
    this.#options = options;
    this.#copy = new SealedFile(options.folder, 'last-known-good.jwe');
    this.#events = new SealedFile(options.folder, 'identity-events.jwe');
  }

  /** Whether the last configuration is kept. */
  get complete(): boolean {
    return this.#complete;
  }

  /**
   * What an earlier run kept.
   * @param signOutsOpen the sign-outs kept beside it could be read, or there are none
   * @returns undefined when there is none, or when an end may be missing beside it; it is never used then
   */
  async load(signOutsOpen: boolean): Promise<(KeptEvents & { configuration: Configuration }) | undefined> {
    const { base, log } = this.#options;
    const copy = await this.#copy.read();
    const kept = await this.#events.read();
    if (copy === undefined) return undefined;
    if (kept?.base !== copy.base || !signOutsOpen) {
      log.error('the last good state is not used: a file beside it, with ended sessions, is missing or damaged');
      await this.#remove();
      return undefined;
    }
    if (copy.base !== base) return undefined;
    this.#eventsKept = true;
    this.#complete = true;
    this.#configuration = copy.configuration;
    return { configuration: copy.configuration, events: kept.events, ends: kept.ends };
  }

  /** Keeps it, and before it the events if they are not. */
  async keepConfiguration(configuration: Configuration): Promise<void> {
    this.#configuration = configuration;
    this.#complete = false;
    if (this.#eventsKept || (await this.#writeEvents())) await this.#writeCopy();
  }

  /** They are others now. */
  async keepEvents(): Promise<void> {
    if ((await this.#writeEvents()) && !this.#complete) await this.#writeCopy();
  }

  /** @param kept whether the sign-outs made here are on disk as they are */
  async signOuts(kept: boolean): Promise<void> {
    const before = this.#signOutsKept;
    this.#signOutsKept = kept;
    if (!kept) await this.#remove();
    else if (!before && this.#eventsKept) await this.#writeCopy();
  }

  async #writeEvents(): Promise<boolean> {
    try {
      await this.#events.write({ base: this.#options.base, ...this.#options.events() });
      this.#eventsKept = true;
    } catch (error) {
      this.#eventsKept = false;
      this.#complain(error);
      await this.#remove();
    }
    return this.#eventsKept;
  }

  async #writeCopy(): Promise<void> {
    const configuration = this.#configuration;
    if (configuration === undefined || !this.#eventsKept || !this.#signOutsKept) return;
    try {
      await this.#copy.write({ base: this.#options.base, configuration });
      this.#complete = this.#eventsKept && this.#signOutsKept && configuration === this.#configuration;
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Needs no space on a full disk. A restart then serves nobody until the server was asked. */
  async #remove(): Promise<void> {
    this.#complete = false;
    try {
      await this.#copy.remove();
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    this.#options.log.error({ error: (error as Error).message }, 'the last good state cannot be kept');
  }
}
