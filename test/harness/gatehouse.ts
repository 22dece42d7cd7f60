import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Api } from './api.ts';
import { freePort } from './ports.ts';
import { childrenOf, partsOf } from './processes.ts';
import type { Part } from './processes.ts';
import { eventually, failed, guard, isAlive, within } from './wait.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const ADMIN_PASSWORD = 'correct horse battery staple';
const ADMIN_TOKEN = 'bootstrap-token-of-the-tests-0123456789';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const LOG_LIMIT = 2_000_000;

export interface GatehouseOptions {
  /** worker processes; 0 = everything in one process */
  workers?: number;
  /** data folder to use; without one a temporary folder is made, and removed by `stop` */
  data?: string;
  /** more or other variables; undefined removes one */
  env?: Record<string, string | undefined>;
  /** arguments after `serve` */
  args?: string[];
  /** address to listen on */
  host?: string;
  port?: number;
  metricsPort?: number;
  /** without one nothing listens for HTTPS */
  securePort?: number;
  /** command put in front, e.g. `ip netns exec name` */
  prefix?: string[];
  /** folder of the sources to run, when they are not this project's own */
  root?: string;
  /** base path of the identity server, with slashes at both ends */
  webPath?: string;
  /** address the harness itself uses to reach the instance, when it differs from `host` */
  reachedAt?: string;
}

/** A real Gatehouse, started from the sources as a child process. */
export class Gatehouse {
  readonly port: number;
  readonly metricsPort: number;
  readonly data: string;
  readonly api: Api;
  #child: ChildProcess | undefined;
  #log = '';
  #removeData: boolean;
  #exited: Promise<number> = Promise.resolve(0);
  readonly #options: GatehouseOptions;

  private constructor(options: GatehouseOptions, port: number, metricsPort: number) {
    this.#options = options;
    this.port = port;
    this.metricsPort = metricsPort;
    this.#removeData = options.data === undefined;
    this.data = options.data ?? mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
    this.api = new Api(this.server, ADMIN_TOKEN);
  }

  /** Starts an instance and waits until it is ready. */
  static async start(options: GatehouseOptions = {}): Promise<Gatehouse> {
    const gatehouse = await Gatehouse.prepare(options);
    gatehouse.launch();
    await gatehouse.ready();
    return gatehouse;
  }

  /** Chooses ports and folder without starting anything. */
  static async prepare(options: GatehouseOptions = {}): Promise<Gatehouse> {
    const port = options.port ?? (await freePort());
    const metricsPort = options.metricsPort ?? (await freePort());
    return new Gatehouse(options, port, metricsPort);
  }

  /** where the harness reaches the public listener */
  get origin(): string {
    return `http://${this.#options.reachedAt ?? this.#options.host ?? '127.0.0.1'}:${this.port}`;
  }

  /** folder of the sources that run */
  get root(): string {
    return this.#options.root ?? ROOT;
  }

  /** where the harness reaches the identity server, with its path, without a slash at the end */
  get server(): string {
    return this.origin + (this.#options.webPath ?? '/').replace(/\/$/, '');
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new TypeError('not running');
    return pid;
  }

  get log(): string {
    return this.#log;
  }

  launch(): void {
    const host = this.#options.host ?? '127.0.0.1';
    const env: Record<string, string | undefined> = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TMPDIR: process.env['TMPDIR'],
      GATEHOUSE_LISTEN__HTTP: `${host}:${this.port}`,
      GATEHOUSE_LISTEN__HTTPS: this.#options.securePort === undefined ? '' : `${host}:${this.#options.securePort}`,
      GATEHOUSE_LISTEN__METRICS: `${host}:${this.metricsPort}`,
      GATEHOUSE_DATA: this.data,
      GATEHOUSE_BOOTSTRAP_PASSWORD: ADMIN_PASSWORD,
      GATEHOUSE_BOOTSTRAP_TOKEN: ADMIN_TOKEN,
      GATEHOUSE_BOOTSTRAP_EMAIL: 'admin@example.test',
      GATEHOUSE_WEB__PATH: this.#options.webPath,
      ...this.#options.env,
    };
    for (const [name, value] of Object.entries(env)) if (value === undefined) delete env[name];
    const workers = this.#options.workers === undefined ? [] : ['--workers', String(this.#options.workers)];
    const line = [
      ...(this.#options.prefix ?? []),
      process.execPath,
      join(this.root, 'src/main.ts'),
      'serve',
      ...workers,
      ...(this.#options.args ?? []),
    ];
    const child = spawn(line[0]!, line.slice(1), { env, cwd: this.root, stdio: ['ignore', 'pipe', 'pipe'] });
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

  /** Waits until the readiness endpoint says so. */
  async ready(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const child = this.#child;
    try {
      await eventually(
        'Gatehouse ready',
        timeoutMs,
        async () => {
          if (child?.exitCode !== null) return;
          const answer = await fetch(`${this.server}/-/health/ready/`, { signal: AbortSignal.timeout(5_000) });
          await answer.arrayBuffer();
          if (answer.status !== 200) throw new Error(`answer ${answer.status}`);
        },
        50,
      );
    } catch (error) {
      throw new Error(`${String(error)}\n${this.tail()}`, { cause: error });
    }
    if (child?.exitCode !== null) throw new Error(`Gatehouse ended with ${child?.exitCode}\n${this.tail()}`);
  }

  /** Waits for the process to end by itself. @returns its exit code */
  async exit(timeoutMs = START_TIMEOUT_MS): Promise<number> {
    const code = await within(timeoutMs, this.#exited);
    if (code === undefined) throw new Error(`Gatehouse still runs after ${timeoutMs} ms\n${this.tail()}`);
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

  /** Ends the instance in an orderly way. The data folder stays. @returns the exit code */
  async end(): Promise<number> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return this.#exited;
    const family = [...childrenOf(this.pid)];
    child.kill('SIGTERM');
    const code = await within(STOP_TIMEOUT_MS, this.#exited);
    if (code === undefined) {
      child.kill('SIGKILL');
      throw new Error(`Gatehouse did not stop within ${STOP_TIMEOUT_MS} ms\n${this.tail()}`);
    }
    await eventually('children gone', 20_000, () => {
      const left = family.filter(isAlive);
      if (left.length > 0) throw new Error(`processes ${left.join(', ')} still run`);
    });
    return code;
  }

  /** Ends the instance, keeps its log in test-output/logs and removes a temporary data folder. */
  async stop(): Promise<number> {
    try {
      return await this.end();
    } finally {
      this.#keepLog();
      if (this.#removeData) rmSync(this.data, { recursive: true, force: true });
    }
  }

  async restart(): Promise<void> {
    await this.end();
    this.launch();
    await this.ready();
  }

  /** The end of the log, for messages of failing tests. */
  tail(lines = 60): string {
    return `--- log of Gatehouse on ${this.port} ---\n${this.#log.split('\n').slice(-lines).join('\n')}`;
  }

  /** For `afterEach`: prints the log when the test failed. */
  explain(context: object): void {
    if (failed(context)) console.error(this.tail());
  }

  #keepLog(): void {
    const folder = join(ROOT, 'test-output/logs');
    mkdirSync(folder, { recursive: true });
    const test = basename(process.argv[1] ?? 'test', '.ts');
    writeFileSync(join(folder, `${test}-${this.port}.log`), this.#log);
  }
}
