import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createListener } from './listener.ts';
import type { Listener } from './listener.ts';

const servers: Server[] = [];
after(() => servers.forEach((server) => server.close().closeAllConnections()));

let upgrades = 0;
async function listener(
  request: (req: IncomingMessage, res: ServerResponse) => void,
  readHeader = 5000,
): Promise<{ drain: Listener['drain']; port: number }> {
  const { server, drain } = createListener(
    {
      request,
      trusts: () => false,
      mayUpgrade: (req) => req.url === '/ws/',
      upgrade: (req, socket) => {
        upgrades += 1;
        socket.write('HTTP/1.1 101 Upgraded\r\n\r\n');
        if (req.headers['x-stay'] === undefined) socket.end();
      },
    },
    { readHeader, read: 8000, write: 8000, idle: 8000 },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return { drain, port: (server.address() as AddressInfo).port };
}

/** All that came before the connection ended, in whichever way. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let all = '';
  socket.on('data', (part: Buffer) => (all += String(part)));
  socket.on('error', () => undefined);
  socket.write(text);
  await new Promise((resolve) => socket.once('close', resolve));
  return all;
}

describe('createListener', () => {
  const ok = (_: IncomingMessage, res: ServerResponse) => void res.writeHead(200, { Connection: 'close' }).end('ok');
  const cases: [string, string, RegExp][] = [
    ['a request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 200/],
    ['HTTP/1.0 without a host', 'GET / HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200/],
    ['HTTP/1.1 without a host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400/],
    ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 405/],
    [
      'an upgrade that is nobody’s',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
      /^HTTP\/1\.1 200/,
    ],
    [
      'an upgrade for the control plane',
      'GET /ws/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      /^HTTP\/1\.1 101/,
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx', /^HTTP\/1\.1 400/],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 400/,
    ],
    ['no HTTP at all', '\x16\x03\x01\x02\x00', /^HTTP\/1\.1 400/],
    ['a head of 100 kB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, /^HTTP\/1\.1 431/],
    ['another expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n', /^HTTP\/1\.1 417/],
  ];
  for (const [what, text, expected] of cases) {
    it(`answers ${what}`, async () => assert.match(await raw((await listener(ok)).port, text), expected));
  }

  it('takes heads of 50 kB', async () => {
    const { port } = await listener(ok);
    assert.match(
      await raw(port, `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${'x'.repeat(50_000)}\r\n\r\n`),
      /^HTTP\/1\.1 200/,
    );
  });

  it('closes a connection whose body nobody asked for', async () => {
    const { port } = await listener((_, res) => void res.writeHead(401).end());
    const text = await raw(port, 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 401 [^]*Connection: close/i);
  });

  it('gives up on heads that take too long', async () => {
    const { port } = await listener(ok, 200);
    assert.match(await raw(port, 'GET / HTTP/1.1\r\nHo'), /^HTTP\/1\.1 408/);
  });
});

describe('drain', () => {
  it('stops accepting, lets a request end, and cuts what takes longer', async () => {
    const begun: (string | undefined)[] = [];
    const { drain, port } = await listener((req, res) => {
      begun.push(req.url);
      if (req.url === '/slow') setTimeout(() => res.end('done'), 500);
    });
    const before = upgrades;
    const slow = raw(port, 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    const stay = 'Connection: Upgrade\r\nUpgrade: websocket\r\nX-Stay: 1';
    const upgraded = raw(port, `GET /ws/ HTTP/1.1\r\nHost: a\r\n${stay}\r\n\r\n`);
    const endless = raw(port, 'GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
    while (begun.length < 2 || upgrades === before) await sleep(5);
    const drained = drain(3000);
    await sleep(20);
    await assert.rejects(once(connect(port, '127.0.0.1'), 'connect'), /ECONNREFUSED/);
    assert.match(await upgraded, /101/); // ended at once
    assert.match(await slow, /done$/);
    assert.equal(await endless, '');
    await drained;
  });
});
