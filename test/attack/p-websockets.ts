/** Rules A, I and J for connections that leave HTTP. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Person } from '../harness/provision.ts';
import { ask, story, type Answer, type Pair } from './support/ask.ts';
import type { Browser } from './support/browser.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { FORWARD } from './support/modes.ts';
import { marker, refused, unseen, values, within, without } from './support/verify.ts';
import { speak } from './support/wire.ts';

const SOON = 1500;
const FORGED = 'forged-by-a-client';
const HANDSHAKE: readonly Pair[] = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
];
const lines = (pairs: readonly Pair[]) => pairs.map(([name, value]) => `${name}: ${value}\r\n`).join('');

function open(env: Env, path: string, headers: readonly Pair[], who?: Browser): Promise<Answer> {
  const host = env.host('one');
  const cookie = who === undefined ? [] : [['Cookie', who.cookieHeader(host)] as const];
  return ask({ port: env.port, host, path, headers: [...HANDSHAKE, ...cookie, ...headers] });
}

export const cases: Case[] = [
  {
    id: 'J20',
    rule: 'J',
    title: 'a page of another origin opens no WebSocket with the cookies of its visitor',
    async run(env) {
      const own = `http://${env.host('one')}`;
      const foreign = [
        `http://${env.host('two')}`,
        'http://evil.test',
        'null',
        '',
        own.replace('http', 'https'),
        own.replace(/:\d+$/, ''),
        `${own}.evil.test`,
        own.replace('http://', 'http://evil.test@'),
        'file://',
        `blob:${own}/x`,
        `${own}/path`,
      ];
      for (const path of ['/private', '/public/x']) {
        for (const origins of [
          ...foreign.map((origin) => [origin]),
          [own, 'http://evil.test'],
          ['http://evil.test', own],
        ]) {
          const mark = marker();
          const headers = origins.map((origin) => ['Origin', origin] as const);
          const answer = await open(env, `${path}?${mark}`, headers, env.eve);
          refused(answer, `Origin ${origins.join(', ')}`);
          unseen(env, mark, answer);
        }
        for (const headers of [[], [['Origin', own] as const]]) {
          const answer = await open(env, path, headers, env.eve);
          assert.equal(answer.status, 101, story(answer));
        }
      }
    },
  },
  {
    id: 'J24',
    rule: 'J',
    title: 'nor does it behind a reverse proxy that asks, whatever of the handshake is told',
    async run(env) {
      const own = env.url('fwd', '');
      const path = '/private';
      for (const mode of FORWARD) {
        const knock = (...headers: Pair[]) => mode.knock(env, { path, who: env.eve, headers });
        for (const handshake of [
          HANDSHAKE,
          [['Sec-WebSocket-Version', '13']],
          [['Sec-Fetch-Mode', 'websocket']],
        ] as const satisfies (readonly Pair[])[]) {
          for (const origins of [['http://evil.test'], ['null'], [`${own}.evil.test`], [own, 'http://evil.test']]) {
            const answer = await knock(...handshake, ...origins.map((origin): Pair => ['Origin', origin]));
            assert.equal(answer.status, 403, `${mode.name}, Origin ${origins.join(', ')}: ${story(answer)}`);
          }
          for (const headers of [[], [['Origin', own] as const]]) {
            const answer = await knock(...handshake, ...headers);
            assert.equal(answer.status, 200, `${mode.name}: ${story(answer)}`);
          }
        }
      }
    },
  },
  {
    id: 'J21',
    rule: 'J',
    title: 'no protocol in which requests travel, alone or in a list',
    async run(env) {
      const host = env.host('one');
      const cookie = `Cookie: ${env.eve.cookieHeader(host)}\r\n`;
      for (const name of ['h2c', 'H2C', 'h2c, websocket', 'websocket,h2c', 'h2', 'HTTP/2.0', 'TLS/1.2', 'SPDY/3.1']) {
        for (const path of ['/private', '/public/x']) {
          const mark = marker();
          const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${cookie}Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n`;
          const inside = `GET /private?${mark} HTTP/1.1\r\nHost: ${host}\r\nX-Authentik-Username: ${FORGED}\r\n\r\n`;
          const received = await speak(env.port, `${head}Upgrade: ${name}\r\n\r\n${inside}`, 1200);
          assert.ok(!received.statuses.includes(101), `${received.sent} -> 101`);
          unseen(env, mark);
        }
      }
    },
  },
  {
    id: 'J22',
    rule: 'J',
    title: 'what stands behind the head of an upgrade is no request, refused or not',
    async run(env) {
      const host = env.host('one');
      const smuggled = (mark: string) =>
        `GET /private?${mark} HTTP/1.1\r\nHost: ${host}\r\nX-Authentik-Username: ${FORGED}\r\n\r\n`;
      const heads = [
        `GET /private HTTP/1.1\r\nHost: ${host}\r\n${lines(HANDSHAKE)}\r\n`,
        `GET /public/x HTTP/1.1\r\nHost: ${host}\r\n${lines(HANDSHAKE)}Origin: http://evil.test\r\n\r\n`,
        `GET /public/x HTTP/1.1\r\nHost: ${host}\r\n\r\nGET /private HTTP/1.1\r\nHost: ${host}\r\n${lines(HANDSHAKE)}\r\n`,
        `GET /private HTTP/1.0\r\nHost: ${host}\r\n${lines(HANDSHAKE)}\r\n`,
      ];
      for (const head of heads) {
        const mark = marker();
        const received = await speak(env.port, head + smuggled(mark), 1200);
        assert.ok(!received.statuses.includes(101), `${received.sent} -> 101`);
        unseen(env, mark);
      }
      for (const framing of ['Content-Length', 'Transfer-Encoding'] as const) {
        const mark = marker();
        const body = smuggled(mark);
        const length = Buffer.byteLength(body);
        const framed =
          framing === 'Content-Length'
            ? `Content-Length: ${length}\r\n\r\n${body}`
            : `Transfer-Encoding: chunked\r\n\r\n${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
        const head = `GET /public/x HTTP/1.1\r\nHost: ${host}\r\n${lines(HANDSHAKE)}`;
        const received = await speak(env.port, head + framed, 1200);
        assert.ok(!received.statuses.includes(101), `${received.sent} -> 101`);
        unseen(env, mark);
      }
    },
  },
  {
    id: 'J23',
    rule: 'J',
    title: 'a 101 that was not meant opens no tunnel to the application',
    async run(env) {
      const host = env.host('one');
      for (const lie of ['no-accept', 'wrong-accept', 'other-protocol']) {
        const mark = marker();
        const head = `GET /public/${lie} HTTP/1.1\r\nHost: ${host}\r\n${lines(HANDSHAKE)}\r\n`;
        const inside = `GET /private?${mark} HTTP/1.1\r\nHost: ${host}\r\nX-Authentik-Username: ${FORGED}\r\n\r\n`;
        const received = await speak(env.port, head + inside, 20_000);
        assert.deepEqual(received.statuses, [502], received.sent);
        unseen(env, mark);
      }
    },
  },
  {
    id: 'A20',
    rule: 'A',
    title: 'an upgrade carries the person who is signed in, nobody on a public path, and no cookie of ours',
    async run(env) {
      const forged: Pair[] = [
        ['X-Authentik-Username', FORGED],
        ['x.authentik.groups', FORGED],
        ['X_Team', FORGED],
        ['X-Gatehouse-Peer', FORGED],
        ['Connection', 'X-Authentik-Email'],
      ];
      for (const who of [undefined, env.eve]) {
        const mark = marker();
        const answer = await open(env, `/public/x?${mark}`, forged, who);
        assert.equal(answer.status, 101, story(answer));
        const [seen] = env.upstream.about(mark);
        assert.ok(seen !== undefined, story(answer));
        without(seen.pairs, FORGED, answer);
        assert.deepEqual(values(seen.pairs, 'x-authentik-username'), who === undefined ? [] : ['eve']);
        assert.equal(values(seen.pairs, 'x-authentik-email').length, who === undefined ? 0 : 1);
        assert.doesNotMatch(values(seen.pairs, 'cookie').join(), /authentik/);
      }
    },
  },
  {
    id: 'I20',
    rule: 'I',
    title: 'a WebSocket ends with its session, and no other one does',
    async run(env) {
      const users = (person: Person) => `core/users/${person.pk}/`;
      const acts: [what: string, act: (person: Person, browser: Browser) => Promise<unknown>][] = [
        ['sign-out', (_, browser) => browser.follow(env.url('one', '/outpost.goauthentik.io/sign_out'))],
        ['deactivation', (person) => env.gatehouse.api.patch(users(person), { is_active: false })],
        ['deletion', (person) => env.gatehouse.api.delete(users(person))],
      ];
      const honest = tunnel(env, env.eve);
      try {
        await within(20_000, "eve's WebSocket", () => Promise.resolve(honest.received.includes(' 101 ')));
        for (const [what, act] of acts) {
          const { person, browser } = await env.visitor('one');
          const watched = tunnel(env, browser);
          try {
            await within(20_000, 'the WebSocket opens', () => Promise.resolve(watched.received.includes(' 101 ')));
            await act(person, browser);
            await within(SOON, `the WebSocket goes on after ${what}`, () => Promise.resolve(watched.over));
          } finally {
            watched.socket.destroy();
          }
        }
        const mark = marker();
        honest.socket.write(mark);
        await within(20_000, "eve's WebSocket", () => Promise.resolve(env.upstream.about(mark).length > 0));
      } finally {
        honest.socket.destroy();
      }
    },
  },
  {
    id: 'I21',
    rule: 'I',
    title: 'a WebSocket of a path for a group ends when the person leaves the group, others of theirs do not',
    async run(env) {
      const { person, browser } = await env.visitor('one');
      const group = await env.provision.group('riders', [person.pk]);
      const settings = `providers/proxy/${env.applications.one.provider}/gatehouse/`;
      const rule = { match: 'glob', pattern: '/riders/**', methods: [], effect: 'groups', groups: ['riders'] };
      await env.gatehouse.api.patch(settings, { access_rules: [rule] });
      const watched: ReturnType<typeof tunnel>[] = [];
      try {
        await within(20_000, 'the rule holds', async () => {
          // at every worker
          for (let i = 0; i < 6; i++) if ((await open(env, '/riders/x', [], env.eve)).status !== 403) return false;
          return true;
        });
        watched.push(tunnel(env, browser, '/riders/live'), tunnel(env, browser));
        const opened = () => watched.every(({ received }) => received.includes(' 101 '));
        await within(20_000, 'both open', () => Promise.resolve(opened()));
        await env.provision.removeMember(group, person.pk);
        await within(SOON, 'the one of the group goes on', () => Promise.resolve(watched[0]!.over));
        const mark = marker();
        watched[1]!.socket.write(mark);
        await within(20_000, 'the other one', () => Promise.resolve(env.upstream.about(mark).length > 0));
      } finally {
        for (const { socket } of watched) socket.destroy();
        await env.gatehouse.api.patch(settings, { access_rules: [] });
      }
    },
  },
];

/** A WebSocket of `one`, as bytes. */
function tunnel(env: Env, browser: Browser, path = '/live') {
  const socket = connect({ host: '127.0.0.1', port: env.port });
  const watched = { socket, received: '', over: false };
  socket.on('data', (chunk) => (watched.received += chunk.toString('latin1')));
  socket.on('error', () => (watched.over = true));
  socket.on('close', () => (watched.over = true));
  const host = env.host('one');
  const cookie = `Cookie: ${browser.cookieHeader(host)}\r\n`;
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${cookie}${lines(HANDSHAKE)}\r\n`);
  return watched;
}
