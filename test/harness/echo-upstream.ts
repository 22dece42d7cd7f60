import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Received } from './upstream.ts';

/**
 * An application that tells what reached it, over HTTP as JSON and over a WebSocket as its first message; then it
 * echoes. `/events` is an event stream of one event, which stays open.
 */
export class EchoUpstream {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  /** every request and handshake, newest last */
  readonly received: Pick<Received, 'method' | 'url' | 'rawHeaders'>[] = [];

  private constructor() {
    this.#server = createServer((req, res) => {
      let bodyBytes = 0;
      req.on('data', (chunk: Buffer) => (bodyBytes += chunk.length));
      req.once('end', () => {
        if (req.url === '/events') {
          this.#note(req);
          res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n');
          return;
        }
        res.writeHead(200, { 'content-type': 'application/json' });
        res.end(JSON.stringify({ ...this.#note(req), bodyBytes }));
      });
    });
    this.#sockets = new WebSocketServer({ server: this.#server });
    this.#sockets.on('connection', (socket, req) => {
      socket.send(JSON.stringify(this.#note(req)));
      socket.on('message', (data, binary) => socket.send(data, { binary }));
    });
  }

  static async start(): Promise<EchoUpstream> {
    const upstream = new EchoUpstream();
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #note({ method = '', url = '', rawHeaders }: IncomingMessage) {
    const seen = { method, url, rawHeaders };
    this.received.push(seen);
    return seen;
  }
}
