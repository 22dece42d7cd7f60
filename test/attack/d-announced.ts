/** Rule D: the address a connection announces (PROXY protocol) counts from trusted peers only. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Case } from './support/case.ts';
import { STRANGER, type Env } from './support/env.ts';
import { endedWithin, secure } from './support/http2.ts';
import { marker, unseen, values } from './support/verify.ts';
import { speak, speakToEnd } from './support/wire.ts';

const V1 = (address: string) => `PROXY TCP4 ${address} 127.0.0.1 4711 443\r\n`;
const V2 = (address: string) =>
  `\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c${String.fromCharCode(...address.split('.').map(Number), 127, 0, 0, 1, 0x12, 0x67, 1, 0xbb)}`;

const get = (env: Env, mark: string, more = '') =>
  `GET /public/x?${mark} HTTP/1.1\r\nHost: ${env.host('one')}\r\n${more}Connection: close\r\n\r\n`;

export const cases: Case[] = [
  {
    id: 'D40',
    rule: 'D',
    title: 'a stranger does not announce that he is somebody else',
    async run(env) {
      for (const head of [V1('127.0.0.1'), V2('127.0.0.1'), V1('10.0.0.1')]) {
        const mark = marker();
        const forged = get(env, mark, `X-Forwarded-Host: ${env.host('two')}\r\nX-Forwarded-For: 203.0.113.6\r\n`);
        const received = await speak(env.port, head + forged, 1500, STRANGER);
        assert.ok(received.statuses.every((status) => status >= 400), `${received.sent}: ${received.text}`); // prettier-ignore
        unseen(env, mark);
        const raw = connect({ host: '127.0.0.1', port: env.securePort, localAddress: STRANGER });
        raw.write(Buffer.from(head, 'latin1'));
        const socket = await secure(raw, 'http/1.1');
        if (socket.writable) socket.write(forged);
        assert.ok(await endedWithin(socket, 8_000), 'TLS went on behind a forged announcement');
        socket.destroy();
        unseen(env, mark);
      }
    },
  },
  {
    id: 'D41',
    rule: 'D',
    title: 'whom a trusted proxy announces is not trusted for it',
    async run(env) {
      for (const head of [V1('203.0.113.9'), V2('203.0.113.9')]) {
        const mark = marker();
        const forged = get(env, mark, `X-Forwarded-For: 203.0.113.6\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 203.0.113.6\r\n`);
        const received = await speakToEnd(env.port, head + forged);
        assert.deepEqual(received.statuses, [200], received.text);
        const [seen] = env.upstream.about(mark);
        assert.ok(seen);
        assert.deepEqual(values(seen.pairs, 'x-forwarded-for'), ['203.0.113.9']);
        assert.deepEqual(values(seen.pairs, 'x-forwarded-proto'), ['http']);
        assert.deepEqual(values(seen.pairs, 'x-real-ip'), []);
      } // prettier-ignore
    },
  },
  {
    id: 'D42',
    rule: 'D',
    title: 'a malformed announcement is the end of the connection',
    async run(env) {
      const heads = [
        'PROXY TCP4 203.0.113.9 127.0.0.1 4711\r\n',
        'PROXY TCP4 203.0.113.9 127.0.0.1 4711 443\n',
        'PROXY TCP4 203.0.113.999 127.0.0.1 1 2\r\n',
        `PROXY TCP4 203.0.113.9 127.0.0.1 4711 443 ${'x'.repeat(100)}\r\n`,
        '\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c............',
        '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04....',
        '\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff............',
        V1('203.0.113.9') + V1('203.0.113.10'),
      ];
      for (const head of heads) {
        const mark = marker();
        const received = await speakToEnd(env.port, head + get(env, mark));
        assert.ok(received.closed && received.statuses.every((status) => status >= 400), received.sent);
        unseen(env, mark);
      }
    },
  },
];
