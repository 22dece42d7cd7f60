import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import { DEFAULT_ACCESS_TOKEN_VALIDITY } from '../../contract/api.ts';
import { CodedError } from '../../contract/errors.ts';
import type { IdentityEventBatch, SignOutReport } from '../../contract/extension.ts';
import type { Certificates } from '../../outpost/listen/certificates.ts';
import { openBackChannel } from '../back-channel.ts';
import type { OpenBackChannel } from '../back-channel.ts';
import type { BackChannelOptions, LocalSignOut } from '../messages.ts';
import { Backoff } from './backoff.ts';
import { fetchCertificates } from './certificates.ts';
import { ControlLink } from './link.ts';
import { LiveEvents } from './live-events.ts';
import { ProblemReports } from './problem-reports.ts';
import { fetchConfiguration, reportProblem, reportSignOut } from './rest.ts';
import type { Configuration } from './rest.ts';
import { SealedFile } from './sealed-file.ts';
import { SignOuts } from './sign-outs.ts';
import { explainUnreached } from './unreached.ts';

/** What the workers are to know, as it comes in. */
export interface ControlListener {
  onConfiguration(configuration: Configuration): void;
  onEvents(batch: IdentityEventBatch): void;
  onSessionEnd(sid: string): void;
  onLink(up: boolean): void;
  /** the server cannot be asked: why, and what to do; told once for each reason */
  onWaiting(sentence: string): void;
}

/** What outlives this process: enough to serve everybody who is signed in while the server is away. */
interface LastKnownGood {
  /** where it came from: the copy of another server's configuration is never used */
  base: string;
  configuration: Configuration;
  events: IdentityEventBatch | undefined;
}

export interface ControlOptions {
  server: BackChannelOptions;
  /** what outlives this process is kept below; undefined = nothing is */
  dataFolder: string | undefined;
  listener: ControlListener;
  log: Logger;
  /** whether the certificates of the providers are wanted */
  certificates: boolean;
}

/** Without the provider's own number, seconds: longer than any session should live. */
const UNKNOWN_LIFETIME_S = 30 * 86_400;

/**
 * The outpost's side of the control protocol: fetches the configuration, follows changes and identity events, and keeps
 * the last good state on disk.
 */
export class Control {
  readonly instance = randomUUID();
  readonly signOuts: SignOuts;
  readonly problems: ProblemReports;
  readonly #options: ControlOptions;
  readonly #backChannel: OpenBackChannel;
  readonly #file: SealedFile<LastKnownGood>;
  readonly #events = new LiveEvents();
  readonly #backoff = new Backoff(250, 5000);
  #configuration: Configuration | undefined;
  #link: ControlLink | undefined;
  #up = false;
  #waitingFor: string | undefined;
  #refreshing: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    const folder = options.dataFolder === undefined ? undefined : path.join(options.dataFolder, 'outpost');
    this.#backChannel = openBackChannel(options.server);
    this.#file = new SealedFile(folder, 'last-known-good.jwe');
    const tell = (report: SignOutReport) => reportSignOut(this.#backChannel.fetch, report);
    this.signOuts = new SignOuts(new SealedFile(folder, 'sign-outs.jwe'), tell, options.log);
    this.problems = new ProblemReports((problem) => reportProblem(this.#backChannel.fetch, problem), options.log);
  }

  /** The state in use; `undefined` before the first. */
  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  get up(): boolean {
    return this.#up;
  }

  /** Why the server does not answer, as a sentence for a person. */
  get waitingFor(): string | undefined {
    return this.#waitingFor;
  }

  /** Every identity event a worker must know. */
  get events(): IdentityEventBatch | undefined {
    return this.#events.snapshot();
  }

  /** Takes the sign-outs and the last good copy that an earlier run kept, if there are any. */
  async load(): Promise<void> {
    await this.signOuts.load(Date.now());
    const copy = await this.#file.read();
    if (copy?.base !== this.#options.server.base) return;
    if (copy.events) this.#events.apply(copy.events, Date.now());
    // a copy of an earlier version has no certificates
    this.#configuration = { ...copy.configuration, certificates: copy.configuration.certificates ?? {} };
    if (copy.events) this.#options.listener.onEvents(copy.events);
    this.#options.listener.onConfiguration(this.#configuration);
  }

  /** Begins to talk to the server, or again at once when it is known to be back; never gives up. */
  start(): void {
    this.#link?.wake();
    void this.refresh();
  }

  /** Fetches the configuration. Calls that come meanwhile are served by one further fetch. */
  refresh(): Promise<void> {
    if (this.#refreshing) {
      this.#again = true;
      return this.#refreshing;
    }
    this.#refreshing = this.#refreshOnce().finally(() => {
      this.#refreshing = undefined;
      if (!this.#again) return;
      this.#again = false;
      void this.refresh();
    });
    return this.#refreshing;
  }

  /** A worker signed somebody out. @returns what the other workers must know */
  signOut(report: SignOutReport): LocalSignOut {
    const provider = this.#configuration?.providers.find(({ pk }) => pk === report.provider);
    const lifetime = provider ? (provider.access_token_validity ?? DEFAULT_ACCESS_TOKEN_VALIDITY) : UNKNOWN_LIFETIME_S;
    return this.signOuts.add(report, lifetime, Date.now());
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.signOuts.close();
    this.#link?.close();
    await this.#backChannel.close();
  }

  async #refreshOnce(): Promise<void> {
    const { log, listener } = this.#options;
    clearTimeout(this.#timer);
    try {
      const unreadable = (problem: string) => log.error({ problem }, 'a provider cannot be read');
      const known = this.#configuration?.providers ?? [];
      const fetched = await fetchConfiguration(this.#backChannel.fetch, known, unreadable);
      const next = { ...fetched, certificates: await this.#certificates(fetched.providers) };
      if (this.#closed) return;
      this.#backoff.reset();
      this.#waitingFor = undefined;
      this.#configuration = next;
      listener.onConfiguration(next);
      this.#save();
      this.#link ??= this.#openLink(next.outpost.pk);
      this.#schedule(refreshInterval(next.outpost.refresh_interval_s));
    } catch (error) {
      if (this.#closed) return;
      this.#explain(error);
      this.#schedule(this.#backoff.next());
    }
  }

  /** Says what is in the way of a configuration. Beside the server everything heals by itself, and quickly. */
  #explain(error: unknown): void {
    const { server, log, listener } = this.#options;
    const message = error instanceof CodedError ? error.message : String((error as Error).message);
    const level = this.#backoff.failures > 3 ? 'warn' : 'debug'; // at start the server may just not be there yet
    log[level]({ error: message }, 'the configuration cannot be fetched; the last one stays in use');
    if (server.socket) return;
    const sentence = explainUnreached(error, server);
    if (sentence === this.#waitingFor) return;
    this.#waitingFor = sentence;
    listener.onWaiting(sentence);
  }

  /** Without HTTPS nobody would see them. */
  async #certificates(providers: Configuration['providers']): Promise<Certificates> {
    if (!this.#options.certificates) return {};
    const known = this.#configuration?.certificates ?? {};
    return fetchCertificates(this.#backChannel.fetch, providers, known, (uuid, text) => {
      for (const { pk, name } of providers.filter(({ certificate }) => certificate === uuid)) {
        const problem = { code: 'certificate', message: `${name}: ${text}`, provider: pk };
        this.#options.log.warn({ problem }, 'something in the set-up needs attention');
        this.problems.add(problem);
      }
    });
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), ms);
    this.#timer.unref();
  }

  #openLink(outpost: string): ControlLink {
    const { server, listener, log } = this.#options;
    return new ControlLink(
      server,
      outpost,
      this.instance,
      {
        cursor: () => this.#events.cursor,
        onUp: () => {
          this.#setUp(true);
          void this.refresh(); // a trigger may have been missed
          void this.signOuts.tellAll();
          void this.problems.tellAll();
        },
        onDown: () => this.#setUp(false),
        // Beside the server nobody else asks at the same moment; from afar a thousand outposts would.
        onUpdate: () => (server.socket ? void this.refresh() : this.#schedule(Math.random() * 1000)),
        onEvents: (batch) => {
          this.#events.apply(batch, Date.now());
          listener.onEvents(batch);
          this.#save();
        },
        onSessionEnd: (sid) => listener.onSessionEnd(sid),
      },
      log,
    );
  }

  #setUp(up: boolean): void {
    this.#up = up;
    this.#options.log.info(up ? 'connected to the identity server' : 'the connection to the identity server is lost');
    this.#options.listener.onLink(up);
  }

  #save(): void {
    if (!this.#configuration) return;
    const copy = {
      base: this.#options.server.base,
      configuration: this.#configuration,
      events: this.#events.snapshot(),
    };
    this.#file
      .write(copy)
      .catch((error: Error) => this.#options.log.error({ error: error.message }, 'the last good state cannot be kept'));
  }
}

/** Seconds of the server to ms: at most 300 s without a number, at least 30 s (spec/outpost.md 16.7). */
function refreshInterval(seconds: number): number {
  return (seconds <= 0 ? 300 : Math.max(30, seconds)) * 1000;
}
