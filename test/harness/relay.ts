/** What the stand-ins for Traefik and Envoy share: an HTTPS listener, and requests that are passed on. */
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { selfSigned } from './nginx.ts';

export type Pair = [name: string, value: string];

/** Headers that concern one connection only (RFC 9110 7.6.1). */
const HOP_BY_HOP = new Set(
  'connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade'.split(
    ' ',
  ),
);

export const pairsOf = (raw: readonly string[]): Pair[] =>
  raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? ''] as Pair] : []));

/** Without hop-by-hop headers, those `Connection` names included. */
export function endToEnd(headers: readonly Pair[]): Pair[] {
  const named = headers.flatMap(([n, v]) => (n.toLowerCase() === 'connection' ? v.split(',') : []));
  const dropped = new Set([...HOP_BY_HOP, ...named.map((name) => name.trim().toLowerCase())]);
  return headers.filter(([name]) => !dropped.has(name.toLowerCase()));
}

export const named = (headers: readonly Pair[], name: string): string[] =>
  headers.flatMap(([n, v]) => (n.toLowerCase() === name.toLowerCase() ? [v] : []));

/** Replaces every header of this name; no value removes it. */
export function set(headers: readonly Pair[], name: string, ...values: string[]): Pair[] {
  const others = headers.filter(([n]) => n.toLowerCase() !== name.toLowerCase());
  return [...others, ...values.map((value): Pair => [name, value])];
}

export interface Whole {
  status: number;
  headers: Pair[];
  body: Buffer;
}

/** Asks and takes the whole answer; follows nothing. */
export function askWhole(url: URL, path: string, method: string, headers: readonly Pair[]): Promise<Whole> {
  return new Promise((resolve, reject) => {
    const options = { host: url.hostname, port: url.port, path, method, headers: headers.flat(), agent: false };
    const req = httpRequest({ ...options, maxHeaderSize: 256 * 1024 }, (res) => {
      const parts: Buffer[] = [];
      res.on('data', (part: Buffer) => parts.push(part));
      res.once('error', reject);
      res.once('end', () =>
        resolve({ status: res.statusCode ?? 0, headers: pairsOf(res.rawHeaders), body: Buffer.concat(parts) }),
      );
    });
    req.setTimeout(30_000, () => req.destroy(new Error('no answer within 30 s')));
    req.once('error', reject);
    req.end();
  });
}

/** Carries a request to a service and its answer back, both as streams. */
export function passOn(
  req: IncomingMessage,
  res: ServerResponse,
  service: URL,
  headers: readonly Pair[],
  more: readonly Pair[] = [],
): void {
  const { method = 'GET', url: path = '/' } = req;
  const options = { host: service.hostname, port: service.port, path, method, headers: headers.flat(), agent: false };
  const onward = httpRequest({ ...options, maxHeaderSize: 256 * 1024 }, (answer) => {
    res.writeHead(answer.statusCode ?? 502, [...endToEnd(pairsOf(answer.rawHeaders)), ...more].flat());
    answer.pipe(res);
  });
  onward.once('error', () => (res.headersSent ? res.destroy() : res.writeHead(502).end('Bad Gateway')));
  req.pipe(onward);
}

/** Answers with what was asked elsewhere. */
export function relay(res: ServerResponse, req: IncomingMessage, { status, headers, body }: Whole): void {
  const framed = set(endToEnd(headers), 'Content-Length', String(body.length));
  res.writeHead(status, framed.flat());
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** A server with a certificate for `*.test`. */
export class TlsListener {
  readonly port: number;
  readonly #server: Server;
  readonly #folder: string;
  readonly #log: string[];

  private constructor(server: Server, folder: string, port: number, log: string[]) {
    this.#server = server;
    this.#folder = folder;
    this.port = port;
    this.#log = log;
  }

  /** @param answer a rejection is logged and answered with 500 */
  static async start(
    port: number,
    answer: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
  ): Promise<TlsListener> {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-relay-'));
    const { cert, key } = await selfSigned(folder);
    const tls = { cert: readFileSync(cert), key: readFileSync(key), maxHeaderSize: 256 * 1024 };
    const log: string[] = [];
    const server = createServer(tls, (req, res) => {
      answer(req, res).catch((error: unknown) => {
        log.push(`${req.method} ${req.headers.host}${req.url}: ${String(error)}`);
        if (res.headersSent) res.destroy();
        else res.writeHead(500).end('the reverse proxy failed');
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new TlsListener(server, folder, port, log);
  }

  log(): string {
    return this.#log.join('\n');
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
