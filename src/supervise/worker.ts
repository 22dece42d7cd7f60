import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { OutpostInstance, ProxyOutpostConfig } from '../contract/api.ts';
import { CodedError } from '../contract/errors.ts';
import type { IdentityEventBatch, SignOutReport } from '../contract/extension.ts';
import { Metrics } from '../outpost/metrics.ts';
import type { Channel } from './channel.ts';
import { createListener } from './listener.ts';
import type { Listener } from './listener.ts';
import type { FromWorker, LocalSignOut, ToWorker, WorkerStart } from './messages.ts';
import { listenOn } from './ports.ts';

/** The data plane, as a worker drives it. */
export interface Plane {
  configure(outpost: OutpostInstance, providers: ProxyOutpostConfig[]): void;
  applyEvents(batch: IdentityEventBatch): void;
  endedByPublishedInstruction(sid: string): void;
  /** @param at epoch ms */
  signOut(report: SignOutReport, at: number): void;
  setLink(up: boolean): void;
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
  const listeners: Listener[] = [];
  let plane: Plane | undefined;
  /** sign-outs told before the first configuration, which says what they end and for how long; undefined after it */
  let early: LocalSignOut[] | undefined = [];

  const configure = (outpost: OutpostInstance, providers: ProxyOutpostConfig[]) => {
    plane?.configure(outpost, providers);
    const waiting = early ?? [];
    early = undefined;
    // in the same turn: no request is answered by a configuration that does not know of them
    for (const { report, at } of waiting) plane?.signOut(report, at);
  };

  const start = async (options: WorkerStart) => {
    const made = await makePlane(options, metrics, (message) => channel.send(message));
    plane = made;
    const handlers = {
      request: (req: IncomingMessage, res: ServerResponse) => made.handle(req, res),
      mayUpgrade: (req: IncomingMessage) => made.mayUpgrade(req),
      upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => made.upgrade(req, socket, head),
    };
    for (const address of options.listen) {
      const listener = createListener(handlers, options.settings.timeouts);
      await listenOn(listener.server, address, options.listen, options.reusePort, 'GATEHOUSE_LISTEN__HTTP');
      listeners.push(listener);
    }
    channel.send({ kind: 'ready' });
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
        return configure(message.outpost, message.providers);
      case 'events':
        return plane?.applyEvents(message.batch);
      case 'session-ended':
        return plane?.endedByPublishedInstruction(message.sid);
      case 'signed-out':
        if (early) return void early.push(message.signOut);
        return plane?.signOut(message.signOut.report, message.signOut.at);
      case 'link':
        return plane?.setLink(message.up);
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
