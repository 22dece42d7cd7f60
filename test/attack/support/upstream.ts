/**
 * The application behind the gate: tells what it received, and remembers it, so that a case can show that a request
 * never arrived.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
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
  server.on('upgrade', (req, socket) => {
    seen.push(remember(req, ''));
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    about: (text) =>
      seen.filter((s) => s.url.includes(text) || s.pairs.some(([n, v]) => n.includes(text) || v.includes(text))),
    close: () => close(server),
  };
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
