import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often it looks whether the start is over, ms. */
const LOOK_MS = 2000;
/** A process that stays busy collects its garbage anyway. */
const MAX_LOOKS = 30;
/** Less of its time than this is spent on work: nobody waits for it. */
const IDLE = 0.1;

/**
 * Gives back what only the start of this process needed, about a quarter of its memory, once it is idle. V8 returns pages
 * after a collection of everything, and where nothing happens it has no reason for one. It stops the process for some 50 ms.
 */
export function settleMemory(): void {
  let before = performance.eventLoopUtilization();
  let looks = 0;
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    looks += 1;
    if (utilization < IDLE) collectEverything();
    if (utilization < IDLE || looks === MAX_LOOKS) clearInterval(timer);
  }, LOOK_MS).unref();
}

/** Node has no call for it that is always there; flags of V8 may be set at any time and concern contexts made later. */
function collectEverything(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
