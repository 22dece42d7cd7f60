import type { Problem } from '../outpost/exchange.ts';

/** A problem of the set-up concerns every request it meets: once in this time is enough to hear of it, ms. */
const QUIET_MS = 60_000;

/**
 * Passes a problem on once a minute per code and provider. Requests of strangers raise some of them, and each costs a
 * message to the supervisor and a line in its log.
 * @param now epoch ms
 */
export function rarely(tell: (problem: Problem) => void, now: () => number = Date.now): (problem: Problem) => void {
  const told = new Map<string, number>(); // as many as there are codes and providers
  return (problem) => {
    const key = `${problem.code} ${problem.provider ?? ''}`;
    const at = now();
    const last = told.get(key);
    if (last !== undefined && at >= last && at - last < QUIET_MS) return; // a clock set back ends the quiet
    told.set(key, at);
    tell(problem);
  };
}
