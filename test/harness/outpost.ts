import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import type { Part } from './processes.ts';
import { Program, START_TIMEOUT_MS } from './program.ts';

export interface OutpostOptions {
  /** address of the identity server, as AUTHENTIK_HOST */
  server: string;
  /** as AUTHENTIK_TOKEN; can be given later: {@link StandaloneOutpost.token} */
  token?: string;
  /** worker processes; 0 = everything in one process */
  workers?: number;
  /** data folder to use; without one a temporary folder is made, and removed by `stop` */
  data?: string;
  /** more or other variables; undefined removes one */
  env?: Record<string, string | undefined>;
  /** address to listen on */
  host?: string;
  port?: number;
  metricsPort?: number;
  /** without one nothing listens for HTTPS */
  securePort?: number;
  /** folder of the sources to run, when they are not this project's own */
  root?: string;
  /** command put in front, e.g. `ip netns exec name` */
  prefix?: string[];
  /** address the harness itself uses to reach it, when it differs from `host` */
  reachedAt?: string;
}

/**
 * A real `gatehouse outpost`, started from the sources as a child process. An outpost needs providers before it has a
 * token, and their addresses hold its port: so {@link prepare} it, make the applications (`embedded: false`) and the
 * outpost (`provision.outpost`), set {@link token}, `launch` and wait until it is `configured`.
 */
export class StandaloneOutpost {
  readonly port: number;
  readonly metricsPort: number;
  readonly data: string;
  token: string;
  readonly #program: Program;
  readonly #removeData: boolean;
  readonly #options: OutpostOptions;

  private constructor(options: OutpostOptions, port: number, metricsPort: number) {
    this.#options = options;
    this.port = port;
    this.metricsPort = metricsPort;
    this.token = options.token ?? '';
    this.#removeData = options.data === undefined;
    this.data = options.data ?? mkdtempSync(join(tmpdir(), 'gatehouse-outpost-'));
    this.#program = new Program(`the outpost on ${port}`);
  }

  /** Chooses ports and folder without starting anything. */
  static async prepare(options: OutpostOptions): Promise<StandaloneOutpost> {
    const port = options.port ?? (await freePort());
    return new StandaloneOutpost(options, port, options.metricsPort ?? (await freePort()));
  }

  /** Starts one and waits until it serves its applications. */
  static async start(options: OutpostOptions & { token: string }): Promise<StandaloneOutpost> {
    const outpost = await StandaloneOutpost.prepare(options);
    try {
      outpost.launch();
      await outpost.configured();
      return outpost;
    } catch (error) {
      await outpost.stop();
      throw error;
    }
  }

  /** where the harness reaches the HTTP listener */
  get origin(): string {
    return `http://${this.#reachedAt}:${this.port}`;
  }

  /** where the harness reaches the listener for metrics and health */
  get metricsOrigin(): string {
    return `http://${this.#reachedAt}:${this.metricsPort}`;
  }

  get #reachedAt(): string {
    return this.#options.reachedAt ?? this.#options.host ?? '127.0.0.1';
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** everything it said so far, over all starts */
  get log(): string {
    return this.#program.log;
  }

  /** what it is started with, for other commands on the same machine */
  get environment(): Record<string, string | undefined> {
    const { host = '127.0.0.1', server, securePort, env } = this.#options;
    return {
      GATEHOUSE_LISTEN__HTTP: `${host}:${this.port}`,
      GATEHOUSE_LISTEN__HTTPS: securePort === undefined ? '' : `${host}:${securePort}`,
      GATEHOUSE_LISTEN__METRICS: `${host}:${this.metricsPort}`,
      GATEHOUSE_DATA: this.data,
      AUTHENTIK_HOST: server,
      AUTHENTIK_TOKEN: this.token,
      ...env,
    };
  }

  launch(): void {
    const { workers, prefix, root } = this.#options;
    const number = workers === undefined ? [] : ['--workers', String(workers)];
    this.#program.launch(['outpost', ...number], this.environment, root, prefix);
  }

  /** Waits until it answers at all. */
  async answers(timeoutMs?: number): Promise<void> {
    await this.#program.until('the outpost answers', async () => void (await this.#readiness()), timeoutMs);
  }

  /** Waits until every worker serves with a configuration, of the server or kept. */
  configured(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const attempt = async () => {
      const { status, text } = await this.#readiness();
      if (status !== 200) throw new Error(`not ready: ${text}`);
    };
    return this.#program.until('the outpost is configured', attempt, timeoutMs);
  }

  /** Waits until it is connected to its server. */
  connected(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const attempt = async () => {
      const { text } = await this.#readiness();
      if ((JSON.parse(text) as { connected: boolean }).connected !== true) throw new Error(`not connected: ${text}`);
    };
    return this.#program.until('the outpost is connected', attempt, timeoutMs);
  }

  async #readiness(): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${this.metricsOrigin}/-/health/ready/`, { signal: AbortSignal.timeout(5_000) });
    return { status: answer.status, text: await answer.text() };
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

  /** Ends it in an orderly way. The data folder stays. @returns the exit code */
  end(): Promise<number> {
    return this.#program.end();
  }

  async restart(): Promise<void> {
    await this.end();
    this.launch();
    await this.configured();
  }

  /** Ends it, keeps its log in test-output/logs and removes a temporary data folder. */
  async stop(): Promise<number> {
    try {
      return await this.end();
    } finally {
      this.#program.keepLog(this.port);
      if (this.#removeData) rmSync(this.data, { recursive: true, force: true });
    }
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
