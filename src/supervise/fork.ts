import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { toChild } from './channel.ts';
import type { Running } from './keeper.ts';

/**
 * Settings reach children as messages, so their environment holds none: a crash dump or `/proc` of a worker shows no
 * password.
 */
const WITHHELD = /^(AUTHENTIK|GATEHOUSE)_/;

/**
 * Starts a module of ours in a process of its own. It ends with the channel, however this process ends.
 * @param module the entry point beside this file, as compiled or as source
 * @param flags of node
 */
export function forkModule<Out extends object, In>(module: URL, flags: readonly string[] = []): Running<Out, In> {
  const environment = Object.entries(process.env).filter(([name]) => !WITHHELD.test(name));
  const child = fork(fileURLToPath(module), [], {
    execArgv: [...flags],
    env: Object.fromEntries(environment),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return { channel: toChild<Out, In>(child), pid: child.pid, kill: () => void child.kill('SIGKILL') };
}

/**
 * Address of a module of ours by its path below src/, from source (.ts) or compiled (.js).
 * @param path without extension, e.g. `server/control-plane-main`
 */
export function moduleUrl(path: string): URL {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new URL(`../${path}${extension}`, import.meta.url);
}
