/** Entry point of a worker's process; the supervisor forks it. */
import { settleMemory } from '../contract/settled-memory.ts';
import { processLog } from '../outpost/process-log.ts';
import { toParent } from './channel.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { planeMaker } from './plane.ts';
import { runWorker } from './worker.ts';

const channel = toParent<FromWorker, ToWorker>();
// Ctrl+C and service managers signal every process at once; the supervisor decides who ends when.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// Without a supervisor nobody would tell this process of a sign-out, and nobody could stop it.
channel.onClose(() => process.exit(0));

const { log, flush } = processLog('info', 'worker');
process.on('uncaughtException', (error) => {
  log.fatal(error, 'an unexpected error');
  flush();
  process.exit(1);
});
runWorker(channel, planeMaker(log), () => {
  flush();
  process.exit(0);
});
settleMemory();
