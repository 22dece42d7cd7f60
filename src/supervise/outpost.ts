import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { OutpostInstance } from '../contract/api.ts';
import type { Health } from '../contract/health.ts';
import type { ControlPlaneStart } from '../contract/process.ts';
import { OutpostGauges } from '../outpost/metrics.ts';
import type { CertificatePair } from '../outpost/listen/certificates.ts';
import type { Settings } from '../settings/settings.ts';
import { Control } from './control/control.ts';
import type { BackChannelOptions, FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { connectedSentence, healthSentence } from './health.ts';
import type { Running } from './keeper.ts';
import { levelFor } from './log-level.ts';
import type { Runtime } from './runtime-folder.ts';
import { Workers } from './workers.ts';

/** Stands in while the embedded outpost is switched off: no applications, everything goes to the control plane. */
const NO_OUTPOST: OutpostInstance = {
  pk: '',
  name: '',
  refresh_interval_s: 0,
  managed: null,
  config: { authentik_host: '', authentik_host_browser: '', authentik_host_insecure: false, log_level: 'info' },
};

/** What the control plane is started with. */
export function controlPlaneStart(settings: Settings, runtime: Runtime, demo: boolean): ControlPlaneStart<Settings> {
  return {
    settings,
    socketPath: runtime.socketPath,
    linkCredential: runtime.linkCredential,
    internalCredential: runtime.internalCredential,
    outpostToken: runtime.outpostToken,
    httpPort: httpPort(settings),
    ...(demo ? { demoToken: randomBytes(32).toString('base64url') } : {}),
  };
}

/** Port of the first public HTTP address. */
export function httpPort(settings: Settings): number {
  return settings.listen.http[0]?.port ?? 9000;
}

/** How the embedded outpost reaches the control plane beside it. */
export function embeddedServer(settings: Settings, runtime: Runtime): BackChannelOptions {
  return {
    base: `http://localhost:${httpPort(settings)}${settings.webPath}`,
    token: runtime.outpostToken,
    socket: {
      path: runtime.socketPath,
      credential: runtime.linkCredential,
      internalCredential: runtime.internalCredential,
    },
    verifyTls: true,
  };
}

export interface OutpostParts {
  settings: Settings;
  /** what must survive a restart is kept below; undefined = nothing is */
  dataFolder: string | undefined;
  server: BackChannelOptions;
  count: number;
  reusePort: boolean;
  startWorker: () => Running<ToWorker, FromWorker>;
  /** certificate for names that no other fits; undefined = no HTTPS */
  fallback: CertificatePair | undefined;
  /** a sentence for the person at the terminal, where this outpost is no part of a server */
  say?: ((sentence: string) => void) | undefined;
  log: Logger;
}

/** An outpost: its workers and what keeps them informed. Nothing runs before {@link start}. */
export class Outpost {
  readonly workers: Workers;
  readonly control: Control | undefined;
  readonly #gauges = new OutpostGauges();
  readonly #log: Logger;
  readonly #say: OutpostParts['say'];
  #start: WorkerStart;
  readonly #configured = Promise.withResolvers<void>();
  readonly #embedded: boolean;
  #leaving = false;
  #closing = false;

  constructor({ settings, dataFolder, server, count, reusePort, startWorker, log, fallback, say }: OutpostParts) {
    this.#log = log;
    this.#say = say;
    this.#embedded = server.socket !== undefined;
    const enabled = !(settings.disableEmbeddedOutpost && server.socket);
    if (enabled) this.control = this.#openControl(server, dataFolder, fallback !== undefined);
    else this.#configured.resolve();
    const { logLevel, logHttpHeaders, timeouts, listen, outpost } = settings;
    this.#start = {
      settings: { logLevel, logHttpHeaders, timeouts, listen, outpost },
      listen: listen.http,
      reusePort,
      backChannel: server,
      tls: fallback && { listen: listen.https, fallback },
    };
    this.workers = new Workers({
      count,
      start: startWorker,
      briefing: () => this.#briefing(),
      onMessage: (message) => this.#heard(message),
      log,
    });
  }

  /** Takes what an earlier run kept, then starts the workers: the first of them must know of every sign-out too. */
  async start(): Promise<void> {
    await this.control?.load();
    this.workers.start();
  }

  /** When there is a first configuration: the workers have it, or begin with it. */
  get configured(): Promise<void> {
    return this.#configured.promise;
  }

  /** Text for `/metrics`. */
  async metrics(): Promise<string> {
    return this.workers.metrics(await this.#gauges.snapshot());
  }

  /** How it is; spoken of on the listener for metrics. */
  health(): Health {
    const reach = this.control?.reach ?? 'away';
    const connected = reach === 'connected';
    const configured = this.control === undefined || this.control.configuration !== undefined;
    const serving = this.workers.listening && !this.#leaving;
    const ready = serving && configured;
    const sentence = healthSentence({ reach, configured, serving }, this.#leaving, this.control?.waitingFor);
    return { ready, connected, configured, serving, sentence };
  }

  /** From now on nobody should be sent here; who comes is still served. */
  leave(): void {
    this.#leaving = true;
    this.#tell({ kind: 'leaving' });
  }

  async stop(ms: number): Promise<void> {
    this.leave();
    this.#closing = true;
    await this.workers.drain(ms);
    await this.control?.close();
  }

  /** Shows another certificate where no other fits. */
  setFallback(pair: CertificatePair): void {
    if (this.#start.tls) this.#start = { ...this.#start, tls: { ...this.#start.tls, fallback: pair } };
    this.#tell({ kind: 'fallback-certificate', pair });
  }

  /** All a worker that starts now must know. */
  #briefing(): ToWorker[] {
    const messages: ToWorker[] = [{ kind: 'start', ...this.#start }];
    if (!this.control)
      return [...messages, { kind: 'configure', outpost: NO_OUTPOST, providers: [], certificates: {} }];
    // what ended sessions comes first: without a configuration a worker lets nobody in
    const { events, askedSince, configuration, signOuts, sessionEnds } = this.control;
    if (events) messages.push({ kind: 'events', batch: events });
    if (askedSince !== undefined) messages.push({ kind: 'unfollowed', at: askedSince });
    for (const end of sessionEnds) messages.push({ kind: 'session-ended', end });
    for (const signOut of signOuts.live()) messages.push({ kind: 'signed-out', signOut });
    if (configuration) messages.push({ kind: 'configure', ...configuration });
    messages.push({ kind: 'askable', askable: this.control.askable });
    if (this.#leaving) messages.push({ kind: 'leaving' });
    return messages;
  }

  #openControl(server: BackChannelOptions, dataFolder: string | undefined, certificates: boolean): Control {
    const control: Control = new Control({
      server,
      dataFolder,
      certificates,
      log: this.#log,
      listener: {
        onConfiguration: (configuration, change) => {
          if (!this.#embedded) this.#log.level = levelFor(configuration.outpost, this.#log.level);
          if (change === 'everything') this.#tell({ kind: 'configure', ...configuration });
          else if (change) this.#tell({ kind: 'reconfigure', outpost: configuration.outpost, change });
          this.#gauges.updated(configuration.outpost.name, control.instance, Date.now() / 1000);
          this.#gauges.connection(configuration.outpost.name, control.instance, control.up);
          this.#configured.resolve();
        },
        onEvents: (batch) => this.#tell({ kind: 'events', batch }),
        onSessionEnd: (end) => this.#tell({ kind: 'session-ended', end }),
        onLink: (up) => {
          const { outpost, providers } = control.configuration ?? {};
          if (outpost !== undefined) this.#gauges.connection(outpost.name, control.instance, up);
          if (up) this.#say?.(connectedSentence(server.base, outpost?.name, providers?.length ?? 0));
          else this.#say?.('The connection to the identity server is lost. Whoever is signed in notices nothing.');
        },
        onAskable: (askable) => this.#tell({ kind: 'askable', askable }),
        onUnfollowed: (at) => this.#tell({ kind: 'unfollowed', at }),
        onWaiting: (sentence) => {
          this.#log.warn(sentence);
          this.#say?.(`waiting for the identity server: ${sentence}`);
        },
      },
    });
    return control;
  }

  #tell(message: ToWorker): void {
    if (!this.#closing) this.workers.tell(message);
  }

  #heard(message: FromWorker): void {
    if (message.kind === 'sign-out' && this.control) {
      this.workers.tell({ kind: 'signed-out', signOut: this.control.signOut(message.report) });
    } else if (message.kind === 'problem') {
      this.#log.warn({ problem: message.problem }, 'something in the set-up needs attention');
      this.control?.problems.add(message.problem);
    }
  }
}
