/** Waiting and cleaning up, shared by the parts of the harness. */

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

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

/**
 * Repeats `attempt` until it returns without throwing.
 * @param timeoutMs how long to go on; then the last error is thrown with `what` in front
 * @returns the value of the first attempt that worked and the milliseconds it took
 */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  attempt: () => Promise<T> | T,
  intervalMs = 25,
): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  for (;;) {
    try {
      const value = await attempt();
      return { value, ms: Math.round(performance.now() - start) };
    } catch (error) {
      if (performance.now() - start > timeoutMs) {
        throw new Error(`${what}: not within ${timeoutMs} ms; last: ${String(error)}`, { cause: error });
      }
      await sleep(intervalMs);
    }
  }
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

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function killAll(): void {
  for (const pid of running) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone already
    }
  }
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
