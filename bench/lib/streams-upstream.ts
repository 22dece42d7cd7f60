/**
 * The application of bench/streams.ts: sends back what comes after an upgrade, `GET /download?bytes=N` sends N bytes,
 * `PUT` takes what comes. As little as Node can do. argv: port.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const CHUNK = Buffer.alloc(64 * 1024, 'gatehouse ');

createServer({ requestTimeout: 0 }, (req, res) => {
  if (req.method === 'PUT') return void req.on('data', () => undefined).on('end', () => res.end('taken'));
  let left = Number(new URL(req.url ?? '/', 'http://upstream.invalid').searchParams.get('bytes') ?? 0);
  res.writeHead(200, { 'Content-Length': left, 'Content-Type': 'application/octet-stream' });
  const more = (): void => {
    while (left > 0) {
      const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      left -= part.length;
      if (!res.write(part)) return void res.once('drain', more);
    }
    res.end();
  };
  more();
})
  .on('upgrade', (req, socket) => {
    const accept = createHash('sha1')
      .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => undefined);
    socket.pipe(socket);
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
