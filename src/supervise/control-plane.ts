import type { Logger } from 'pino';
import { CodedError } from '../contract/errors.ts';
import type { ControlPlaneStart, FromControlPlane, ToControlPlane } from '../contract/process.ts';
import type { Settings } from '../settings/settings.ts';
import { forkModule, moduleUrl } from './fork.ts';
import { Keeper } from './keeper.ts';

/** The identity server as the supervisor holds it, in a process of its own or in this one. */
export interface ControlPlane {
  /** its first start; rejects with a CodedError when it says that it cannot run */
  readonly ready: Promise<{ setupToken?: string }>;
  /** process id; undefined inside this process */
  readonly pid: number | undefined;
  stop(ms: number): Promise<void>;
  kill(): void;
}

/** Runs the control plane inside this process; given by the command line, which may know the server. */
export type RunControlPlane = (
  start: ControlPlaneStart<Settings>,
  log: Logger,
) => Promise<{ setupToken?: string | undefined; close(): Promise<void> }>;

/**
 * Forks the control plane and keeps it running.
 * @param module entry point; another one in tests
 * @param onReady each time it is up, also after a restart
 */
export function keepControlPlane(
  start: ControlPlaneStart<Settings>,
  onReady: () => void,
  log: Logger,
  module: URL = moduleUrl('server/control-plane-main'),
): ControlPlane {
  const first = Promise.withResolvers<{ setupToken?: string }>();
  first.promise.catch(() => undefined); // whoever waits hears of it
  const keeper = new Keeper<ToControlPlane<Settings>, FromControlPlane>({
    name: 'the control plane',
    start: () => forkModule(module),
    onStart: (channel) => channel.send({ kind: 'start', ...start }),
    onMessage: (message) => {
      if (message.kind === 'ready') {
        first.resolve(message.setupToken === undefined ? {} : { setupToken: message.setupToken });
        onReady();
      } else if (message.kind === 'fatal') {
        log.error({ code: message.code }, message.sentence);
        first.reject(new CodedError(message.code, 503, message.sentence));
      }
    },
    log,
  });
  return {
    ready: first.promise,
    get pid() {
      return keeper.pid;
    },
    stop: (ms) => keeper.stop({ kind: 'stop' }, ms),
    kill: () => keeper.kill(),
  };
}

/** Runs the control plane in this process, with the same face. */
export function runControlPlaneHere(
  run: RunControlPlane,
  start: ControlPlaneStart<Settings>,
  onReady: () => void,
  log: Logger,
): ControlPlane {
  const running = run(start, log);
  const ready = running.then(({ setupToken }) => {
    onReady();
    return setupToken === undefined ? {} : { setupToken };
  });
  ready.catch(() => undefined); // whoever waits hears of it
  const stop = async () => (await running.catch(() => undefined))?.close();
  return { ready, pid: undefined, stop, kill: () => undefined };
}
