import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Streams } from './streams.ts';

/** What the application received, as it answers it. */
export interface Received {
  method: string;
  url: string;
  httpVersion: string;
  /** names and values in turn, as they came */
  rawHeaders: string[];
  bodyBytes: number;
  bodySha256: string;
}

const CHUNK = Buffer.alloc(64 * 1024, 'gatehouse ');

/**
 * The application behind the gate.
 *
 * - any path: JSON of what was received
 * - `/download?bytes=N`: N bytes, made on the way, with the reader's pace
 * - `/origin`: 403 unless `Origin` is the origin the application believes to have (`http://<Host>`)
 * - `/redirect`: absolute Location and Content-Location on its own host and a cookie for its own domain
 * - `/cookies`: sets a cookie named like ours, and managed response headers
 * - `/socket`, `/events`: streams (streams.ts)
 * - `/abort?bytes=N`: breaks the connection after N of twice as many bytes
 */
export class Upstream {
  readonly #server: Server;
  readonly streams = new Streams();
  /** everything received except downloads and streams, newest last */
  readonly received: Received[] = [];
  /** bytes handed to the kernel by running and finished downloads */
  sent = 0;
  /** downloads whose reader went away early */
  aborted = 0;

  private constructor() {
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => this.#answer(req, res));
    this.#server.requestTimeout = 0;
    this.#server.on('upgrade', this.streams.upgrade);
  }

  static async start(host = '127.0.0.1'): Promise<Upstream> {
    const upstream = new Upstream();
    await new Promise<void>((resolve) => upstream.#server.listen(0, host, resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://${(this.#server.address() as AddressInfo).address}:${this.port}`;
  }

  stop(): Promise<void> {
    this.streams.stop();
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const url = new URL(`http://upstream.invalid${req.url ?? '/'}`);
    const bytes = Number(url.searchParams.get('bytes') ?? 0);
    if (url.pathname === '/events') this.streams.events(req, res);
    else if (url.pathname === '/download') this.#download(res, bytes, bytes);
    else if (url.pathname === '/abort') this.#download(res, bytes * 2, bytes);
    else this.#echo(req, res, url.pathname);
  }

  #download(res: ServerResponse, announced: number, bytes: number): void {
    res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': announced });
    let left = bytes;
    const more = (): void => {
      while (left > 0) {
        const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
        left -= part.length;
        this.sent += part.length;
        if (!res.write(part)) return void res.once('drain', more);
      }
      if (announced > bytes) res.socket?.destroySoon();
      else res.end();
    };
    res.once('close', () => {
      if (!res.writableFinished) this.aborted++;
    });
    more();
  }

  #echo(req: IncomingMessage, res: ServerResponse, path: string): void {
    const hash = createHash('sha256');
    let bodyBytes = 0;
    req.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length;
      hash.update(chunk);
    });
    req.once('end', () => {
      const received: Received = {
        method: req.method ?? '',
        url: req.url ?? '',
        httpVersion: req.httpVersion,
        rawHeaders: req.rawHeaders,
        bodyBytes,
        bodySha256: hash.digest('hex'),
      };
      this.received.push(received);
      if (this.received.length > 5_000) this.received.shift();
      const own = req.headers.host ?? '';
      const headers: Record<string, string | string[]> = { 'content-type': 'application/json' };
      let status = 200;
      if (path === '/origin' && req.headers.origin !== undefined && req.headers.origin !== `http://${own}`)
        status = 403;
      if (path === '/redirect') {
        status = 302;
        headers['location'] = `http://${own}/landing?from=redirect&x=%2F`;
        headers['content-location'] = `http://${own}/landing`;
        headers['set-cookie'] = [`app=1; Path=/; Domain=${own.split(':')[0]}`, 'plain=2; Path=/'];
      }
      if (path === '/cookies') {
        headers['set-cookie'] = ['authentik_proxy_00000000=stolen; Path=/', 'app=1; Path=/'];
      }
      res.writeHead(status, headers).end(JSON.stringify(received));
    });
  }
}

/** Values of one header among raw headers, in order. @param name in lower case */
export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() === name) values.push(rawHeaders[i + 1]!);
  }
  return values;
}
