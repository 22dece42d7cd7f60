import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { writeTogether } from './write-together.ts';

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

describe('writeTogether', () => {
  it('answers everybody with their own headers', async () => {
    const origin = await serve((req, res) => writeTogether(res, 200, ['X-Path', req.url ?? '', 'Content-Length', '0']));
    const paths = Array.from({ length: 20 }, (_, i) => `/${i}`);
    const answers = await Promise.all(paths.map((path) => fetch(origin + path)));
    assert.deepEqual(
      answers.map((answer) => [answer.status, answer.headers.get('x-path')]),
      paths.map((path) => [200, path]),
    );
  });

  it('breaks off an answer that cannot be written, and writes the others', async () => {
    const origin = await serve((req, res) => {
      const value = req.url === '/bad' ? 'two\r\nlines' : 'fine';
      writeTogether(res, 200, ['X-Value', value, 'Content-Length', '0']);
    });
    const [bad, good] = await Promise.allSettled([fetch(`${origin}/bad`), fetch(`${origin}/good`)]);
    assert.equal(bad.status, 'rejected');
    assert.equal(good.status === 'fulfilled' && good.value.headers.get('x-value'), 'fine');
  });

  it('never turns an error answer into a good one', async () => {
    const origin = await serve((_, res) => {
      writeTogether(res, 200, ['Content-Length', '0']);
      res.writeHead(500, { 'Content-Length': '0' }).end();
    });
    assert.equal(
      await fetch(origin).then(
        ({ status }) => status,
        () => 'broken off',
      ),
      500,
    );
  });
});
