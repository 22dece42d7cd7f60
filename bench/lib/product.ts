/** The built product with one signed-in person, ready to be measured: access log to disk, metrics on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Api } from '../../test/harness/api.ts';
import { freePort } from '../../test/harness/ports.ts';
import { Provision } from '../../test/harness/provision.ts';
import { eventually } from '../../test/harness/wait.ts';
import { start } from './processes.ts';
import type { Started } from './processes.ts';

const TOKEN = 'bootstrap-token-of-the-benchmark-0123456789';

export class Product {
  readonly folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  readonly port: number;
  readonly #metricsPort: number;
  readonly provision: Provision;
  #process: Started | undefined;

  private constructor(port: number, metricsPort: number) {
    this.port = port;
    this.#metricsPort = metricsPort;
    this.provision = new Provision(new Api(this.origin, TOKEN));
  }

  static async create(): Promise<Product> {
    return new Product(await freePort(), await freePort());
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (this.#process === undefined) throw new TypeError('not running');
    return this.#process.pid;
  }

  /** @param workers undefined = the default of the product, on both cores */
  async start(workers: number | undefined, core: string): Promise<void> {
    this.launch(workers, core);
    await this.answers();
  }

  launch(workers: number | undefined, core: string): void {
    const line = [process.execPath, join('dist', 'main.js'), 'serve'];
    if (workers !== undefined) line.push('--workers', String(workers));
    this.#process = start(line, {
      core,
      log: join(this.folder, 'access.log'),
      env: {
        GATEHOUSE_LISTEN__HTTP: `127.0.0.1:${this.port}`,
        GATEHOUSE_LISTEN__HTTPS: '',
        GATEHOUSE_LISTEN__METRICS: `127.0.0.1:${this.#metricsPort}`,
        GATEHOUSE_DATA: join(this.folder, 'data'),
        GATEHOUSE_BOOTSTRAP_PASSWORD: 'correct horse battery staple',
        GATEHOUSE_BOOTSTRAP_TOKEN: TOKEN,
      },
    });
  }

  /** Waits for the first ready answer. @returns ms from now */
  async answers(): Promise<number> {
    const { ms } = await eventually(
      'ready',
      30_000,
      async () => {
        const answer = await fetch(`${this.origin}/-/health/ready/`, { signal: AbortSignal.timeout(5_000) });
        await answer.arrayBuffer();
        if (answer.status !== 200) throw new Error(`answer ${answer.status}`);
      },
      5,
    );
    return ms;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
