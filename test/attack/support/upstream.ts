/**
 * The application behind the gate: tells what it received, and remembers it, so that a case can show that a request
 * never arrived.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Pair } from './ask.ts';

export interface Seen {
  method: string;
  url: string;
  pairs: Pair[];
  trailers: Pair[];
  body: string;
}

export interface Upstream {
  port: number;
  seen: Seen[];
  /** requests whose target or headers contain this text */
  about(text: string): Seen[];
  close(): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const seen: Seen[] = [];
  const server = createServer({ maxHeaderSize: 256 * 1024 }, (req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('error', () => res.destroy());
    req.on('end', () => {
      const entry = remember(req, Buffer.concat(chunks).toString('latin1'));
      seen.push(entry);
      if (entry.url.startsWith('/stream')) {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' });
        const timer = setInterval(() => res.write('data: tick\n\n'), 100);
        res.on('close', () => clearInterval(timer));
        return;
      }
      if (entry.url.startsWith('/cut')) {
        res.writeHead(200, { 'Content-Length': '1000' });
        res.write('only this', () => res.destroy());
        return;
      }
      const headers: [string, string][] = [['Content-Type', 'application/json']];
      if (entry.url.includes('plant-cookies')) {
        for (const [name, value] of entry.pairs)
          if (name.toLowerCase() === 'x-plant') headers.push(['Set-Cookie', value]);
      }
      res.writeHead(200, headers.flat());
      res.end(JSON.stringify(entry));
    });
  });
  const tunnels = new Set<Duplex>();
  server.on('upgrade', (req, socket, head) => {
    seen.push(remember(req, ''));
    tunnels.add(socket);
    socket.on('close', () => tunnels.delete(socket)).on('error', () => undefined);
    // whatever comes now would be messages, or the requests of somebody who got past the gate
    socket.on('data', (chunk: Buffer) => {
      seen.push({ method: 'BYTES', url: chunk.toString('latin1'), pairs: [], trailers: [], body: '' });
    });
    socket.on('end', () => socket.end());
    socket.write(switching(req));
    if (head.length > 0) socket.emit('data', head);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    about: (text) =>
      seen.filter((s) => s.url.includes(text) || s.pairs.some(([n, v]) => n.includes(text) || v.includes(text))),
    close: () => {
      for (const socket of tunnels) socket.destroy();
      return close(server);
    },
  };
}

/** Agrees to the first protocol asked for, as RFC 6455 wants it; in a wrong way where the address asks for one. */
function switching({ headers, url = '' }: IncomingMessage): string {
  const key = url.includes('/wrong-accept') ? 'another key' : (headers['sec-websocket-key'] ?? '');
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const asked = headers.upgrade?.split(',', 1)[0]?.trim() ?? '';
  const protocol = url.includes('/other-protocol') ? 'h2c' : asked;
  const head = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`;
  return `${head}${url.includes('/no-accept') ? '' : `Sec-WebSocket-Accept: ${accept}\r\n`}\r\n`;
}

function remember(req: IncomingMessage, body: string): Seen {
  return {
    method: req.method ?? '',
    url: req.url ?? '',
    pairs: pairs(req.rawHeaders),
    trailers: pairs(req.rawTrailers),
    body,
  };
}

function pairs(raw: readonly string[]): Pair[] {
  const found: Pair[] = [];
  for (let i = 0; i < raw.length; i += 2) found.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return found;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
