import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childrenOf, partsOf } from './processes.ts';
import type { Part } from './processes.ts';
import { eventually, failed, guard, isAlive, within } from './wait.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Seconds where there is room; a machine with ten times as much to do as it can needs more than a minute. */
export const START_TIMEOUT_MS = 180_000;
/** What is under way may take 15 s to end; a slow machine gets more. */
const STOP_TIMEOUT_MS = 60_000;
const LOG_LIMIT = 2_000_000;

/** The program as a child process, started from sources, with all it says. */
export class Program {
  /** for messages of failing tests, e.g. `Gatehouse on 9000` */
  readonly name: string;
  #child: ChildProcess | undefined;
  #log = '';
  #exited: Promise<number> = Promise.resolve(0);

  constructor(name: string) {
    this.name = name;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new TypeError('not running');
    return pid;
  }

  get log(): string {
    return this.#log;
  }

  /** whether it ended by itself or was ended */
  get ended(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /**
   * @param args of the command line, the command first
   * @param environment all of it; undefined = left out
   * @param root folder of the sources to run
   * @param prefix command put in front
   */
  launch(
    args: readonly string[],
    environment: Readonly<Record<string, string | undefined>>,
    root: string = ROOT,
    prefix: readonly string[] = [],
  ): void {
    const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = process.env;
    const env = Object.fromEntries(
      Object.entries({ PATH, HOME, TMPDIR, NODE_COMPILE_CACHE, ...environment }).filter(
        ([, value]) => value !== undefined,
      ),
    );
    const [program = '', ...line] = [...prefix, process.execPath, join(root, 'src/main.ts'), ...args];
    const child = spawn(program, line, { env, cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    if (child.pid !== undefined) guard.add(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_LIMIT);
      });
    }
    this.#exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        if (child.pid !== undefined) guard.remove(child.pid);
        resolve(code ?? (signal === 'SIGKILL' ? 137 : 143));
      });
    });
  }

  /** Waits until `attempt` works. @throws when it does not in time, or the program ended */
  async until(what: string, attempt: () => Promise<void>, timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const child = this.#child;
    try {
      await eventually(what, timeoutMs, async () => (child?.exitCode === null ? attempt() : undefined), 50);
    } catch (error) {
      throw new Error(`${String(error)}\n${this.tail()}`, { cause: error });
    }
    if (child?.exitCode !== null) throw new Error(`${this.name} ended with ${child?.exitCode}\n${this.tail()}`);
  }

  /** Waits for the process to end by itself. @returns its exit code */
  async exit(timeoutMs = START_TIMEOUT_MS): Promise<number> {
    const code = await within(timeoutMs, this.#exited);
    if (code === undefined) throw new Error(`${this.name} still runs after ${timeoutMs} ms\n${this.tail()}`);
    return code;
  }

  /** Process ids of one part, empty when everything runs in one process. */
  pids(part: Part): number[] {
    return partsOf(this.pid)
      .filter((p) => p.part === part)
      .map((p) => p.pid);
  }

  /** Kills one process of a part (or the supervisor) at once. @returns the process id it had */
  kill(part: Part | 'supervisor', signal: NodeJS.Signals = 'SIGKILL'): number {
    const pid = part === 'supervisor' ? this.pid : this.pids(part)[0];
    if (pid === undefined) throw new Error(`no ${part} is running\n${this.tail()}`);
    process.kill(pid, signal);
    return pid;
  }

  /** Ends it in an orderly way. @returns the exit code */
  async end(): Promise<number> {
    if (this.ended) return this.#exited;
    const family = [...childrenOf(this.pid)];
    this.#child?.kill('SIGTERM');
    const code = await within(STOP_TIMEOUT_MS, this.#exited);
    if (code === undefined) {
      this.#child?.kill('SIGKILL');
      throw new Error(`${this.name} did not stop within ${STOP_TIMEOUT_MS} ms\n${this.tail()}`);
    }
    await eventually('children gone', 20_000, () => {
      const left = family.filter(isAlive);
      if (left.length > 0) throw new Error(`processes ${left.join(', ')} still run`);
    });
    return code;
  }

  /** The end of the log, for messages of failing tests. */
  tail(lines = 60): string {
    return `--- log of ${this.name} ---\n${this.#log.split('\n').slice(-lines).join('\n')}`;
  }

  /** For `afterEach`: prints the log when the test failed. */
  explain(context: object): void {
    if (failed(context)) console.error(this.tail());
  }

  /** Keeps the log in test-output/logs. */
  keepLog(port: number): void {
    const folder = join(ROOT, 'test-output/logs');
    mkdirSync(folder, { recursive: true });
    const test = basename(process.argv[1] ?? 'test', '.ts');
    writeFileSync(join(folder, `${test}-${port}.log`), this.#log);
  }
}
