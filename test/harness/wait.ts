/** Waiting and cleaning up, shared by the parts of the harness. */
import { readdirSync, readFileSync } from 'node:fs';

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** How often a promise may be measured. */
const MEASUREMENTS = 5;

/** The value of `promise`, or `undefined` when it takes longer. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const LOOK_MS = 50;
let lastLook = performance.now();
let stalled = 0;

/**
 * How long this process was kept from running since it began, ms. On a machine that stands still, or has no time for
 * anybody, time passes in which nobody can keep a promise: take the difference of two calls away from what is measured.
 */
export function stalledMs(): number {
  const now = performance.now();
  const late = now - lastLook - LOOK_MS;
  if (late > LOOK_MS) stalled += late;
  lastLook = now;
  return stalled;
}
setInterval(stalledMs, LOOK_MS).unref();

/** Tells from now on whether so much time is over, without that in which this process could not run. */
export function deadline(ms: number): () => boolean {
  const start = performance.now() - stalledMs();
  return () => performance.now() - stalledMs() - start > ms;
}

/**
 * Repeats `attempt` until it returns without throwing.
 * @param timeoutMs how long to go on: the last attempt begins after that, so that a pause of the machine is not taken
 *   for a no; then its error is thrown with `what` in front
 * @returns the value of the first attempt that worked and the milliseconds it took
 */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  attempt: () => Promise<T> | T,
  intervalMs = 25,
): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  const over = deadline(timeoutMs);
  for (;;) {
    const last = over();
    try {
      const value = await attempt();
      return { value, ms: Math.round(performance.now() - start) };
    } catch (error) {
      if (last) {
        throw new Error(`${what}: not within ${timeoutMs} ms; last: ${String(error)}`, { cause: error });
      }
      await sleep(intervalMs);
    }
  }
}

/**
 * Measures what is promised to take at most `boundMs`, and again when it took longer: a machine that stands still for a
 * moment spoils one measurement, a product that is too slow spoils every one.
 * @param measure does it once, patiently, and returns the milliseconds it took
 * @returns all measurements, of which the last keeps the promise
 */
export async function promised(what: string, boundMs: number, measure: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  while (times.length < MEASUREMENTS) {
    times.push(await measure());
    if (times.at(-1)! <= boundMs) return times;
  }
  throw new Error(`${what}: at most ${boundMs} ms are promised, it took ${times.join(', ')} ms`);
}

const running = new Set<number>();
const leftovers = new Set<() => void>();

/** Processes registered here are killed when the test process ends, however it ends. */
export const guard = {
  add: (pid: number): void => void running.add(pid),
  remove: (pid: number): void => void running.delete(pid),
  /** Also undo this at the end, unless the returned function is called first. */
  undoAtExit(undo: () => void): () => void {
    leftovers.add(undo);
    return () => void leftovers.delete(undo);
  },
};

/**
 * Whether it runs: one that ended and that nobody has asked about yet does not. As long as one of its threads is there, so
 * are its ports.
 */
export function isAlive(pid: number): boolean {
  try {
    const [, state] = /^.*\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return (state !== 'Z' && state !== 'X') || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

/** Ends a process at once, if it did not end meanwhile. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

function killAll(): void {
  for (const pid of running) killNow(pid);
  for (const undo of leftovers) {
    try {
      undo();
    } catch {
      // the best that can be done at the end
    }
  }
}
process.on('exit', killAll);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    killAll();
    process.exit(1);
  });
}

/** Whether the test a node:test hook is told about failed. */
export const failed = (context: object): boolean => 'passed' in context && context.passed === false;
