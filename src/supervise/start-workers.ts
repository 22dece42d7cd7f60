/** How many workers there are, and how one is started: in processes of their own, or inside this one. */
import { availableParallelism } from 'node:os';
import type { ProcessLog } from '../outpost/process-log.ts';
import { localPair } from './channel.ts';
import { forkModule, moduleUrl } from './fork.ts';
import type { Running } from './keeper.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import type { OutpostParts } from './outpost.ts';
import { runWorker } from './worker.ts';

/** More workers than this bring little beside a control plane on the same machine. */
const DEFAULT_WORKERS = 2;

/**
 * @param wanted 0 = inside this process; undefined = by the number of cores
 * @param module entry point of a worker's process; another one in tests
 */
export function workersOf(
  wanted: number | undefined,
  logging: ProcessLog,
  module: URL = moduleUrl('supervise/worker-main'),
): Pick<OutpostParts, 'count' | 'reusePort' | 'startWorker'> {
  if (wanted === 0) return { count: 1, reusePort: false, startWorker: () => workerHere(logging) };
  const count = wanted ?? Math.min(DEFAULT_WORKERS, availableParallelism());
  return { count, reusePort: true, startWorker: () => forkModule(module) };
}

/** A worker inside this process, on the same kind of line. */
function workerHere({ log }: ProcessLog): Running<ToWorker, FromWorker> {
  const { outer, inner, close } = localPair<ToWorker, FromWorker>();
  import('./plane.ts').then(
    ({ planeMaker }) => runWorker(inner, planeMaker(log), close),
    (error: unknown) => {
      log.fatal(error);
      close();
    },
  );
  return { channel: outer, pid: undefined, kill: close };
}
