import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { isHttp2 } from '../outpost/listen/http2.ts';
import type { Settings } from '../settings/settings.ts';
import { takeAnnouncedPeers } from './announced-peers.ts';

/** Largest request head: session cookies of several applications and a token may come together. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Connections a worker holds at once; further ones are closed. About 40 kB each when idle. */
export const MAX_CONNECTIONS = 10_000;
/** What a WebSocket gets to close its side when a worker stops. */
const UPGRADED_END_MS = 1000;
/** After so long TCP asks a silent client whether it is still there. */
const TCP_PROBE_MS = 60_000;
/** How often heads that take too long are looked for. */
const CHECK_MS = 2000;

export interface Handlers {
  /** whether this peer may say before its first byte whom it speaks for */
  trusts(address: string): boolean;
  /** one without a body may emit no `end`: its `readableEnded` says so */
  request(req: IncomingMessage, res: ServerResponse): void;
  /** whether this request may leave HTTP; otherwise it is answered like any other, its `Upgrade` ignored */
  mayUpgrade(req: IncomingMessage): boolean;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** One listener of the data plane. */
export interface Listener {
  readonly server: TcpServer;
  /**
   * Stops accepting, lets requests under way end, then closes what is left.
   * @param ms longest wait
   */
  drain(ms: number): Promise<void>;
}

/** Heads have a time limit; bodies and answers have idle limits only, set where they are carried. */
export function createListener(
  handlers: Handlers,
  timeouts: Settings['timeouts'],
): Listener & { readonly server: Server } {
  const server = createServer(httpLimits(handlers, timeouts));
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = 0; // heads and kept-alive connections have limits of their own, and so has what is carried
  server.on('request', (req: IncomingMessage, res: ServerResponse) => handlers.request(req, res));
  const upgraded = answerSpecialRequests(server, handlers);
  const silent = takeAnnouncedPeers(server, handlers.trusts, timeouts.readHeader);
  return {
    server,
    drain: (ms) => {
      for (const socket of silent) socket.destroy();
      return drain(server, upgraded, ms);
    },
  };
}

/**
 * How HTTP/1.1 is read, on this listener and beside HTTP/2. A request without a body is at its end when it is handed over
 * and emits none: waiting for that of every GET costs a fifteenth of a check (measured: docs/performance.md).
 */
export function httpLimits(handlers: Handlers, timeouts: Settings['timeouts']): ServerOptions {
  return {
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout: timeouts.readHeader,
    requestTimeout: 0,
    keepAlive: true, // a stream may be silent for hours: TCP finds clients that are gone
    keepAliveInitialDelay: TCP_PROBE_MS,
    keepAliveTimeout: timeouts.idle,
    connectionsCheckingInterval: CHECK_MS,
    requireHostHeader: true,
    optimizeEmptyRequests: true,
    shouldUpgradeCallback: (req) => handlers.mayUpgrade(req),
  };
}

/**
 * Answers what is no ordinary request: expectations, upgrades, CONNECT, and what cannot be read.
 * @returns the connections that left HTTP, kept up to date
 */
export function answerSpecialRequests(server: TcpServer, handlers: Handlers): ReadonlySet<Duplex> {
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    // A client that is refused without "continue" may or may not send its body: nobody could tell it from the next
    // request. Whoever does say "continue" takes this back.
    res.shouldKeepAlive = false;
    handlers.request(req, res);
  });
  server.on('checkExpectation', (_: IncomingMessage, res: ServerResponse) => {
    res.shouldKeepAlive = false;
    res.writeHead(417).end();
  });
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    handlers.upgrade(req, socket, head);
  });
  server.on('connect', (req: IncomingMessage, socket: Duplex) => {
    if (isHttp2(req)) req.stream.respond({ ':status': 405 }, { endStream: true });
    else refuse(socket, '405 Method Not Allowed');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const status = STATUS_OF[error.code ?? ''] ?? (error.code?.startsWith('HPE_') ? '400 Bad Request' : undefined);
    if (status === undefined || !socket.writable) return void socket.destroy();
    refuse(socket, status);
  });
  return upgraded;
}

const STATUS_OF: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

async function drain(server: Server, upgraded: ReadonlySet<Duplex>, ms: number): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = endUpgraded(upgraded, ms);
  const sweep = setInterval(() => server.closeIdleConnections(), 100); // connections that became idle since
  const end = setTimeout(() => server.closeAllConnections(), ms);
  await closed;
  clearInterval(sweep);
  clearTimeout(end);
  clearTimeout(cut);
}

/**
 * Ends connections that left HTTP: they never end by themselves, and whoever is at the other end connects again.
 * @returns the timer that ends for good those that do not
 */
export function endUpgraded(upgraded: ReadonlySet<Duplex>, ms: number): NodeJS.Timeout {
  for (const socket of upgraded) socket.end();
  return setTimeout(() => upgraded.forEach((socket) => socket.destroy()), Math.min(ms, UPGRADED_END_MS));
}
