import { Agent, request } from 'node:http';
import { sleep } from './wait.ts';

export interface TrafficOptions {
  origin: string;
  /** Host header of the application */
  host: string;
  /** Cookie header of a signed-in person, or of another one for each request */
  cookie: string | (() => string);
  /** requests under way at a time */
  concurrency: number;
  /** every how many requests one goes without the cookie */
  anonymousEvery?: number;
  path?: string;
  /** a pause after each request, ms */
  pauseMs?: number;
}

export interface TrafficResult {
  total: number;
  /** signed-in requests that got no 200, or no answer, with what came instead */
  failed: number;
  kinds: Record<string, number>;
  /** requests repeated on a new connection because the old one had been closed, as browsers do */
  repeated: number;
  /** requests without a login that got through: must be 0 */
  wronglyAllowed: number;
}

/** Steady requests of a signed-in person, mixed with anonymous ones that must never get through. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #agent: Agent;
  readonly #loops: Promise<void>[] = [];
  #stopping = false;
  #sent = 0;
  readonly result: TrafficResult = { total: 0, failed: 0, kinds: {}, repeated: 0, wronglyAllowed: 0 };

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.concurrency });
    for (let i = 0; i < options.concurrency; i++) this.#loops.push(this.#loop());
  }

  async stop(): Promise<TrafficResult> {
    this.#stopping = true;
    await Promise.all(this.#loops);
    this.#agent.destroy();
    return this.result;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping) {
      const anonymous = this.#sent++ % (this.#options.anonymousEvery ?? 5) === 0;
      const outcome = await this.#ask(anonymous);
      this.result.total++;
      if (anonymous && typeof outcome === 'number' && outcome >= 200 && outcome < 300) this.result.wronglyAllowed++;
      if (anonymous ? outcome !== 401 : outcome !== 200) {
        this.result.failed++;
        const kind = `${anonymous ? 'anonymous' : 'signed in'}: ${outcome}`;
        this.result.kinds[kind] = (this.result.kinds[kind] ?? 0) + 1;
        await sleep(20); // a refused connection answers at once: do not spin
      }
      if (this.#options.pauseMs !== undefined) await sleep(this.#options.pauseMs);
    }
  }

  async #ask(anonymous: boolean): Promise<number | string> {
    for (let attempt = 0; ; attempt++) {
      const { outcome, reused } = await this.#once(anonymous);
      if (typeof outcome === 'number' || !reused || attempt > 1) return outcome;
      this.result.repeated++;
    }
  }

  #once(anonymous: boolean): Promise<{ outcome: number | string; reused: boolean }> {
    return new Promise((resolve) => {
      const headers: Record<string, string> = { host: this.#options.host, accept: '*/*', 'sec-fetch-mode': 'cors' };
      const { cookie } = this.#options;
      if (!anonymous) headers['cookie'] = typeof cookie === 'string' ? cookie : cookie();
      const req = request(this.#options.origin + (this.#options.path ?? '/traffic'), { agent: this.#agent, headers });
      const failed = (error: NodeJS.ErrnoException): void =>
        resolve({ outcome: error.code ?? error.message, reused: req.reusedSocket });
      req.setTimeout(30_000, () => req.destroy(new Error('timeout')));
      req.once('error', failed);
      req.once('response', (res) => {
        res.once('error', failed);
        res.once('end', () => resolve({ outcome: res.statusCode ?? 0, reused: false }));
        res.resume();
      });
      req.end();
    });
  }
}
