import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { OutpostInstance, ProxyOutpostConfig } from '../contract/api.ts';
import { CodedError } from '../contract/errors.ts';
import type { IdentityEventBatch, SignOutReport } from '../contract/extension.ts';
import { CertificateChoice } from '../outpost/listen/certificates.ts';
import type { Certificates } from '../outpost/listen/certificates.ts';
import { Metrics } from '../outpost/metrics.ts';
import type { Channel } from './channel.ts';
import { applyChange } from './control/configuration-change.ts';
import { createListener } from './listener.ts';
import type { Handlers, Listener } from './listener.ts';
import type { FromWorker, LocalSignOut, ToWorker, WorkerStart } from './messages.ts';
import { listenOn } from './ports.ts';
import { createTlsListener } from './tls-listener.ts';
import type { TlsListener } from './tls-listener.ts';

/** The data plane, as a worker drives it. */
export interface Plane {
  configure(outpost: OutpostInstance, providers: ProxyOutpostConfig[]): void;
  applyEvents(batch: IdentityEventBatch): void;
  /** @param at epoch ms, here and below */
  endedByPublishedInstruction(sid: string, at: number, until: number): void;
  signOut(report: SignOutReport, at: number): void;
  setAskable(askable: boolean): void;
  unfollowed(at: number | undefined): void;
  /** its ping says that nobody should be sent here */
  leave(): void;
  /** whether a peer of this address may say whom it speaks for */
  trusts(address: string): boolean;
  handle(req: IncomingMessage, res: ServerResponse): void;
  mayUpgrade(req: IncomingMessage): boolean;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** counts and logs what was answered so far */
  flush(): void;
  /** ends connections to applications and to the server */
  close(): Promise<void>;
}

/** Makes the data plane of a worker; it says through `tell` what the supervisor must hear. */
export type MakePlane = (start: WorkerStart, metrics: Metrics, tell: (message: FromWorker) => void) => Promise<Plane>;

/**
 * Runs a worker: waits for `start`, opens the listeners, then does what the supervisor says until it is told to end.
 * @param onEnd called when everything is closed
 */
export function runWorker(channel: Channel<FromWorker, ToWorker>, makePlane: MakePlane, onEnd: () => void): void {
  const metrics = new Metrics();
  let configured: { providers: ProxyOutpostConfig[]; certificates: Certificates } = { providers: [], certificates: {} };
  const listeners: Listener[] = [];
  const secure: TlsListener[] = [];
  let certificates = new CertificateChoice();
  let plane: Plane | undefined;
  /** sign-outs told before the first configuration, which says what they end and for how long; undefined after it */
  let early: LocalSignOut[] | undefined = [];

  const configure = (outpost: OutpostInstance, providers: ProxyOutpostConfig[], pairs: Certificates) => {
    configured = { providers, certificates: pairs };
    plane?.configure(outpost, providers);
    if (secure.length > 0) showCertificates(new CertificateChoice(providers, pairs, certificates));
    const waiting = early ?? [];
    early = undefined;
    // in the same turn: no request is answered by a configuration that does not know of them
    for (const { report, at } of waiting) plane?.signOut(report, at);
  };

  /** From now on; connections that are there keep theirs. */
  const showCertificates = (choice: CertificateChoice) => {
    certificates = choice;
    for (const { provider, name, text } of choice.problems) {
      channel.send({ kind: 'problem', problem: { code: 'certificate', message: `${name}: ${text}`, provider } });
    }
  };

  const start = async (options: WorkerStart) => {
    const made = await makePlane(options, metrics, (message) => channel.send(message));
    plane = made;
    const handlers: Handlers = {
      trusts: (address) => made.trusts(address),
      request: (req: IncomingMessage, res: ServerResponse) => made.handle(req, res),
      mayUpgrade: (req: IncomingMessage) => made.mayUpgrade(req),
      upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => made.upgrade(req, socket, head),
    };
    for (const address of options.listen) {
      const listener = createListener(handlers, options.settings.timeouts);
      await listenOn(listener.server, address, options.listen, options.reusePort, 'GATEHOUSE_LISTEN__HTTP');
      listeners.push(listener);
    }
    if (options.tls) await startTls(handlers, options, options.tls);
    channel.send({ kind: 'ready' });
  };

  const startTls = async (
    handlers: Handlers,
    { settings, reusePort }: WorkerStart,
    { listen, fallback }: NonNullable<WorkerStart['tls']>,
  ) => {
    for (const address of listen) {
      const choose = (name: string) => certificates.find(name);
      const listener = createTlsListener(handlers, settings.timeouts, { fallback, choose });
      await listenOn(listener.server, address, listen, reusePort, 'GATEHOUSE_LISTEN__HTTPS');
      listeners.push(listener);
      secure.push(listener);
    }
  };

  const end = async (ms: number) => {
    await Promise.all(listeners.map((listener) => listener.drain(ms)));
    await plane?.close();
    onEnd();
  };

  const obey = async (message: ToWorker): Promise<void> => {
    switch (message.kind) {
      case 'start':
        return start(message).catch((error: unknown) => {
          channel.send(fatal(error));
          return end(0);
        });
      case 'configure':
        return configure(message.outpost, message.providers, message.certificates);
      case 'reconfigure': {
        const { providers, certificates: pairs } = applyChange(configured, message.change);
        return configure(message.outpost, providers, pairs);
      }
      case 'fallback-certificate':
        return secure.forEach((listener) => listener.setFallback(message.pair));
      case 'events':
        return plane?.applyEvents(message.batch);
      case 'session-ended':
        return plane?.endedByPublishedInstruction(message.end.sid, message.end.at, message.end.until);
      case 'signed-out':
        if (early) return void early.push(message.signOut);
        return plane?.signOut(message.signOut.report, message.signOut.at);
      case 'askable':
        return plane?.setAskable(message.askable);
      case 'unfollowed':
        return plane?.unfollowed(message.at);
      case 'leaving':
        return plane?.leave();
      case 'measure':
        plane?.flush();
        return channel.send({ kind: 'measured', id: message.id, snapshot: await metrics.snapshot() });
      case 'drain':
        return end(message.ms);
    }
  };

  // one after the other: a configuration sent right after `start` must find the data plane made
  let queue = Promise.resolve();
  channel.onMessage((message) => {
    queue = queue.then(() => obey(message)).catch((error: unknown) => channel.send(fatal(error)));
  });
}

function fatal(error: unknown): FromWorker {
  if (error instanceof CodedError) return { kind: 'fatal', code: error.code, sentence: error.message };
  const sentence = 'A worker met an unexpected error. GATEHOUSE_LOG_LEVEL=debug shows more; please report it.';
  return {
    kind: 'fatal',
    code: 'internal-error',
    sentence,
    detail: error instanceof Error ? error.stack : String(error),
  };
}
