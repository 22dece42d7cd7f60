import type { Logger } from 'pino';
import type { SignOutReport } from '../../contract/extension.ts';
import { UnexpectedAnswer } from '../back-channel.ts';
import type { LocalSignOut } from '../messages.ts';
import { Backoff } from './backoff.ts';
import type { SealedFile } from './sealed-file.ts';

/** A sign-out as it is kept until no session it ended can be alive. */
export interface KeptSignOut extends LocalSignOut {
  /** epoch ms */
  until: number;
  /** the server has it, or will never take it */
  told: boolean;
}

/**
 * @returns whether the server took it; false = it never will
 * @throws UnexpectedAnswer when the server wants this one told again later; another error when it was not reached
 */
export type Tell = (report: SignOutReport) => Promise<boolean>;

/**
 * Sign-outs made at this outpost: told to the server until it has them or will never take them, and kept for every
 * worker that starts while a session they ended could be alive, both also across restarts.
 */
export class SignOuts {
  readonly #file: SealedFile<KeptSignOut[]>;
  readonly #tell: Tell;
  readonly #log: Logger;
  readonly #onSaved: (kept: boolean) => void;
  readonly #backoff = new Backoff(1000, 30_000);
  #kept: KeptSignOut[] = [];
  #telling = false;
  #retry: NodeJS.Timeout | undefined;

  /** @param onSaved told after each attempt to write them, whether they are on disk */
  constructor(
    file: SealedFile<KeptSignOut[]>,
    tell: Tell,
    log: Logger,
    onSaved: (kept: boolean) => void = () => undefined,
  ) {
    this.#file = file;
    this.#tell = tell;
    this.#log = log;
    this.#onSaved = onSaved;
  }

  /**
   * Reads what an earlier run kept.
   * @returns false when there are some that cannot be read
   */
  async load(now: number): Promise<boolean> {
    this.#kept = ((await this.#file.read()) ?? []).filter((entry) => entry.until > now);
    return !this.#file.damaged;
  }

  /** What workers must know. */
  live(): LocalSignOut[] {
    return this.#kept.map(({ report, at }) => ({ report, at }));
  }

  /**
   * Keeps a sign-out and tells the server.
   * @param lifetime seconds a session of that provider can live at most
   */
  add(report: SignOutReport, lifetime: number, now: number): LocalSignOut {
    const entry = { report, at: now, until: now + lifetime * 1000, told: false };
    this.#kept = this.#kept.filter((kept) => kept.until > now && !(kept.told && sameReport(kept.report, report)));
    this.#kept.push(entry);
    this.save();
    void this.tellAll();
    return { report, at: now };
  }

  /** Tells the server what it does not have yet; called again whenever the link comes up. */
  async tellAll(): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    clearTimeout(this.#retry);
    const refused = new Set<KeptSignOut>(); // one that the server does not take now keeps no other from being told
    try {
      for (let entry = this.#untold(refused); entry; entry = this.#untold(refused)) {
        if (!(await this.#tellOne(entry))) refused.add(entry);
      }
      if (refused.size === 0) this.#backoff.reset();
      else this.#later();
    } catch (error) {
      this.#log.debug({ error: (error as Error).message }, 'sign-outs are told later');
      this.#later();
    } finally {
      this.#telling = false;
    }
  }

  close(): void {
    clearTimeout(this.#retry);
  }

  #untold(refused: ReadonlySet<KeptSignOut>): KeptSignOut | undefined {
    return this.#kept.find((entry) => !entry.told && !refused.has(entry));
  }

  /**
   * @returns false when this one must be told again
   * @throws when no other would fare better: the server is not there
   */
  async #tellOne(entry: KeptSignOut): Promise<boolean> {
    const { provider } = entry.report;
    try {
      const taken = await this.#tell(entry.report);
      if (!taken) this.#log.warn({ provider }, 'the identity server does not take a sign-out');
    } catch (error) {
      if (!(error instanceof UnexpectedAnswer)) throw error;
      this.#log.debug({ error: error.message, provider }, 'a sign-out is told later');
      return false;
    }
    entry.told = true;
    this.save();
    return true;
  }

  #later(): void {
    this.#retry = setTimeout(() => void this.tellAll(), this.#backoff.next());
    this.#retry.unref();
  }

  /** Writes them anew. */
  save(): void {
    this.#file.write([...this.#kept]).then(
      () => this.#onSaved(true),
      (error: Error) => {
        this.#log.error({ error: error.message }, 'sign-outs cannot be kept on disk');
        this.#onSaved(false);
      },
    );
  }
}

function sameReport(a: SignOutReport, b: SignOutReport): boolean {
  return a.provider === b.provider && a.sid === b.sid && a.uid === b.uid;
}
