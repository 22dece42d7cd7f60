import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { makeCertificate } from '../certificates/make.ts';
import { createListener } from './listener.ts';
import type { Handlers, Listener } from './listener.ts';
import { createTlsListener } from './tls-listener.ts';

const TIMEOUTS = { readHeader: 30_000, read: 8000, write: 8000, idle: 8000 };
const V1 = 'PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n';
const V2 = Buffer.concat([
  Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
  Buffer.from([0x21, 0x11, 0, 15, 203, 0, 113, 10, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb, 4, 0, 0]),
]);
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

const open: Listener[] = [];
after(() => Promise.all(open.map((listener) => listener.drain(0))));
let pair: Awaited<ReturnType<typeof makeCertificate>>;
before(async () => {
  pair = await makeCertificate({ commonName: 'a', names: [], validDays: 1, alg: 'ecdsa' });
});

/** Answers the address a request came from, and how much came with it. */
const handlers = (trusted: boolean): Handlers => ({
  trusts: (address) => trusted && address === '127.0.0.1',
  request: (req: IncomingMessage, res: ServerResponse) => {
    const from = `${req.socket.remoteAddress} ${req.socket.remotePort}`;
    let bytes = 0;
    const answer = () => void res.end(`${from} ${bytes};`);
    // the end of a body that is not there is told to nobody
    if (req.readableEnded) answer();
    else req.on('data', (part: Buffer) => (bytes += part.length)).on('end', answer);
  },
  mayUpgrade: () => false,
  upgrade: (_, socket) => socket.destroy(),
});

async function listening(listener: Listener): Promise<number> {
  listener.server.listen(0, '127.0.0.1');
  await once(listener.server, 'listening');
  open.push(listener);
  return (listener.server.address() as AddressInfo).port;
}

const http = (trusted = true) => listening(createListener(handlers(trusted), TIMEOUTS));
const https = (trusted = true) =>
  listening(createTlsListener(handlers(trusted), TIMEOUTS, { fallback: pair, choose: () => undefined }));

async function text(socket: Socket): Promise<string> {
  socket.on('error', () => undefined);
  let all = '';
  for await (const part of socket) all += String(part);
  return all;
}

/** Sends the parts one after the other, with a moment between them. */
async function speak(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1').setNoDelay();
  const answer = text(socket);
  for (const part of parts) {
    socket.write(part);
    if (parts.length > 1) await sleep(15);
  }
  return answer;
}

describe('an announced peer over HTTP', () => {
  it('counts as the source of the connection, for all its requests', async () => {
    const port = await http();
    assert.match(await speak(port, V1 + GET), /203\.0\.113\.9 4711 0;$/);
    assert.match(await speak(port, Buffer.concat([V2, Buffer.from(GET)])), /203\.0\.113\.10 4711 0;$/);
    const two = await speak(port, `${V1}GET / HTTP/1.1\r\nHost: a\r\n\r\n`, GET);
    assert.equal(two.match(/203\.0\.113\.9 4711 0;/g)?.length, 2);
  });

  it('may come in pieces, with a body behind it', async () => {
    const port = await http();
    const post = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n`;
    assert.match(await speak(port, V1 + post + 'x'.repeat(300_000)), /203\.0\.113\.9 4711 300000;$/);
    assert.match(await speak(port, 'P', 'ROXY TCP4 203.0.1', '13.9 10.0.0.1 4711 443\r', '\n', GET), /203\.0\.113\.9 /);
    assert.match(await speak(port, V2.subarray(0, 3), V2.subarray(3, 20), V2.subarray(20), GET), /203\.0\.113\.10 /);
  });

  it('is the peer itself where it announces nobody, or nothing', async () => {
    const port = await http();
    for (const head of ['', 'PROXY UNKNOWN\r\n']) assert.match(await speak(port, head + GET), /127\.0\.0\.1 \d+ 0;$/);
    const local = Buffer.concat([V2.subarray(0, 12), Buffer.from([0x20, 0, 0, 0]), Buffer.from(GET)]);
    assert.match(await speak(port, local), /127\.0\.0\.1 \d+ 0;$/);
    const post = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n`;
    assert.match(await speak(port, post + 'x'.repeat(300_000)), /127\.0\.0\.1 \d+ 300000;$/);
  });

  it('is cut off when its head is malformed, comes twice, or does not come in time', async () => {
    const port = await http();
    for (const head of ['PROXY TCP4 a b c d\r\n', `PROXY ${'x'.repeat(200)}`]) assert.equal(await speak(port, head + GET), ''); // prettier-ignore
    assert.match(await speak(port, V1 + V1 + GET), /^HTTP\/1\.1 400/);
    const hasty = await listening(createListener(handlers(true), { ...TIMEOUTS, readHeader: 500 }));
    const started = performance.now();
    assert.equal(await speak(hasty, 'PROXY TCP4 203.'), '');
    assert.equal(await speak(hasty), '');
    assert.ok(performance.now() - started < TIMEOUTS.readHeader);
  });

  it('is not believed when it is not trusted', async () => {
    const port = await http(false);
    assert.match(await speak(port, V1 + GET), /^HTTP\/1\.1 400/);
    assert.match(await speak(port, Buffer.concat([V2, Buffer.from(GET)])), /^HTTP\/1\.1 400/);
    assert.match(await speak(port, GET), /127\.0\.0\.1 \d+ 0;$/);
  });
});

describe('an announced peer over HTTPS', () => {
  /** A TLS connection on one that begins with `head`. */
  const secure = async (port: number, head: string | Buffer, protocol: 'h2' | 'http/1.1') => {
    const raw = connect(port, '127.0.0.1');
    await once(raw, 'connect');
    if (head.length > 0) raw.write(head);
    const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: [protocol] });
    socket.on('error', () => undefined);
    return socket;
  };

  it('counts as the source, in HTTP/1.1 and in HTTP/2', async () => {
    const port = await https();
    for (const [head, source] of [[V1, /203\.0\.113\.9 4711 0;/], [V2, /203\.0\.113\.10 4711 0;/], ['', /127\.0\.0\.1 /]] as const) {
      const one = await secure(port, head, 'http/1.1');
      one.write(GET);
      assert.match(await text(one), source);

      const two = await secure(port, head, 'h2');
      const session = connectHttp2('https://a.test', { createConnection: () => two });
      const stream = session.request({});
      let body = '';
      for await (const part of stream) body += String(part);
      assert.match(body, source);
      session.destroy();
    } // prettier-ignore
  });

  it('is forgotten with its connection', async () => {
    const port = await https();
    for (let i = 0; i < 20; i++) {
      const socket = await secure(port, i % 2 === 0 ? V1 : '', 'http/1.1');
      socket.write(GET);
      assert.match(await text(socket), i % 2 === 0 ? /203\.0\.113\.9/ : /127\.0\.0\.1/);
    }
  });

  it('is not believed when it is not trusted', async () => {
    const socket = await secure(await https(false), V1, 'http/1.1');
    socket.write(GET);
    assert.equal(await text(socket), '');
  });
});

describe('draining', () => {
  it('does not wait for connections that say nothing', async () => {
    const listener = createListener(handlers(true), { ...TIMEOUTS, readHeader: 90_000 });
    const port = await listening(listener);
    const silent = text(connect(port, '127.0.0.1'));
    await sleep(50);
    const started = performance.now();
    await listener.drain(30_000);
    await silent;
    assert.ok(performance.now() - started < 30_000);
  });
});
