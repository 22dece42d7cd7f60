/**
 * How many workers there are, and how one is started: in processes of their own, or inside this one. Loads little, so that
 * the first processes can come up beside the supervisor's own modules.
 */
import { availableParallelism } from 'node:os';
import type { ProcessLog } from '../outpost/process-log.ts';
import { localPair } from './channel.ts';
import { forkModule, moduleUrl } from './fork.ts';
import type { Running } from './keeper.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { keepParserPlain } from './plain-parser.ts';

/** More workers than this bring little beside a control plane on the same machine. */
const DEFAULT_WORKERS = 2;

/**
 * In proxy mode a worker makes 27 kB of garbage a request: with twice the usual space for it, it is collected half as often,
 * and idle the space is given back. Threads that help to collect take a core from the other worker or the control plane, and
 * wait for each other longer than they help (measured on one core: docs/performance.md).
 */
export const WORKER_FLAGS: readonly string[] = ['--max-semi-space-size=32', '--no-parallel-scavenge'];

export interface WorkerSource {
  count: number;
  /** several processes share the ports */
  reusePort: boolean;
  startWorker: (logging: ProcessLog) => Running<ToWorker, FromWorker>;
}

/**
 * @param wanted 0 = inside this process; undefined = by the number of cores
 * @param ahead start the first ones now; what they are told waits until they listen
 * @param module entry point of a worker's process; another one in tests
 */
export function workersOf(
  wanted: number | undefined,
  ahead = false,
  module: URL = moduleUrl('supervise/worker-main'),
): WorkerSource {
  if (wanted === 0) return { count: 1, reusePort: false, startWorker: workerHere };
  keepParserPlain(); // this process only supervises
  const count = wanted ?? Math.min(DEFAULT_WORKERS, availableParallelism());
  const fork = () => forkModule<ToWorker, FromWorker>(module, WORKER_FLAGS);
  const waiting = ahead ? Array.from({ length: count }, fork) : [];
  const first = () => {
    const started = waiting.shift();
    return started !== undefined && runs(started.pid) ? started : fork();
  };
  return { count, reusePort: true, startWorker: first };
}

/** One that ended before anybody listened to it could not be told from one that is slow. */
function runs(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A worker inside this process, on the same kind of line. */
function workerHere({ log }: ProcessLog): Running<ToWorker, FromWorker> {
  const { outer, inner, close } = localPair<ToWorker, FromWorker>();
  Promise.all([import('./plane.ts'), import('./worker.ts')]).then(
    ([{ planeMaker }, { runWorker }]) => runWorker(inner, planeMaker(log), close),
    (error: unknown) => {
      log.fatal(error);
      close();
    },
  );
  return { channel: outer, pid: undefined, kill: close };
}
