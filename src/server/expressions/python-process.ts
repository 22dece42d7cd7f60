import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { frame, FrameReader } from './frames.ts';
import { fromPython } from './messages.ts';
import type { FromPython, Start, ToPython } from './messages.ts';

/** Python in a process of its own, seen from the server. */
export interface PythonProcess {
  readonly pid: number | undefined;
  /** it has a network namespace of its own, with nothing in it */
  readonly withoutNetwork: boolean;
  send(message: ToPython): void;
  kill(): void;
}

export interface PythonEvents {
  onMessage: (message: FromPython | Buffer) => void;
  /** it sent what is no message; it is killed */
  onNonsense: () => void;
  /** once, whatever ended it; `complaint`: the end of what it wrote to its log */
  onExit: (complaint: string) => void;
}

const MAIN = fileURLToPath(import.meta.url).replace(/python-process\.(ts|js)$/, 'python-main.$1');

/** The script language's heap, MiB; Python's own memory is bound by the wall. */
const HEAP = 128;
const COMPLAINT = 2000;

/** @param pyodide folder of the package */
const nodeOptions = (pyodide: string) => [
  '--permission',
  `--allow-fs-read=${pyodide}`,
  `--allow-fs-read=${dirname(MAIN)}/`,
  '--disallow-code-generation-from-strings',
  '--no-addons',
  `--max-old-space-size=${String(HEAP)}`,
];

let wrapper: Promise<string[]> | undefined;

/**
 * What is put before the command: a network namespace without any network, no new privileges, and an end with the
 * server's. As much of it as this system allows.
 */
function isolation(): Promise<string[]> {
  wrapper ??= (async () => {
    const tool = (name: string) => ['/usr/bin/', '/bin/'].map((folder) => folder + name).find(existsSync) ?? name;
    const unshare = tool('unshare');
    const privileges = [tool('setpriv'), '--no-new-privs', '--pdeathsig', 'KILL'];
    const candidates = [
      [unshare, '--net', ...privileges],
      [unshare, '--map-root-user', '--net', ...privileges],
      [unshare, '--net'],
      privileges,
    ];
    for (const [command = '', ...options] of candidates) {
      try {
        await promisify(execFile)(command, [...options, process.execPath, '--version'], { env: {} });
        return [command, ...options];
      } catch {
        // not here, or not allowed: the next
      }
    }
    return [];
  })();
  return wrapper;
}

/**
 * The command that starts a module of this folder with everything that keeps it from the system.
 * @param main the module
 */
export async function isolated(main: string): Promise<string[]> {
  const pyodide = `${dirname(fileURLToPath(import.meta.resolve('pyodide/pyodide.asm.mjs')))}/`;
  return [...(await isolation()), process.execPath, ...nodeOptions(pyodide), main, pyodide];
}

/** What a process can start from: the state of one before it, deflated. */
export interface PackedImage {
  stack: number;
  entry: number;
  bytes: Buffer;
}

/** Starts it. It says `ready` when it takes calls. Rejects when the package is not there. */
export async function startPython(events: PythonEvents, image?: PackedImage): Promise<PythonProcess> {
  const [command = '', ...options] = await isolated(MAIN);
  const child = spawn(command, options, { env: {}, cwd: '/', stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const pipe = child.stdio[3] as Duplex;
  const reader = new FrameReader();
  const kill = () => void child.kill('SIGKILL');
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(-COMPLAINT);
  });
  pipe.on('data', (chunk: Buffer) => {
    let messages: (FromPython | Buffer)[] = [];
    try {
      messages = reader.take(chunk).map((each) => (Buffer.isBuffer(each) ? each : fromPython.parse(each)));
    } catch {
      complaint += ' it sent what is no message';
      events.onNonsense();
    }
    for (const message of messages) events.onMessage(message);
  });
  pipe.on('error', kill);
  onceEnded(child, pipe, () => events.onExit(complaint));
  const start: Start =
    image === undefined ? { kind: 'start' } : { kind: 'start', image: { stack: image.stack, entry: image.entry } };
  pipe.write(frame(start));
  if (image !== undefined) pipe.write(frame(image.bytes));
  return {
    pid: child.pid,
    withoutNetwork: options.includes('--net'),
    send: (message) => void pipe.write(frame(message)),
    kill,
  };
}

/** When the process is gone and all it said was read. */
function onceEnded(child: ChildProcess, pipe: Duplex, then: () => void): void {
  let open = 2;
  const one = () => {
    open -= 1;
    if (open === 0) then();
  };
  child.once('error', () => pipe.destroy()); // it could not be started: no `exit` follows
  child.once('error', one);
  child.once('exit', one);
  pipe.once('close', one);
}
