/** Load of WebSocket messages: connections that always have some messages under way. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Target } from './load.ts';

const CONNECTIONS = 32;
/** messages a connection has under way */
const WINDOW = 4;
/** A text frame of 64 bytes as a client sends it (RFC 6455 5.2), its mask zero: written once, not made each time. */
const FRAME = Buffer.concat([Buffer.from([0x81, 0x80 | 64, 0, 0, 0, 0]), Buffer.alloc(64, 'm')]);

/** @returns messages a second that came back */
export async function messages({ url, headers }: Target, seconds: number): Promise<number> {
  let bytes = 0;
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(new URL(url), headers)));
  let failed: Error | undefined;
  for (const socket of sockets) {
    let returned = 0;
    socket.on('error', (error) => (failed = error));
    socket.on('data', (part: Buffer) => {
      bytes += part.length;
      returned += part.length;
      const whole = Math.floor(returned / FRAME.length);
      returned -= whole * FRAME.length;
      if (whole > 0) socket.write(whole === 1 ? FRAME : Buffer.concat(Array.from({ length: whole }, () => FRAME)));
    });
    for (let i = 0; i < WINDOW; i++) socket.write(FRAME);
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = bytes;
  const started = performance.now();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const took = (performance.now() - started) / 1000;
  const rate = (bytes - before) / FRAME.length / took;
  for (const socket of sockets) socket.destroy();
  if (failed !== undefined) throw failed;
  return rate;
}

async function open(url: URL, headers: Target['headers']): Promise<Socket> {
  const socket = connect(Number(url.port), url.hostname).setNoDelay(true);
  const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  socket.write(`GET ${url.pathname} HTTP/1.1\r\n${own.join('')}${upgrade}${key}\r\n`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(`no WebSocket: ${head.toString('latin1')}`);
  return socket;
}
