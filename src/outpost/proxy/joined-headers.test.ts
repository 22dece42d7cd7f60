import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import { dispatchJoined, joinHeaders } from './joined-headers.ts';
import type { JoinedHeaders } from './joined-headers.ts';

const alice = joinHeaders(['X-Authentik-Username', 'alice', 'X-Authentik-Groups', '', 'X-Team', 'bl\u00fce: 1']);

describe('joined headers', () => {
  const seen: string[][] = [];
  const server = createServer((req, res) => {
    seen.push(req.rawHeaders);
    res.end('ok');
  });
  let pool: Pool;
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  after(async () => {
    await pool.destroy();
    server.close();
  });

  /** @returns when it is over: the error, or undefined */
  const send = (joined: JoinedHeaders | undefined, headers: string[], dispatcher: Dispatcher = pool) =>
    new Promise<Error | undefined>((resolve) => {
      const nothing = () => undefined;
      const handler = {
        onRequestStart: nothing,
        onResponseStart: nothing,
        onResponseData: nothing,
        onResponseEnd: () => resolve(undefined),
        onResponseError: (_: unknown, error: Error) => resolve(error),
      };
      try {
        dispatchJoined(dispatcher, { path: '/', method: 'GET', headers }, handler, joined);
      } catch (error) {
        resolve(error as Error);
      }
    });
  const lastPairs = () => (seen.at(-1) ?? []).slice(4); // after Host and Connection

  it('arrive as headers of their own, after the others, byte for byte', async () => {
    assert.equal(await send(alice, ['Host', 'app.test', 'X-Mine', '1']), undefined);
    assert.deepEqual(lastPairs(), [
      ...['X-Mine', '1', 'X-Authentik-Username', 'alice', 'X-Authentik-Groups', '', 'X-Team', 'bl\u00fce: 1'],
    ]);
  });

  it('belong to their own request, of many that wait for connections at once', async () => {
    seen.length = 0;
    const others = Array.from({ length: 20 }, (_, i) => joinHeaders(['X-Who', String(i)]));
    const jobs = others.flatMap((who, i) => [send(who, ['X-Mine', String(i)]), send(undefined, ['X-Mine', 'nobody'])]);
    assert.deepEqual(await Promise.all(jobs), Array.from({ length: 40 }));
    const found = seen.map((raw) => raw.slice(4)).sort((a, b) => Number(a[1]) - Number(b[1]));
    const people = found.filter((pairs) => pairs[1] !== 'nobody');
    assert.deepEqual(
      people,
      others.map((_, i) => ['X-Mine', String(i), 'X-Who', String(i)]),
    );
    assert.equal(found.filter((pairs) => pairs.join() === 'X-Mine,nobody').length, 20);
  });

  it('of a request that could not be made go to no other', async () => {
    assert.match(String(await send(alice, ['X-Mine', 'a\r\nb'])), /invalid X-Mine header/);
    assert.equal(await send(undefined, ['X-Mine', '2']), undefined);
    assert.deepEqual(lastPairs(), ['X-Mine', '2']);
    const closed = new Pool('http://127.0.0.1:9');
    await closed.destroy();
    assert.match(String(await send(alice, [], closed)), /destroyed/i);
    assert.equal(await send(undefined, ['X-Mine', '3']), undefined);
    assert.deepEqual(lastPairs(), ['X-Mine', '3']);
  });

  it('are an error where the request is made only later', async () => {
    const late = pool.compose((dispatch) => (options, handler) => {
      setImmediate(() => dispatch(options, handler));
      return true;
    });
    assert.match(String(await send(alice, ['X-Mine', '4'], late)), /has not made the request/);
  });

  it('hold nothing that ends a header, and nothing about the connection', () => {
    for (const value of ['a\r\nX-Evil: 1', 'a\nb', 'a\u0000', '\u2028']) {
      assert.throws(() => joinHeaders(['X-A', 'b', 'X-Bad', value]), TypeError, JSON.stringify(value));
    }
    for (const name of [
      'X-Bad:',
      'X Bad',
      'X\r\nBad',
      '',
      'Host',
      'CONNECTION',
      'Transfer-Encoding',
      'content-length',
    ]) {
      assert.throws(() => joinHeaders(['X-A', 'b', name, '1']), TypeError, name);
    }
    assert.throws(() => joinHeaders([]), TypeError);
  });
});
