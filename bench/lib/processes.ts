/** Processes of a benchmark: started on one core, ended by process id. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { eventually, guard } from '../../test/harness/wait.ts';
import { TESTED_CORE } from './load.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Started {
  pid: number;
  stop(): Promise<void>;
}

/** Starts a program on the tested core (or where told); its output goes to `log`, or nowhere. */
export function start(
  command: readonly string[],
  options: { core?: string; env?: Record<string, string>; log?: string } = {},
): Started {
  const out = options.log === undefined ? 'ignore' : openSync(options.log, 'a');
  const child = spawn('taskset', ['-c', options.core ?? TESTED_CORE, ...command], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.env },
    stdio: ['ignore', out, out],
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`cannot start ${command[0]}`);
  guard.add(pid);
  return { pid, stop: () => end(child, pid) };
}

/** Waits until something accepts connections on a port. */
export async function listening(port: number, ms = 10_000): Promise<void> {
  await eventually(
    `port ${port} open`,
    ms,
    () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.destroy();
          resolve();
        });
        socket.once('error', reject);
      }),
  );
}

function end(child: ChildProcess, pid: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
    child.once('exit', () => {
      clearTimeout(timer);
      guard.remove(pid);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
