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
import { Backoff, FIRST_PAUSE_MS, MAX_PAUSE_MS } from './backoff.ts';
import { fetchCertificates } from './certificates.ts';
import { differenceOf, namedBy } from './configuration-change.ts';
import type { ConfigurationChange } from './configuration-change.ts';
import { ConfigurationSource } from './configuration-source.ts';
import { ControlLink } from './link.ts';
import { Following, FOLLOWING_TIMES } from './following.ts';
import type { FollowingTimes, Reach } from './following.ts';
import { KeptState } from './kept-state.ts';
import { LiveEvents } from './live-events.ts';
import { ProblemReports } from './problem-reports.ts';
import { reportProblem, reportSignOut } from './rest.ts';
import type { Configuration } from './rest.ts';
import { SealedFile } from './sealed-file.ts';
import { SessionEnds } from './session-ends.ts';
import type { SessionEnd } from './session-ends.ts';
import { SignOuts } from './sign-outs.ts';
import { explainNoLink, explainUnreached } from './unreached.ts';

/** What the workers are to know, as it comes in. */
export interface ControlListener {
  /** @param change since the one before; undefined = all is as it was, and just confirmed */
  onConfiguration(configuration: Configuration, change: ConfigurationChange | 'everything' | undefined): void;
  onEvents(batch: IdentityEventBatch): void;
  onSessionEnd(end: SessionEnd): void;
  onLink(up: boolean): void;
  /** whether the server can be asked about sessions */
  onAskable(askable: boolean): void;
  /** sessions issued before (epoch ms) must be asked about; undefined = events say which */
  onUnfollowed(at: number | undefined): void;
  /** the server cannot be asked: why, and what to do; told once for each reason */
  onWaiting(sentence: string): void;
}

export interface ControlOptions {
  server: BackChannelOptions;
  /** what outlives this process is kept below; undefined = nothing is */
  dataFolder: string | undefined;
  listener: ControlListener;
  log: Logger;
  /** whether the certificates of the providers are wanted */
  certificates: boolean;
  times?: FollowingTimes;
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
  readonly #kept: KeptState;
  readonly #following: Following;
  readonly #times: FollowingTimes;
  readonly #source: ConfigurationSource;
  readonly #events = new LiveEvents();
  readonly #ends = new SessionEnds();
  readonly #backoff = new Backoff(FIRST_PAUSE_MS, MAX_PAUSE_MS);
  #configuration: Configuration | undefined;
  #link: ControlLink | undefined;
  #waitingFor: string | undefined;
  /** why there is no link, as long as that is so */
  #noLink: string | undefined;
  #wasAskable = false;
  #refreshing: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    const folder = options.dataFolder === undefined ? undefined : path.join(options.dataFolder, 'outpost');
    this.#backChannel = openBackChannel(options.server);
    this.#times = options.times ?? FOLLOWING_TIMES;
    this.#following = new Following(Date.now(), this.#times);
    const events = () => ({ events: this.events, ends: this.sessionEnds });
    this.#kept = new KeptState({ folder, base: options.server.base, events, log: options.log });
    this.#source = new ConfigurationSource(this.#backChannel.fetch, (problem) =>
      options.log.error({ problem }, 'a provider cannot be read'),
    );
    // to any other server the browser goes itself
    const tell = async (report: SignOutReport) =>
      !(await this.#source.speaks()) || reportSignOut(this.#backChannel.fetch, report);
    this.signOuts = new SignOuts(new SealedFile(folder, 'sign-outs.jwe'), tell, options.log, (kept) => {
      void this.#kept.signOuts(kept);
    });
    this.problems = new ProblemReports((problem) => reportProblem(this.#backChannel.fetch, problem), options.log);
  }

  /** The state in use; `undefined` before the first. */
  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  get up(): boolean {
    return this.#following.up;
  }

  get reach(): Reach {
    return this.#following.reach;
  }

  /** Whether the server can be asked about sessions. */
  get askable(): boolean {
    return this.#following.askable;
  }

  /** Sessions issued before (epoch ms) must be asked about; undefined = events say which. */
  get askedSince(): number | undefined {
    return this.#following.askedSince;
  }

  /** Why the server does not answer, as a sentence for a person. */
  get waitingFor(): string | undefined {
    return this.#waitingFor;
  }

  /** Every identity event a worker must know. */
  get events(): IdentityEventBatch | undefined {
    return this.#events.snapshot();
  }

  /** Ends of sessions that no event told of. */
  get sessionEnds(): SessionEnd[] {
    return this.#ends.live(Date.now());
  }

  /** Takes the sign-outs and the last good copy that an earlier run kept, if there are any. */
  async load(): Promise<void> {
    const signOutsOpen = await this.signOuts.load(Date.now());
    const kept = await this.#kept.load(signOutsOpen);
    if (!signOutsOpen) this.signOuts.save(); // the copy they belonged to is gone
    if (kept === undefined) return;
    const { events, ends, configuration } = kept;
    const { listener } = this.#options;
    this.#ends.load(ends);
    if (events) {
      this.#events.apply(events, Date.now());
      listener.onEvents(events);
    } else if (configuration.providers.some(isOurs)) this.#knowNone();
    // a copy of an earlier version has no certificates
    this.#configuration = { ...configuration, certificates: configuration.certificates ?? {} };
    listener.onConfiguration(this.#configuration, 'everything');
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

  /** Fetches all of it anew, whatever is known. */
  reload(): Promise<void> {
    this.#source.forget();
    return this.refresh();
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
    clearTimeout(this.#soon);
    this.signOuts.close();
    this.#link?.close();
    await this.#backChannel.close();
  }

  async #refreshOnce(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const before = this.#configuration;
      const { outpost, providers, told } = await this.#source.fetch(before?.providers ?? []);
      const next = { outpost, providers, certificates: await this.#certificates(providers, told) };
      if (this.#closed) return;
      this.#backoff.reset();
      if (this.#waitingFor !== this.#noLink) this.#waitingFor = undefined;
      this.#configuration = next;
      this.#noteCall();
      const change = before ? differenceOf(before, next) : 'everything';
      this.#options.listener.onConfiguration(next, change);
      if (change !== undefined || !this.#kept.complete) void this.#kept.keepConfiguration(next);
      if (!this.#link) this.#link = this.#openLink(outpost.pk);
      else if (!this.up) this.#link.wake();
      this.#scheduleNext();
    } catch (error) {
      if (this.#closed) return;
      this.#explain(error);
      this.#noteCall(error);
      this.#schedule(this.#backoff.next());
    }
  }

  /** Whether the server tells of sessions in numbered events: known from itself, or from the copy. */
  get #isOurs(): boolean {
    return this.#source.ours || (this.#configuration?.providers.some(isOurs) ?? false);
  }

  /**
   * A call was answered, or failed: our own server may have to be asked about sessions. Said before any configuration,
   * which lets people in.
   */
  #noteCall(error?: unknown): void {
    if (!this.#isOurs) return;
    const now = Date.now();
    const before = this.askedSince;
    const again = error === undefined ? this.#following.answered(now) : this.#following.failed(error, now);
    if (again) {
      const text = 'no events come from the identity server: each session is asked about';
      this.#options.log[before === undefined ? 'warn' : 'debug'](text);
      this.#options.listener.onUnfollowed(this.askedSince);
    }
    if (this.askedSince === undefined && this.events === undefined) this.#knowNone();
    this.#tellAskable();
  }

  #knowNone(): void {
    this.#following.knowsNone(Date.now());
    this.#options.listener.onUnfollowed(this.askedSince);
  }

  #tellAskable(): void {
    const { askable } = this.#following;
    if (askable === this.#wasAskable) return;
    this.#wasAskable = askable;
    this.#options.listener.onAskable(askable);
  }

  /** When all is well: from our own server nothing may be missed, so without its events it is soon asked again. */
  #scheduleNext(): void {
    const ms = refreshInterval(this.#configuration?.outpost.refresh_interval_s ?? 0);
    this.#schedule(this.#isOurs && !this.#following.heard ? Math.min(ms, this.#times.tryMs) : ms);
  }

  /** Says what is in the way of a configuration. Beside the server everything heals by itself, and quickly. */
  #explain(error: unknown): void {
    const { server, log } = this.#options;
    const message = error instanceof CodedError ? error.message : String((error as Error).message);
    const level = this.#backoff.failures > 3 ? 'warn' : 'debug'; // at start the server may just not be there yet
    log[level]({ error: message }, 'the configuration cannot be fetched; the last one stays in use');
    if (!server.socket) this.#wait(explainUnreached(error, server));
  }

  #wait(sentence: string): void {
    if (sentence === this.#waitingFor) return;
    this.#waitingFor = sentence;
    this.#options.listener.onWaiting(sentence);
  }

  /**
   * Without HTTPS nobody would see them.
   * @param told their certificates may be others now; of the rest only what is missing is asked for
   */
  async #certificates(all: Configuration['providers'], told: Configuration['providers']): Promise<Certificates> {
    if (!this.#options.certificates) return {};
    const known = this.#configuration?.certificates ?? {};
    const asked = new Set(told);
    const wanted = all.filter((one) => one.certificate !== null && (asked.has(one) || !known[one.certificate]));
    const fetched = await fetchCertificates(this.#backChannel.fetch, wanted, known, (uuid, text) => {
      for (const { pk, name } of all.filter(({ certificate }) => certificate === uuid)) {
        const problem = { code: 'certificate', message: `${name}: ${text}`, provider: pk };
        this.#options.log.warn({ problem }, 'something in the set-up needs attention');
        this.problems.add(problem);
      }
    });
    return namedBy(all, { ...known, ...fetched });
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), ms);
    this.#timer.unref();
  }

  /** Beside the server nobody else asks at the same moment; from afar many would, and for everything or a little. */
  #refreshSoon(): void {
    if (this.#options.server.socket) return void this.refresh();
    const within = this.#source.ours ? 200 : 1000;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      void this.refresh();
    }, Math.random() * within);
  }

  #openLink(outpost: string): ControlLink {
    const { server, listener, log } = this.#options;
    return new ControlLink(
      server,
      outpost,
      this.instance,
      {
        // to any other server a HELLO is the published one
        cursor: () => (this.#source.ours ? this.#events.cursor : undefined),
        onUp: () => {
          this.#setUp(true);
          this.#source.probeAgain();
          void this.refresh(); // a trigger may have been missed
          void this.signOuts.tellAll();
          void this.problems.tellAll();
        },
        onDown: () => this.#setUp(false),
        onFailed: (error) => {
          if (server.socket) return;
          this.#noLink = explainNoLink(error, server, this.reach === 'answers');
          this.#wait(this.#noLink);
        },
        onUpdate: () => this.#refreshSoon(),
        onEvents: (batch) => this.#hear(batch),
        onSessionEnd: (sid) => {
          listener.onSessionEnd(this.#ends.add(sid, this.#configuration?.providers ?? [], Date.now()));
          if (!this.#source.ours) void this.#kept.keepEvents(); // ours tells the same as an event, with a number
        },
      },
      log,
    );
  }

  #setUp(up: boolean): void {
    this.#following.setUp(up, Date.now());
    this.#waitingFor = undefined;
    this.#noLink = undefined;
    this.#options.log.info(up ? 'connected to the identity server' : 'the connection to the identity server is lost');
    this.#options.listener.onLink(up);
    this.#tellAskable();
    if (!up && this.#isOurs && !this.#refreshing) this.#schedule(this.#times.tryMs);
  }

  #hear(batch: IdentityEventBatch): void {
    const { listener } = this.#options;
    const first = !this.#following.heard;
    const asked = this.askedSince !== undefined;
    this.#events.apply(batch, Date.now());
    this.#following.hear();
    listener.onEvents(batch);
    if (asked) listener.onUnfollowed(undefined);
    void this.#kept.keepEvents();
    if (first && this.#backoff.failures === 0 && !this.#refreshing) this.#scheduleNext();
  }
}

const isOurs = ({ gatehouse }: Configuration['providers'][number]) => gatehouse !== undefined;

/** Seconds of the server to ms: at most 300 s without a number, at least 30 s (spec/outpost.md 16.7). */
function refreshInterval(seconds: number): number {
  return (seconds <= 0 ? 300 : Math.max(30, seconds)) * 1000;
}
