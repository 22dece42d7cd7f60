import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often it is looked whether the start is over, ms, and how many times: who stays busy collects garbage anyway. */
const LOOKS = { everyMs: 2000, times: 30 };
/** Less of its time than this is spent on work: nobody waits for it. */
const IDLE = 0.1;

/**
 * Gives back what only the start of this process needed, about a quarter of its memory, once it is idle. V8 returns pages
 * after a collection of everything, and where nothing happens it has no reason for one. It stops the process for some 50 ms,
 * once.
 * @param looks other ones in tests, and `collect` too
 */
export function settleMemory(looks = LOOKS, collect = collectEverything): void {
  let before = performance.eventLoopUtilization();
  let left = looks.times;
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    left -= 1;
    const idle = utilization < IDLE;
    if (idle || left === 0) clearInterval(timer);
    if (idle) collect();
  }, looks.everyMs).unref();
}

/** Node has no call for it that is always there; flags of V8 may be set at any time and concern contexts made later. */
function collectEverything(): void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof gc === 'function') gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
