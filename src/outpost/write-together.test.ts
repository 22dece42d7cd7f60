import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { checkHeaders, permitTogether } from './write-together.ts';

const open = new Set<ReturnType<typeof createServer>>();
afterEach(() => {
  for (const server of open) server.close().closeAllConnections();
  open.clear();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  open.add(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answer = (res: ServerResponse, value: string) =>
  permitTogether(res, [checkHeaders(['X-Value', value]), checkHeaders(['X-Empty', ''])], ['Content-Length', '0']);

describe('permitTogether', () => {
  it('answers everybody with their own headers, and as Node frames answers', async () => {
    const origin = await serve((req, res) => answer(res, req.url ?? ''));
    const paths = Array.from({ length: 20 }, (_, i) => `/${i}`);
    const answers = await Promise.all(paths.map((path) => fetch(origin + path)));
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers.get('x-value'), headers.get('connection')]),
      paths.map((path) => [200, path, 'keep-alive']),
    );
    assert.ok(answers.every(({ headers }) => headers.has('date') && headers.get('content-length') === '0'));
  });

  it('closes where the client asks for it', async () => {
    const origin = await serve((_, res) => answer(res, 'x'));
    for (const head of ['GET / HTTP/1.0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n']) {
      const socket = connect(Number(new URL(origin).port), '127.0.0.1', () => socket.write(head));
      let text = '';
      for await (const part of socket) text += String(part);
      assert.match(text, /^HTTP\/1\.1 200 OK\r\nX-Value: x\r\nX-Empty: \r\n[^]*Connection: close\r\n\r\n$/);
    }
  });

  it('writes the same over HTTP/2', async () => {
    const server = createHttp2Server((_, res) => answer(res as unknown as ServerResponse, 'two'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [headers] = (await once(session.request({ ':path': '/' }), 'response')) as [Record<string, unknown>];
    const got = [':status', 'x-value', 'x-empty', 'content-length'].map((name) => headers[name]);
    assert.deepEqual(got, [200, 'two', '', '0']);
    session.destroy();
    server.close();
  });

  it('takes no header that would not be one', () => {
    for (const [name, value] of [
      ['X-Value', 'two\r\nlines'],
      ['X Value', 'x'],
    ] as const) {
      assert.throws(() => checkHeaders([name, value]), TypeError);
    }
  });

  it('breaks off an answer that cannot be written, and writes the others', async () => {
    const origin = await serve((req, res) =>
      permitTogether(res, [checkHeaders([])], ['User-Agent', req.url === '/bad' ? 'two\r\nlines' : 'fine']),
    );
    const [bad, good] = await Promise.allSettled([fetch(`${origin}/bad`), fetch(`${origin}/good`)]);
    assert.equal(bad.status, 'rejected');
    assert.equal(good.status === 'fulfilled' && good.value.headers.get('user-agent'), 'fine');
  });

  it('never turns an error answer into a good one', async () => {
    const origin = await serve((_, res) => {
      answer(res, 'x');
      res.writeHead(500, { 'Content-Length': '0' }).end();
    });
    const status = await fetch(origin).then(
      (got) => got.status,
      () => 'broken off',
    );
    assert.equal(status, 500);
  });
});
