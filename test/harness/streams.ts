import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

/** How often a stream says something. */
const TICK_MS = 250;

/** What the application knows of one stream. */
export interface Stream {
  kind: 'socket' | 'events';
  /** `name` of the query */
  name: string;
  sent: number;
  /** messages that came back; WebSockets only */
  echoed: number;
  /** longest time between a message and its echo, ms */
  slowest: number;
  /** `performance.now()` when it ended */
  endedAt: number | undefined;
}

/**
 * The part of the application that never ends: `/socket`, a WebSocket with the subprotocol `ticks` whose numbers the
 * other side sends back, and `/events`, numbered server-sent events.
 */
export class Streams {
  readonly all: Stream[] = [];
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true });

  upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => undefined);
    this.#sockets.handleUpgrade(req, socket, head, (ws) => this.#tick(ws, this.#begin('socket', req)));
  };

  events(req: IncomingMessage, res: ServerResponse): void {
    const stream = this.#begin('events', req);
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).flushHeaders();
    const timer = setInterval(() => res.write(`id: ${stream.sent}\ndata: ${stream.sent++}\n\n`), TICK_MS);
    res.once('close', () => {
      clearInterval(timer);
      stream.endedAt = performance.now();
    });
  }

  stop(): void {
    for (const ws of this.#sockets.clients) ws.terminate();
  }

  #tick(ws: WebSocket, stream: Stream): void {
    const waiting = new Map<number, number>();
    const timer = setInterval(() => {
      waiting.set(stream.sent, performance.now());
      ws.send(String(stream.sent++));
    }, TICK_MS);
    ws.on('error', () => undefined);
    ws.on('message', (data: Buffer) => {
      const since = waiting.get(Number(String(data)));
      if (since === undefined) return ws.terminate(); // an echo of nothing
      waiting.delete(Number(String(data)));
      stream.echoed++;
      stream.slowest = Math.max(stream.slowest, performance.now() - since);
    });
    ws.once('close', () => {
      clearInterval(timer);
      stream.endedAt = performance.now();
    });
  }

  #begin(kind: Stream['kind'], req: IncomingMessage): Stream {
    const name = new URL(req.url ?? '/', 'http://upstream.invalid').searchParams.get('name') ?? '';
    const stream: Stream = { kind, name, sent: 0, echoed: 0, slowest: 0, endedAt: undefined };
    this.all.push(stream);
    return stream;
  }
}
