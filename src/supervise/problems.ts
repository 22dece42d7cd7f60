import type { Problem } from '../outpost/exchange.ts';

/**
 * Passes a problem on once in a while per code and provider. Requests of strangers raise some of them, and each costs a
 * message, a line in the log or an event. What no request raised is about the configuration: there every sentence
 * counts by itself.
 * @param quietMs how long a problem that was passed on is not passed on again
 * @param now epoch ms
 */
export function rarely(
  tell: (problem: Problem) => void,
  quietMs: number,
  now: () => number = Date.now,
): (problem: Problem) => void {
  const told = new Map<string, number>(); // as many as there are codes, providers and mistakes in their configuration
  return (problem) => {
    const { code, provider = '', clientIp, message } = problem;
    const key = JSON.stringify([code, provider, clientIp === undefined ? message : '']);
    const at = now();
    const last = told.get(key);
    if (last !== undefined && at >= last && at - last < quietMs) return; // a clock set back ends the quiet
    if (told.size >= MAX_KNOWN) told.clear();
    told.set(key, at);
    tell(problem);
  };
}

/** More than any installation has at a time; old sentences of changed configurations must not pile up. */
const MAX_KNOWN = 20_000;
