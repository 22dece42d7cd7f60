import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage, RequestListener, RequestOptions, Server, ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { CodedError } from '../../contract/errors.ts';
import { carry } from './carry.ts';
import { NO_IDENTITY, DEFAULT_LIMITS, prepareHeaders } from './target.ts';
import type { CarryOutcome, ProxyTarget } from './target.ts';
import { Upstreams } from './upstreams.ts';

const upstreams = new Upstreams();
const open = new Set<Server | TcpServer>();

async function listen<T extends Server | TcpServer>(server: T): Promise<{ server: T; port: number }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.add(server);
  return { server, port: (server.address() as AddressInfo).port };
}

afterEach(() => {
  for (const server of open) {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  }
  open.clear();
});
after(() => upstreams.destroy());

interface Setup {
  port: number;
  upstreamPort: number;
  failures: CodedError[];
  outcomes: CarryOutcome[];
}

/** An application and a front that carries everything to it. */
async function front(
  application: RequestListener | number,
  more: Partial<ProxyTarget> = {},
  basePath = '',
): Promise<Setup> {
  const upstreamPort = typeof application === 'number' ? application : (await listen(createServer(application))).port;
  const failures: CodedError[] = [];
  const outcomes: CarryOutcome[] = [];
  const handle = (req: IncomingMessage, res: ServerResponse) =>
    carry(req, res, {
      upstream: upstreams.open(`http://127.0.0.1:${upstreamPort}${basePath}`, true),
      rawTarget: req.url!,
      host: 'app.internal',
      originalHost: 'app.example.test',
      scheme: 'https',
      peer: '192.0.2.7',
      trusted: true,
      identity: NO_IDENTITY,
      onFailure: (_, answer, error) => {
        failures.push(error);
        answer.writeHead(error.status).end(error.code);
      },
      onDone: (outcome) => outcomes.push(outcome),
      ...more,
    });
  const server = createServer({ requestTimeout: 0, optimizeEmptyRequests: true }, handle);
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    res.shouldKeepAlive = false;
    handle(req, res);
  });
  return { port: (await listen(server)).port, upstreamPort, failures, outcomes };
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  trailers: IncomingMessage['trailers'];
  raw: string[];
  body: Buffer;
}

async function ask(port: number, options: RequestOptions = {}, body?: string | Buffer): Promise<Answer> {
  const outgoing = request({ host: '127.0.0.1', port, agent: false, ...options });
  outgoing.end(body);
  const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of res) parts.push(part as Buffer);
  const { statusCode, headers, trailers, rawHeaders } = res;
  return { status: statusCode!, headers, trailers, raw: rawHeaders, body: Buffer.concat(parts) };
}

/** Sends raw text and gives everything that comes back until the connection closes. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let all = '';
  for await (const part of socket) all += String(part);
  return all;
}

describe('carry', () => {
  it('says who asks, or sends nothing at all', async () => {
    const seen: (string | undefined)[] = [];
    const identity = prepareHeaders(['X-Authentik-Username', 'alice', 'X-Team', 'blue']);
    const application: RequestListener = (req, res) => {
      seen.push(`${String(req.headers['x-authentik-username'])} ${String(req.headers['x-team'])}`);
      res.end();
    };
    const { port, upstreamPort } = await front(application, { identity });
    assert.equal((await ask(port)).status, 200);
    assert.deepEqual(seen.splice(0), ['alice blue']);

    // were the request made later, these headers would be missing (joined-headers.ts)
    const usual = upstreams.open(`http://127.0.0.1:${upstreamPort}`, true);
    const dispatched = Promise.withResolvers<void>();
    const dispatcher = usual.dispatcher.compose((dispatch) => (options, handler) => {
      setTimeout(() => {
        dispatch(options, handler);
        setTimeout(dispatched.resolve, 200);
      }, 20);
      return true;
    });
    const late = await front(application, { identity, upstream: { ...usual, dispatcher } });
    assert.equal((await ask(late.port)).status, 502);
    await dispatched.promise;
    assert.deepEqual(seen, []);
  });

  it('passes method, target byte for byte below the base path, duplicates and body', async () => {
    const { port } = await front(
      (req, res) => {
        let body = '';
        req
          .on('data', (d) => (body += d))
          .on('end', () => res.end(JSON.stringify([req.method, req.url, req.rawHeaders, body])));
      },
      {},
      '/base/',
    );
    const target = '/a%2Fb/%2e%2e/c//d/../e?x=%20&y=a+b&z=%ZZ';
    const headers = ['Host', 'app.example.test', 'X-Two', '1', 'X-Two', '2', 'Content-Type', 'text/plain'];
    const { body } = await ask(port, { method: 'PATCH', path: target, headers: headers as never }, 'hello');
    const [method, url, rawHeaders, sent] = JSON.parse(body.toString());
    assert.deepEqual([method, url, sent], ['PATCH', `/base${target}`, 'hello']);
    const values = (name: string) =>
      rawHeaders.filter((_: string, i: number) => i % 2 && rawHeaders[i - 1].toLowerCase() === name);
    assert.deepEqual(values('host'), ['app.internal']);
    assert.deepEqual(values('x-two'), ['1', '2']);
    assert.deepEqual(values('user-agent'), []);
    assert.deepEqual(values('x-forwarded-host'), ['app.example.test']);
    assert.deepEqual(values('x-forwarded-for'), ['192.0.2.7']);
  });

  it('passes status, message, duplicate headers, and says what it is powered by', async () => {
    const { port } = await front((_, res) =>
      res.writeHead(299, 'Fine So', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Powered-By', 'PHP']).end('x'),
    );
    const answer = await ask(port);
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(answer.headers['x-powered-by'], 'goauthentik.io');
    assert.equal(answer.status, 299);
  });

  it('answers HEAD, 204 and 304 without a body and keeps the length of HEAD', async () => {
    const { port } = await front((req, res) => {
      if (req.url === '/204') return res.writeHead(204).end();
      if (req.url === '/304') return res.writeHead(304, { ETag: 'x' }).end();
      return res.writeHead(200, { 'Content-Length': '5' }).end(req.method === 'HEAD' ? undefined : 'hello');
    });
    const head = await ask(port, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '5', 0]);
    assert.equal((await ask(port, { path: '/204' })).status, 204);
    assert.equal((await ask(port, { path: '/304' })).headers.etag, 'x');
  });

  for (const [coding, encode] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const) {
    it(`leaves bodies in ${coding} as they are, both ways`, async () => {
      const body = encode(Buffer.alloc(300_000, 'as small as it was'));
      let sent: [string | undefined, boolean] | undefined;
      const { port } = await front((req, res) => {
        const parts: Buffer[] = [];
        req.on('data', (part: Buffer) => parts.push(part));
        req.on('end', () => {
          sent = [req.headers['content-encoding'], Buffer.concat(parts).equals(body)];
          res.writeHead(200, { 'Content-Encoding': coding, ETag: '"e"', Vary: 'Accept-Encoding' }).end(body);
        });
      });
      const headers = { 'Content-Encoding': coding, 'Content-Length': body.length, 'Accept-Encoding': coding };
      const answer = await ask(port, { method: 'PUT', headers }, body);
      assert.deepEqual(sent, [coding, true]);
      const { 'content-encoding': kept, etag, vary } = answer.headers;
      assert.deepEqual([kept, etag, vary], [coding, '"e"', 'Accept-Encoding']);
      assert.ok(answer.body.equals(body));
    });
  }

  it('passes ranges and conditions', async () => {
    const { port } = await front((req, res) => {
      if (req.headers['if-none-match'] === '"e"') return res.writeHead(304, { ETag: '"e"', Vary: 'x' }).end();
      assert.equal(req.headers.range, 'bytes=2-3');
      return res.writeHead(206, { 'Content-Range': 'bytes 2-3/9', 'Content-Length': '2' }).end('cd');
    });
    const part = await ask(port, { headers: { Range: 'bytes=2-3', 'If-Range': '"e"' } });
    assert.deepEqual([part.status, part.headers['content-range'], String(part.body)], [206, 'bytes 2-3/9', 'cd']);
    const same = await ask(port, { headers: { 'If-None-Match': '"e"' } });
    assert.deepEqual([same.status, same.headers.etag, same.body.length], [304, '"e"', 0]);
  });

  it('passes trailers and early hints', async () => {
    const { port } = await front((_, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' });
      res.writeHead(200, { Trailer: 'X-Sum' });
      res.write('body');
      res.addTrailers({ 'X-Sum': '42' });
      res.end();
    });
    const text = await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n/);
    assert.match(text, /X-Sum: 42/);
  });

  for (const [title, fields, sent] of [
    [
      'many in one header',
      ['</a.css>; rel=preload, </b.js>; rel=preload'],
      ['</a.css>; rel=preload, </b.js>; rel=preload'],
    ],
    ['commas within a link', ['</a,b>; title="c,d",</e>'], ['</a,b>; title="c,d", </e>']],
    ['a quote within quotes', ['</a>; title="c\\",</x>",</e>'], ['</e>']],
    ['one that Node refuses', ['</a>; rel="two words", </b>; rel=preload', '</c>'], ['</b>; rel=preload', '</c>']],
    ['nothing but what Node refuses', ['nonsense', ', ,', '</a>; title="open, </b>'], []],
  ] as const) {
    it(`passes early hints, and the answer whatever they are: ${title}`, async () => {
      const { port: application } = await listen(
        createTcpServer((socket) => {
          const hints = fields.map((field) => `Link: ${field}\r\n`).join('');
          socket.on('error', () => undefined);
          socket.once('data', () =>
            socket.end(`HTTP/1.1 103 Early Hints\r\n${hints}\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`),
          );
        }),
      );
      const { port } = await front(application);
      const text = await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      assert.match(text, /HTTP\/1\.1 200 OK[^]*\r\n\r\nok$/);
      assert.deepEqual(
        [...text.matchAll(/Link: (.*)\r\n/g)].map(([, link]) => link),
        sent,
      );
    });
  }

  it('serves HTTP/1.0 with a body that ends with the connection', async () => {
    const { port } = await front((_, res) => void res.write('one ', () => res.end('two')));
    const text = await raw(port, 'GET / HTTP/1.0\r\n\r\n');
    assert.match(text, /\r\n\r\none two$/);
    assert.doesNotMatch(text, /chunked/i);
  });

  it('sends 100 Continue only when the request goes on', async () => {
    const { port } = await front((req, res) => req.resume().on('end', () => res.end('got it')));
    const outgoing = request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      headers: { Expect: '100-continue', 'Content-Length': '2' },
    });
    outgoing.flushHeaders();
    await once(outgoing, 'continue');
    outgoing.end('hi');
    const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
    assert.equal(res.statusCode, 200);
    res.resume();
  });

  it('shows the head of a stream before its first event, and each event at once', async () => {
    let send: (text: string) => void = () => {};
    const { port } = await front((_, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      send = (text) => res.write(text);
    });
    const outgoing = request({ port, host: '127.0.0.1', agent: false }).end();
    const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      send(event);
      assert.equal(String((await once(res, 'data'))[0]), event);
    }
    outgoing.destroy();
  });

  it('tells the caller when the application is not there', async () => {
    const { server, port: dead } = await listen(createTcpServer());
    server.close();
    await once(server, 'close');
    const { port, failures, outcomes } = await front(dead);
    assert.equal((await ask(port)).body.toString(), 'upstream-unreachable');
    assert.equal((await ask(port, { method: 'POST' }, 'x')).status, 502);
    assert.match(failures[0]!.detail!, /ECONNREFUSED/);
    assert.equal(outcomes[0]!.result, 'upstream-failed');
  });

  it('waits for an answer only so long: 504', async () => {
    const limits = { ...DEFAULT_LIMITS, upstreamAnswers: 100 };
    const { port } = await front(() => undefined, { limits });
    const answer = await ask(port);
    assert.deepEqual([answer.status, answer.body.toString()], [504, 'upstream-timeout']);
  });

  for (const length of ['length', 'chunked', 'close']) {
    it(`resets the client when the application breaks off mid-answer (${length})`, async () => {
      const heads: Record<string, string> = {
        length: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart',
        chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n',
        close: 'HTTP/1.1 200 OK\r\n\r\npart',
      };
      const { port: application } = await listen(
        createTcpServer((socket) => {
          socket.on('error', () => undefined);
          socket.once('data', () =>
            socket.write(heads[length]!, () =>
              setTimeout(() => (length === 'close' ? socket.resetAndDestroy() : socket.destroy()), 20),
            ),
          );
        }),
      );
      const { port, outcomes } = await front(application);
      await assert.rejects(ask(port), /aborted|ECONNRESET/);
      assert.equal(outcomes[0]!.result, 'upstream-failed');
    });
  }

  it('cancels the request upstream when the client leaves', async () => {
    let gone: Promise<unknown> = Promise.resolve();
    const { port, outcomes } = await front((_, res) => {
      gone = once(res, 'close');
      res.write('x');
    });
    const outgoing = request({ port, host: '127.0.0.1', agent: false }).end();
    outgoing.on('error', () => undefined);
    await once(outgoing, 'response');
    outgoing.destroy();
    await gone;
    assert.equal(outcomes[0]!.result, 'client-gone');
  });

  it('repeats a GET once when a kept connection turns out to be closed, and never a POST', async () => {
    let connections = 0;
    const { port: application } = await listen(
      createTcpServer((socket: Socket) => {
        connections += 1;
        let requests = 0;
        socket.on('error', () => undefined);
        socket.on('data', (data) => {
          requests += 1;
          // the second request on a connection meets a server that has just gone away
          if (requests === 2) return socket.destroy();
          if (String(data).includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        });
      }),
    );
    const { port, failures } = await front(application);
    for (let i = 0; i < 3; i++) assert.equal((await ask(port)).body.toString(), 'ok');
    assert.equal(connections, 3);
    assert.equal((await ask(port, { method: 'POST' }, '')).status, 502);
    assert.equal(failures.length, 1);
  });

  it('passes an answer that comes before the whole upload, and ends the connection', async () => {
    const { port } = await front((_, res) => res.writeHead(413).end('too big'));
    const outgoing = request({ port, host: '127.0.0.1', agent: false, method: 'POST' });
    outgoing.on('error', () => undefined);
    outgoing.write(Buffer.alloc(64 * 1024));
    const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
    assert.equal(res.statusCode, 413);
    res.resume();
    await once(outgoing, 'close');
  });

  it('cuts a client that stops sending, not one that waits', async () => {
    const limits = { ...DEFAULT_LIMITS, clientSends: 700 };
    const { port } = await front((req, res) => req.resume().on('end', () => setTimeout(() => res.end('slow'), 1500)), {
      limits,
    });
    const stalled = raw(port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
    const waiting = ask(port, { method: 'POST' }, 'abc');
    assert.equal(await stalled.catch(() => ''), '');
    assert.equal((await waiting).body.toString(), 'slow');
  });

  const SIZE = 200 * 1024 * 1024;
  const CHUNK = Buffer.alloc(64 * 1024, 'x');

  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;

  /** Watches what buffers hold while `work` runs; the three parties share this process, so the bound is generous. */
  async function peak(work: () => Promise<void>): Promise<number> {
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const timer = setInterval(() => {
      // what is left is held, not merely not yet freed: buffers are freed beside the program, until the next collection
      collect();
      collect();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 60);
    await work();
    clearInterval(timer);
    return most;
  }

  function produce(out: NodeJS.WritableStream, size: number, sent: (bytes: number) => void): void {
    let left = size;
    const more = () => {
      while (left > 0) {
        left -= CHUNK.length;
        sent(size - left);
        if (!out.write(CHUNK)) return void out.once('drain', more);
      }
      out.end();
    };
    more();
  }

  it('carries 200 MB down without holding it, however slowly the client reads', async () => {
    let produced = 0;
    const { port } = await front((_, res) => produce(res, SIZE, (n) => (produced = n)));
    const most = await peak(async () => {
      const outgoing = request({ port, host: '127.0.0.1', agent: false }).end();
      const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
      await sleep(200); // nobody reads: the application must be held up
      assert.ok(produced < 32 * 1024 * 1024, `${produced} bytes were taken from the application`);
      let got = 0;
      for await (const part of res) got += (part as Buffer).length;
      assert.equal(got, SIZE);
    });
    assert.ok(most < 64 * 1024 * 1024, `${most} bytes held`);
  });

  it('carries 200 MB up without holding it, however slowly the application reads', async () => {
    let sent = 0;
    const { port } = await front((req, res) => {
      let got = 0;
      setTimeout(() => req.on('data', (d: Buffer) => (got += d.length)).on('end', () => res.end(String(got))), 200);
    });
    const most = await peak(async () => {
      const outgoing = request({ port, host: '127.0.0.1', agent: false, method: 'PUT' });
      produce(outgoing, SIZE, (n) => (sent = n));
      await sleep(150);
      assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken from the client`);
      const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
      assert.equal(String((await once(res, 'data'))[0]), String(SIZE));
    });
    assert.ok(most < 64 * 1024 * 1024, `${most} bytes held`);
  });
});

describe('Upstreams', () => {
  it('keeps what is in use and closes the rest', () => {
    const set = new Upstreams();
    const a = set.open('http://a.test:80/x/', true);
    assert.deepEqual([a.origin, a.authority, a.basePath], ['http://a.test', 'a.test', '/x']);
    const b = set.open('http://b.test', true);
    assert.notEqual(set.open('http://b.test', false), b);
    set.keepOnly(new Set([b]));
    assert.equal(set.open('http://b.test', true), b);
    assert.notEqual(set.open('http://a.test/x', true), a);
  });

  for (const address of ['', 'backend:8080', 'ftp://a', 'http://', '/x']) {
    it(`refuses ${JSON.stringify(address)}`, () => {
      assert.throws(() => new Upstreams().open(address, true), { code: 'upstream-address' });
    });
  }
});
