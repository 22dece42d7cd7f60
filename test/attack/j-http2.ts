/** Rules A and J over HTTP/2 on the HTTPS listener. */
import assert from 'node:assert/strict';
import { frame, headers as headersFrame, reset } from '../harness/http2-frames.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { askHttp2, endedWithin, openFrames } from './support/http2.ts';
import { marker, unseen, values } from './support/verify.ts';

const cookieOf = (env: Env) => env.eve.cookieHeader(env.host('one'));
const fieldsFor = (env: Env, path: string) =>
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', path],
    [':authority', env.host('one')],
  ] as const;

export const cases: Case[] = [
  {
    id: 'A40',
    rule: 'A',
    title: 'over HTTP/2 too, nobody sends identity headers, and no pseudo header becomes one',
    async run(env) {
      for (const path of ['/private', '/public/x']) {
        const mark = marker();
        const answer = await askHttp2(env.securePort, {
          ':authority': env.host('one'),
          ':path': `${path}?${mark}`,
          cookie: cookieOf(env),
          'x-authentik-username': 'forged-admin',
          x_authentik_groups: 'forged-admin',
          'x.authentik.uid': 'forged-admin',
          'x-forwarded-uri': '/forged-admin',
        });
        assert.equal(answer.status, 200, answer.text);
        const [seen] = env.upstream.about(mark);
        assert.ok(seen);
        assert.ok(!JSON.stringify(seen.pairs).includes('forged-admin'), JSON.stringify(seen.pairs));
        assert.ok(
          seen.pairs.every(([name]) => !name.startsWith(':')),
          JSON.stringify(seen.pairs),
        );
        assert.equal(values(seen.pairs, 'host').length, 1);
      }
    },
  },
  {
    id: 'J40',
    rule: 'J',
    title: 'an HTTP/2 request names one host: Host and :authority that differ are refused',
    async run(env) {
      for (const [authority, host] of [
        [env.host('one'), env.host('two')],
        [env.host('two'), env.host('one')],
        [env.host('one'), 'evil.test'],
      ] as const) {
        const mark = marker();
        const answer = await askHttp2(env.securePort, {
          ':authority': authority,
          ':path': `/public/x?${mark}`,
          host,
          cookie: cookieOf(env),
        });
        assert.ok(answer.status === 0 || answer.status >= 400, `${authority} and ${host}: ${answer.status}`);
        unseen(env, mark);
      }
    },
  },
  {
    id: 'J41',
    rule: 'J',
    title: 'a client that asks over HTTP/2 and takes back without end loses its connection',
    async run(env) {
      const mark = marker();
      const socket = await openFrames(env.securePort);
      const fields = fieldsFor(env, `/public/x?${mark}`);
      for (let id = 1; id < 8000 && socket.writable; id += 2) {
        socket.write(Buffer.concat([headersFrame(id, fields), reset(id)]));
        if (id % 100 === 1) await new Promise((resolve) => setImmediate(resolve));
      }
      const ended = await endedWithin(socket, 8_000);
      socket.destroy();
      assert.ok(ended, '4,000 requests taken back, and the connection lives');
      const other = await askHttp2(env.securePort, { ':authority': env.host('one'), ':path': '/public/x' });
      assert.equal(other.status, 200, 'others are served meanwhile');
    },
  },
  {
    id: 'J42',
    rule: 'J',
    title: 'heads too large, in pieces, compressed or malformed do not pass over HTTP/2',
    async run(env) {
      const attempts: ((mark: string) => Buffer[])[] = [
        // 300 kB in CONTINUATION frames that never say they are the last
        (mark) => [
          frame(1, 1, 1, headersFrame(1, fieldsFor(env, `/public/x?${mark}`)).subarray(9)),
          ...Array.from({ length: 20 }, () => frame(9, 0, 1, Buffer.alloc(15_000))),
        ],
        // one large field put into the compression table, then named 2,000 times
        (mark) => {
          const value = Buffer.alloc(3900, 'x');
          const literal = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from('x'), Buffer.from([0x7f, 0xbd, 0x1d]), value]);
          const block = Buffer.concat([
            headersFrame(1, fieldsFor(env, `/public/x?${mark}`)).subarray(9),
            literal,
            Buffer.alloc(2000, 0xbe),
          ]);
          return [frame(1, 5, 1, block)];
        },
        ...[
          ['connection', 'close'],
          ['transfer-encoding', 'chunked'],
          ['upgrade', 'h2c'],
          ['X-Upper', 'case'],
          ['content-length', '5'],
          [':path', '/private'],
          [':authority', env.host('two')],
          [':evil', 'x'],
        ].map(([name = '', value = '']) => (mark: string) => [
          headersFrame(1, [...fieldsFor(env, `/public/x?${mark}`), [name, value]]),
        ]),
        (mark) => [headersFrame(1, [['x', 'y'], ...fieldsFor(env, `/public/x?${mark}`)])],
        (mark) => [headersFrame(1, fieldsFor(env, `http://evil.test/public/x?${mark}`))],
        (mark) => [headersFrame(1, [[':scheme', 'foo'], ...fieldsFor(env, `http://evil.test/${mark}`).filter(([n]) => n !== ':scheme')])],
      ]; // prettier-ignore
      for (const [index, attempt] of attempts.entries()) {
        const mark = marker();
        const socket = await openFrames(env.securePort);
        for (const bytes of attempt(mark)) if (socket.writable) socket.write(bytes);
        await endedWithin(socket, 150);
        socket.destroy();
        assert.equal(env.upstream.about(mark).length, 0, `attempt ${index} reached the application`);
      }
      // a field that is none is left out, which changes nothing else
      for (const [name, value] of [
        ['x', 'a\r\nx-authentik-username: forged'],
        ['x\r\nx-authentik-username', 'forged'],
      ] as const) {
        const mark = marker();
        const socket = await openFrames(env.securePort);
        socket.write(headersFrame(1, [...fieldsFor(env, `/public/x?${mark}`), [name, value]]));
        await endedWithin(socket, 300);
        socket.destroy();
        assert.ok(!JSON.stringify(env.upstream.about(mark)).includes('forged'));
      }
    },
  },
  {
    id: 'J43',
    rule: 'J',
    title: 'HTTP/2 offers no WebSocket and no tunnel',
    async run(env) {
      const { securePort } = env;
      const tunnel = await askHttp2(securePort, {
        ':method': 'CONNECT',
        ':authority': `127.0.0.1:${env.upstream.port}`,
      });
      assert.ok(tunnel.status === 0 || tunnel.status >= 400, String(tunnel.status));
      const mark = marker();
      const socket = await openFrames(securePort);
      socket.write(
        headersFrame(1, [
          [':method', 'CONNECT'],
          [':protocol', 'websocket'],
          [':scheme', 'https'],
          [':path', `/private?${mark}`],
          [':authority', env.host('one')],
        ]),
      );
      await endedWithin(socket, 300);
      socket.destroy();
      unseen(env, mark);
    },
  },
];
