import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectHttp2, constants } from 'node:http2';
import type {
  ClientHttp2Session,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { connect, createSecureContext } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { makeCertificate } from '../certificates/make.ts';
import { headers, PREFACE, reset, SETTINGS } from '../../test/harness/http2-frames.ts';
import type { Handlers } from './listener.ts';
import { createTlsListener } from './tls-listener.ts';
import type { TlsListener } from './tls-listener.ts';

const TIMEOUTS = { readHeader: 5000, read: 8000, write: 8000, idle: 8000 };
type Pair = Awaited<ReturnType<typeof makeCertificate>>;

const pair = (name: string) =>
  makeCertificate({ commonName: name, names: [{ type: 'dns', value: name }], validDays: 1, alg: 'ecdsa' });

let fallback: Pair;
let other: Pair;
before(async () => {
  [fallback, other] = await Promise.all([pair('fallback.test'), pair('other.test')]);
});

const open: TlsListener[] = [];
after(() => Promise.all(open.map((listener) => listener.drain(0))));

async function listener(request: Handlers['request'], more: Partial<typeof TIMEOUTS> = {}) {
  const otherContext = createSecureContext({ cert: other.certificate, key: other.key });
  const made = createTlsListener(
    {
      request,
      trusts: () => false,
      mayUpgrade: (req) => req.url === '/ws/',
      upgrade: (_, socket) => {
        socket.end('HTTP/1.1 101 Upgraded\r\n\r\n');
      },
    },
    { ...TIMEOUTS, ...more },
    { fallback, choose: (name) => (name === 'other.test' ? otherContext : undefined) },
  );
  made.server.listen(0, '127.0.0.1');
  await once(made.server, 'listening');
  open.push(made);
  return { ...made, port: (made.server.address() as AddressInfo).port };
}

async function raw(port: number, text: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  socket.on('error', () => undefined);
  socket.write(text);
  let all = '';
  for await (const part of socket) all += String(part);
  return all;
}

/** One HTTP/2 request. */
async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string) {
  const stream = session.request(headers, { endStream: body === undefined });
  stream.on('error', () => undefined);
  if (body !== undefined) stream.end(body);
  let answer: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  stream.on('response', (head) => (answer = head));
  let text = '';
  stream.on('data', (part) => (text += String(part)));
  await once(stream, 'close').catch(() => undefined);
  return { status: answer[':status'], headers: answer, text, code: stream.rstCode };
}

function session(port: number): ClientHttp2Session {
  const made = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  made.on('error', () => undefined);
  return made;
}

const ok = (_: IncomingMessage, res: ServerResponse) =>
  void res.writeHead(200, ['Content-Type', 'text/plain']).end('ok');
const echo = (req: IncomingMessage, res: ServerResponse) => void res.writeHead(200).end(JSON.stringify(req.rawHeaders));

describe('createTlsListener', () => {
  const cases: [string, string, RegExp][] = [
    ['a request', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 200/],
    ['HTTP/1.1 without a host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400/],
    ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 405/],
    ['an upgrade that is nobody’s', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n', /^HTTP\/1\.1 200/],
    ['an upgrade for the control plane', 'GET /ws/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', /^HTTP\/1\.1 101/],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx', /^HTTP\/1\.1 400/],
    ['a head of 100 kB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, /^(HTTP\/1\.1 431|$)/],
    ['a head of 50 kB', `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ${'x'.repeat(50_000)}\r\n\r\n`, /^HTTP\/1\.1 200/],
    ['another expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n', /^HTTP\/1\.1 417/],
  ]; // prettier-ignore
  for (const [what, text, expected] of cases) {
    it(`answers ${what} in HTTP/1.1`, async () => assert.match(await raw((await listener(ok)).port, text), expected));
  }

  it('gives up on heads and handshakes that take too long', async () => {
    const { port } = await listener(ok, { readHeader: 200 });
    assert.match(await raw(port, 'GET / HTTP/1.1\r\nHo'), /^HTTP\/1\.1 408/);
  });

  it('refuses TLS 1.1', async () => {
    const { port } = await listener(ok);
    const socket = connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
    });
    const [error] = (await once(socket, 'error').catch((e: unknown) => [e])) as [NodeJS.ErrnoException];
    assert.match(String(error.code), /SSL|TLS|ECONNRESET/);
  });

  it('shows the certificate for the name asked for, else the fallback, also after a change', async () => {
    const made = await listener(ok);
    const shown = async (servername?: string) => {
      const socket = connect({
        port: made.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(servername && { servername }),
      });
      await once(socket, 'secureConnect');
      const name = socket.getPeerCertificate().subject.CN;
      socket.destroy();
      return name;
    };
    assert.equal(await shown('other.test'), 'other.test');
    assert.equal(await shown('unknown.test'), 'fallback.test');
    assert.equal(await shown(), 'fallback.test');
    made.setFallback(await pair('later.test'));
    assert.equal(await shown('unknown.test'), 'later.test');
  });
});

describe('HTTP/2', () => {
  it('is answered, many at once on one connection, in lower-case headers without those of a connection', async () => {
    const { port } = await listener((req, res) => {
      res.shouldKeepAlive = false;
      res
        .writeHead(200, ['X-Path', req.url ?? '', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Age', '1', 'Age', '2'])
        .end();
    });
    const client = session(port);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(client, { ':path': `/${i}` })));
    client.close();
    assert.deepEqual(answers.map(({ headers }) => headers['x-path']), Array.from({ length: 20 }, (_, i) => `/${i}`)); // prettier-ignore
    assert.deepEqual(answers[0]?.headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(answers[0]?.headers.connection, undefined);
  });

  it('reads like HTTP/1.1: the authority as Host, one Cookie, no pseudo headers', async () => {
    const { port } = await listener(echo);
    const client = session(port);
    const asked = async (headers: OutgoingHttpHeaders) => JSON.parse((await ask(client, headers)).text) as string[];
    assert.deepEqual(await asked({ ':authority': 'app.test', cookie: ['a=1', 'b=2'], 'x-y': 'z' }), [
      'host', 'app.test', 'x-y', 'z', 'cookie', 'a=1; b=2',
    ]); // prettier-ignore
    assert.deepEqual(await asked({ ':authority': 'App.test', host: 'app.test' }), ['host', 'App.test']);
    assert.deepEqual(await asked({ ':authority': 'app.test', host: 'evil.test' }), ['host', 'app.test', 'host', 'evil.test']); // prettier-ignore
    client.close();
  });

  it('refuses CONNECT, and heads that are too large', async () => {
    const { port } = await listener(ok);
    const client = session(port);
    assert.equal((await ask(client, { ':method': 'CONNECT', ':authority': 'evil.test:80' })).status, 405);
    assert.equal((await ask(client, { x: 'x'.repeat(50_000) })).status, 200);
    assert.notEqual((await ask(client, { x: 'x'.repeat(100_000) })).status, 200);
    client.destroy();
  });

  it('takes no WebSocket', async () => {
    const { port } = await listener(ok);
    const client = session(port);
    await once(client, 'remoteSettings');
    assert.equal(client.remoteSettings.enableConnectProtocol ?? false, false);
    assert.equal(client.remoteSettings.maxConcurrentStreams, 100);
    client.close();
  });

  it('ends the connection of a client that asks and takes back without end', async () => {
    let asked = 0;
    const { port } = await listener((_, res) => {
      asked += 1;
      setTimeout(() => res.end(), 5000).unref();
    });
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const closed = once(socket, 'close');
    socket.on('error', () => undefined).resume();
    await once(socket, 'secureConnect');
    socket.write(Buffer.concat([PREFACE, SETTINGS]));
    const fields = [[':method', 'GET'], [':scheme', 'https'], [':path', '/'], [':authority', 'a.test']] as const; // prettier-ignore
    for (let id = 1; id < 6000 && socket.writable; id += 2) {
      socket.write(Buffer.concat([headers(id, fields), reset(id)]));
      if (id % 50 === 1) await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    assert.ok(asked > 100);
    assert.ok(asked < 1500, String(asked));
  });

  it('ends a request whose answer nobody takes', async () => {
    const { port } = await listener((_, res) => void res.writeHead(200).end(Buffer.alloc(2_000_000)), {
      read: 1500,
      write: 1500,
      idle: 1500,
    });
    const client = session(port);
    const stream = client.request({});
    stream.on('error', () => undefined);
    await once(stream, 'close'); // never read from
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
    client.destroy();
  });

  it('ends a connection without requests after the idle time', async () => {
    // longer than this process may stand still before it asks
    const { port } = await listener(ok, { read: 2500, write: 2500, idle: 2500 });
    const client = session(port);
    assert.equal((await ask(client, {})).status, 200);
    await once(client, 'close');
  });
});

describe('drain', () => {
  it('stops accepting, lets requests end, tells HTTP/2 clients, and cuts what takes longer', async () => {
    let begun = 0;
    const { drain, port } = await listener((req, res) => {
      begun += 1;
      res.writeHead(200);
      res.write('begun ');
      if (req.url === '/slow') setTimeout(() => res.end('done'), 200);
    });
    const client = session(port);
    const goaway = once(client, 'goaway');
    const slow = ask(client, { ':path': '/slow' });
    const endless = ask(client, { ':path': '/endless' });
    const oldSlow = raw(port, 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    const oldEndless = raw(port, 'GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
    while (begun < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    const drained = drain(700);
    await goaway;
    assert.match((await slow).text, /done$/);
    assert.match(await oldSlow, /done/);
    await drained;
    assert.equal((await endless).text, 'begun ');
    assert.match(await oldEndless, /begun/);
    await assert.rejects(once(connect({ port, host: '127.0.0.1', rejectUnauthorized: false }), 'secureConnect'));
  });
});
