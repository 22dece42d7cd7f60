import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, constants, createServer as createHttp2Server } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Pool } from 'undici';
import { frame, headers, PREFACE, reset, SETTINGS } from '../../../test/harness/http2-frames.ts';
import { likeHttp1 } from '../listen/http2.ts';
import { Carrier } from './carry.ts';
import { isHopByHop } from './hop-by-hop.ts';

/** What the application does, by path. */
const APPLICATION: Readonly<Record<string, (req: IncomingMessage, res: ServerResponse) => void>> = {
  '/hints': (_, res) => {
    res.writeEarlyHints({ link: '</a.css>; rel=preload' });
    res.end('hinted');
  },
  '/trailers': (_, res) => {
    res.writeHead(200, { trailer: 'x-sum' });
    res.write('body');
    res.addTrailers({ 'x-sum': '42', 'x-authentik-username': 'forged' });
    res.end();
  },
  '/odd': (_, res) => {
    res.writeHead(418, 'Odd', ['Age', '1', 'Age', '2', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Keep-Alive', 'x']);
    res.end();
  },
  '/early': (_, res) => void res.writeHead(413).end('too large'),
  '/echo': (req, res) => void req.pipe(res),
  '/cut': (_, res) => {
    res.writeHead(200, { 'content-length': '1000' });
    res.write('half', () => res.destroy());
  },
};

const withoutHopByHop = (raw: readonly string[]) =>
  raw.filter((_, i) => !isHopByHop(raw[i - (i % 2)]!.toLowerCase(), new Set()));

describe('an answer over HTTP/2', () => {
  const application = createServer((req, res) => APPLICATION[req.url ?? '']?.(req, res));
  const front = createHttp2Server({ strictSingleValueFields: false });
  let pool: Pool;
  let port: number;
  before(async () => {
    application.listen(0, '127.0.0.1');
    front.listen(0, '127.0.0.1');
    await Promise.all([once(application, 'listening'), once(front, 'listening')]);
    pool = new Pool(`http://127.0.0.1:${(application.address() as AddressInfo).port}`);
    port = (front.address() as AddressInfo).port;
    const carried = (req: Parameters<typeof likeHttp1>[0], res: unknown) => {
      const fail = () => (res as ServerResponse).writeHead(502).end();
      new Carrier(likeHttp1(req), res as ServerResponse, {}, fail).start({
        dispatcher: pool,
        path: req.url,
        requestHeaders: ['Host', 'application.test'],
        responseHeaders: withoutHopByHop,
      });
    };
    front.on('request', carried).on('checkContinue', carried);
  });
  after(async () => {
    for (const made of sessions) made.destroy();
    front.close();
    application.close().closeAllConnections();
    await pool.destroy();
  });

  const sessions: ClientHttp2Session[] = [];
  const session = () => {
    const made = connect(`http://127.0.0.1:${port}`);
    sessions.push(made);
    return made;
  };
  const read = async (stream: ClientHttp2Stream) => {
    stream.on('error', () => undefined);
    let head: IncomingHttpHeaders & { [name: string]: unknown } = {};
    let hints: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on('headers', (fields) => (hints = fields)).on('response', (fields) => (head = fields));
    stream.on('trailers', (fields) => (trailers = fields));
    let text = '';
    stream.on('data', (part) => (text += String(part)));
    await once(stream, 'close').catch(() => undefined);
    return { status: head[':status'], head, hints, trailers, text, code: stream.rstCode };
  };
  const ask = async (headers: OutgoingHttpHeaders) => {
    const client = session();
    const answer = await read(client.request(headers));
    client.close();
    return answer;
  };

  it('has the early hints of the application before it', async () => {
    const { hints, text } = await ask({ ':path': '/hints' });
    assert.equal(hints.link, '</a.css>; rel=preload');
    assert.equal(text, 'hinted');
  });

  it('ends with its trailers, without those that are ours', async () => {
    const { text, trailers } = await ask({ ':path': '/trailers' });
    assert.equal(text, 'body');
    assert.deepEqual(Object.entries(trailers), [['x-sum', '42']]);
  });

  it('may say things twice, and says nothing about connections', async () => {
    const { status, head } = await ask({ ':path': '/odd' });
    assert.equal(status, 418);
    assert.deepEqual(head['set-cookie'], ['a=1', 'b=2']);
    assert.equal(head['keep-alive'], undefined);
  });

  it('is whole or broken off', async () => {
    const { status, code } = await ask({ ':path': '/cut' });
    assert.deepEqual([status, code], [200, constants.NGHTTP2_INTERNAL_ERROR]);
  });

  it('carries a body without a length, and one that waits to be asked for', async () => {
    const client = session();
    const plain = client.request({ ':path': '/echo', ':method': 'POST' });
    plain.write('one ');
    plain.end('two');
    assert.equal((await read(plain)).text, 'one two');
    const asking = client.request({ ':path': '/echo', ':method': 'POST', expect: '100-continue' });
    asking.once('continue', () => asking.end('asked for'));
    assert.equal((await read(asking)).text, 'asked for');
    client.close();
  });

  it('never lets half a body look like a whole one', async () => {
    const fields = [[':method', 'POST'], [':scheme', 'http'], [':path', '/keep'], [':authority', 'a.test']] as const; // prettier-ignore
    for (let i = 0; i < 5; i++) {
      const socket = connectTcp(port, '127.0.0.1').on('error', () => undefined);
      const head = headers(1, fields);
      head[4] = 4; // END_HEADERS only: a body follows
      socket.write(Buffer.concat([PREFACE, SETTINGS, head, frame(0, 0, 1, Buffer.alloc(10_000))]));
      const [arrived] = (await once(application, 'request')) as [IncomingMessage];
      const over = once(arrived, 'close').catch(() => undefined);
      arrived.on('error', () => undefined).resume();
      await once(arrived, 'data');
      socket.write(reset(1));
      await over;
      assert.equal(arrived.complete, false);
      socket.destroy();
    }
  });

  it('tells the client to stop sending what nobody reads, and keeps the connection', async () => {
    const client = session();
    const upload = client.request({ ':path': '/early', ':method': 'POST' });
    upload.write(Buffer.alloc(1_000_000));
    const [head] = (await once(upload, 'response')) as [IncomingHttpHeaders];
    let text = '';
    upload.on('data', (part) => (text += String(part)));
    await once(upload, 'aborted'); // what Node calls a body it was told not to send
    assert.deepEqual([head[':status'], text, upload.rstCode], [413, 'too large', constants.NGHTTP2_NO_ERROR]);
    upload.destroy();
    assert.equal((await read(client.request({ ':path': '/hints' }))).text, 'hinted');
    client.close();
  });
});
