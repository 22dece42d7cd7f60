import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';

/** A request of a visitor, however it reaches the outpost. */
export interface Visit {
  /** authority of the application */
  host: string;
  method: string;
  /** path and query, byte for byte */
  target: string;
  /** Cookie header, empty = none */
  cookie: string;
}

export interface Heard {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

type Pairs = Record<string, string>;
/** an answer that does not come is an error that names its question */
const PATIENCE_MS = 45_000;
const OWN = '/outpost.goauthentik.io/auth';

/** What each reverse proxy sends for a visit; the outpost carries `proxy` itself. */
export const DIALECTS = {
  proxy: ({ host, method, target }: Visit) => [method, target, { host }],
  nginx: ({ host, target }: Visit) => ['GET', `${OWN}/nginx`, { host, 'x-original-url': `http://${host}${target}` }],
  'nginx with method': ({ host, method, target }: Visit) => [
    'GET',
    `${OWN}/nginx/with-method`,
    { host, 'x-original-url': `http://${host}${target}`, 'x-original-method': method },
  ],
  traefik: (visit: Visit) => ['GET', `${OWN}/traefik`, forwarded(visit)],
  caddy: (visit: Visit) => ['GET', `${OWN}/caddy`, forwarded(visit)],
  envoy: ({ host, method, target }: Visit) => [method, `${OWN}/envoy${target}`, { host }],
} satisfies Record<string, (visit: Visit) => [method: string, path: string, headers: Pairs]>;

export type Dialect = keyof typeof DIALECTS;

function forwarded({ host, method, target }: Visit): Pairs {
  return {
    host,
    'x-forwarded-method': method,
    'x-forwarded-proto': 'http',
    'x-forwarded-host': host,
    'x-forwarded-uri': target,
  };
}

/** Asks an outpost in any dialect, over connections that are kept; clients are scripts that read JSON. */
export class Asker {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  close(): void {
    this.#agent.destroy();
  }

  ask(dialect: Dialect, visit: Visit): Promise<Heard> {
    const [method, path, pairs] = DIALECTS[dialect](visit);
    const cookie: Pairs = visit.cookie === '' ? {} : { cookie: visit.cookie };
    const headers = { ...pairs, ...cookie, accept: 'application/json' };
    return new Promise((resolve, reject) => {
      const target = { host: '127.0.0.1', port: this.#port, agent: this.#agent };
      const req = request({ ...target, method, path, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
      req.once('error', (error) => reject(new Error(`${dialect} ${method} ${path}: ${error.message}`)));
      req.once('response', (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => (text += chunk));
        res.once('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text }));
        res.once('error', reject);
      });
      req.end();
    });
  }
}

/** Who the application would be told it is: by the echo in proxy mode, else by the header; empty = nobody. */
export function toldUser(dialect: Dialect, { headers, text }: Heard): string {
  if (dialect !== 'proxy') return String(headers['x-authentik-username'] ?? '');
  const { rawHeaders } = JSON.parse(text) as { rawHeaders: string[] };
  const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'x-authentik-username');
  return at < 0 ? '' : (rawHeaders[at + 1] ?? '');
}

/** Does the work for every item, a few at a time. */
export async function inParallel<T>(items: readonly T[], places: number, work: (item: T) => Promise<void>) {
  let next = 0;
  const run = async () => {
    while (next < items.length) await work(items[next++] as T);
  };
  await Promise.all(Array.from({ length: places }, run));
}
