import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Api } from './api.ts';
import { freePort } from './ports.ts';
import type { Part } from './processes.ts';
import { Program, ROOT, START_TIMEOUT_MS } from './program.ts';

export { ROOT };
export const ADMIN_PASSWORD = 'correct horse battery staple';
const ADMIN_TOKEN = 'bootstrap-token-of-the-tests-0123456789';

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
  readonly #program: Program;
  readonly #removeData: boolean;
  readonly #options: GatehouseOptions;

  private constructor(options: GatehouseOptions, port: number, metricsPort: number) {
    this.#options = options;
    this.port = port;
    this.metricsPort = metricsPort;
    this.#removeData = options.data === undefined;
    this.data = options.data ?? mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
    this.#program = new Program(`Gatehouse on ${port}`);
    this.api = new Api(this.server, ADMIN_TOKEN);
  }

  /** Starts an instance and waits until it is ready. */
  static async start(options: GatehouseOptions = {}): Promise<Gatehouse> {
    const gatehouse = await Gatehouse.prepare(options);
    try {
      gatehouse.launch();
      await gatehouse.ready();
      return gatehouse;
    } catch (error) {
      await gatehouse.stop();
      throw error;
    }
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
    return this.#program.pid;
  }

  get log(): string {
    return this.#program.log;
  }

  launch(): void {
    const { host = '127.0.0.1', workers, args = [], env, securePort, webPath, prefix } = this.#options;
    const number = workers === undefined ? [] : ['--workers', String(workers)];
    this.#program.launch(
      ['serve', ...number, ...args],
      {
        GATEHOUSE_LISTEN__HTTP: `${host}:${this.port}`,
        GATEHOUSE_LISTEN__HTTPS: securePort === undefined ? '' : `${host}:${securePort}`,
        GATEHOUSE_LISTEN__METRICS: `${host}:${this.metricsPort}`,
        GATEHOUSE_DATA: this.data,
        GATEHOUSE_BOOTSTRAP_PASSWORD: ADMIN_PASSWORD,
        GATEHOUSE_BOOTSTRAP_TOKEN: ADMIN_TOKEN,
        GATEHOUSE_BOOTSTRAP_EMAIL: 'admin@example.test',
        GATEHOUSE_WEB__PATH: webPath,
        ...env,
      },
      this.root,
      prefix,
    );
  }

  /** Waits until the readiness endpoint says so. */
  ready(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const attempt = async () => {
      const answer = await fetch(`${this.server}/-/health/ready/`, { signal: AbortSignal.timeout(5_000) });
      await answer.arrayBuffer();
      if (answer.status !== 200) throw new Error(`answer ${answer.status}`);
    };
    return this.#program.until('Gatehouse ready', attempt, timeoutMs);
  }

  /** Waits for the process to end by itself. @returns its exit code */
  exit(timeoutMs?: number): Promise<number> {
    return this.#program.exit(timeoutMs);
  }

  /** Process ids of one part, empty when everything runs in one process. */
  pids(part: Part): number[] {
    return this.#program.pids(part);
  }

  /** Kills one process of a part (or the supervisor) at once. @returns the process id it had */
  kill(part: Part | 'supervisor', signal?: NodeJS.Signals): number {
    return this.#program.kill(part, signal);
  }

  /** Ends the instance in an orderly way. The data folder stays. @returns the exit code */
  end(): Promise<number> {
    return this.#program.end();
  }

  /** Ends the instance, keeps its log in test-output/logs and removes a temporary data folder. */
  async stop(): Promise<number> {
    try {
      return await this.end();
    } finally {
      this.#program.keepLog(this.port);
      if (this.#removeData) rmSync(this.data, { recursive: true, force: true });
    }
  }

  async restart(): Promise<void> {
    await this.end();
    this.launch();
    await this.ready();
  }

  /** The end of the log, for messages of failing tests. */
  tail(lines?: number): string {
    return this.#program.tail(lines);
  }

  /** For `afterEach`: prints the log when the test failed. */
  explain(context: object): void {
    this.#program.explain(context);
  }
}
