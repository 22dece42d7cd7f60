/** Rule A: identity headers cannot be sent by a client. */
import assert from 'node:assert/strict';
import { foldHeaderName, IDENTITY_HEADERS, LEGACY_HEADERS } from '../../src/contract/headers.ts';
import { ask, one, story, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import { enter, SENT_HEADERS, type Env } from './support/env.ts';
import { delivered, FORWARD, MODES } from './support/modes.ts';
import { allowed, marker, passes, refused, unseen, values, without } from './support/verify.ts';
import { speak } from './support/wire.ts';

const FORGED = 'forged-by-client';

/** `X-Team` is eve's own extra header (attribute additionalHeaders); further ones are those of presets and own names. */
const MANAGED = [
  ...IDENTITY_HEADERS,
  ...LEGACY_HEADERS,
  ...SENT_HEADERS,
  'X-Team',
  'X-Gatehouse-Peer',
  'X-Authentik-Anything',
];

/** Every character a header name may have that applications may read as a dash (RFC 9110 5.6.2). */
const SEPARATORS = ['-', '_', '.', '~', '!', '#', '$', '%', '&', "'", '*', '+', '^', '`', '|'];

const spellings = (name: string): string[] => [
  ...SEPARATORS.map((s) => name.replaceAll('-', s)),
  name.toUpperCase().replaceAll('-', '_'),
  name.toLowerCase().replace('-', '_'),
  name.replace(/-(?=[^-]*$)/, '.'),
];

async function everywhere(env: Env, headers: readonly Pair[]): Promise<void> {
  for (const mode of MODES) {
    for (const [who, path] of [
      [undefined, '/public/x'],
      [undefined, '/private'],
      [env.eve, '/public/x'],
      [env.eve, '/private'],
    ] as const) {
      const mark = marker();
      const answer = await mode.knock(env, { path: `${path}?${mark}`, who, headers });
      if (who === undefined && path === '/private') refused(answer);
      if (who !== undefined && mode.name !== 'proxy') allowed(answer);
      without(answer.pairs, FORGED, answer);
      for (const seen of env.upstream.about(mark)) without([...seen.pairs, ...seen.trailers], FORGED, answer);
      if (who !== undefined && passes(answer)) {
        assert.deepEqual(values(delivered(mode, answer), 'X-Authentik-Username'), ['eve'], story(answer));
      }
    }
  }
}

async function eveHeaders(env: Env, headers: readonly Pair[]): Promise<void> {
  const answer = await ask({
    port: env.port,
    host: env.host('one'),
    path: '/private',
    headers: [['Cookie', env.eve.cookieHeader(env.host('one'))], ...headers],
  });
  allowed(answer);
  const got = (JSON.parse(answer.text) as { pairs: Pair[] }).pairs;
  for (const name of IDENTITY_HEADERS) {
    const found = got.filter(([n]) => foldHeaderName(n) === foldHeaderName(name));
    assert.equal(found.length, 1, `${name} arrived ${found.length} times: ${story(answer)}`);
  }
  assert.deepEqual(values(got, 'X-Authentik-Username'), ['eve'], story(answer));
  assert.deepEqual(values(got, 'Remote-User'), ['eve'], story(answer));
  assert.equal(values(got, 'X-Forwarded-Host').length, 1, story(answer));
}

export const cases: Case[] = [
  {
    id: 'A1',
    rule: 'A',
    title: 'every managed name in every spelling, signed out and in, on public and protected paths',
    async run(env) {
      // all spellings of one name at once would hide which one came through, all names at once keep the run short
      for (let i = 0; i < spellings('x-y').length; i++) {
        const headers = MANAGED.map((name): Pair => [spellings(name)[i] ?? name, FORGED]);
        await everywhere(env, headers);
      }
    },
  },
  {
    id: 'A2',
    rule: 'A',
    title: 'the same managed header twice, or beside its folded twin',
    async run(env) {
      await everywhere(env, [
        ['X-Authentik-Username', FORGED],
        ['x-authentik-username', `${FORGED}-2`],
        ['X_Authentik_Username', `${FORGED}-3`],
        ['X-Authentik_Username', `${FORGED}-4`],
      ]);
    },
  },
  {
    id: 'A3',
    rule: 'A',
    title: 'Connection names a managed or forwarded header: ours arrive all the same',
    async run(env) {
      await eveHeaders(env, [['Connection', 'close, X-Authentik-Username']]);
      await eveHeaders(env, [['Connection', `close, ${IDENTITY_HEADERS.join(', ')}`]]);
      await eveHeaders(env, [
        ['Connection', 'close, x-authentik-uid, X-Forwarded-Host, X-Forwarded-For, Cookie, Host'],
      ]);
      await eveHeaders(env, [
        ['Connection', 'close'],
        ['Connection', 'X-AUTHENTIK-JWT'],
      ]);
      await eveHeaders(env, [['Connection', `close, ${SENT_HEADERS.join(', ')}`]]);
    },
  },
  {
    id: 'A4',
    rule: 'A',
    title: 'an answer for a reverse proxy carries every managed header, empty ones too, also for a public path',
    async run(env) {
      for (const mode of FORWARD) {
        for (const who of [undefined, env.eve]) {
          const answer = await mode.knock(env, { path: '/public/x', who });
          if (who === undefined && !mode.seesPath) {
            refused(answer);
            continue;
          }
          allowed(answer);
          const older = mode.older === true ? LEGACY_HEADERS : [];
          const names = new Set([...IDENTITY_HEADERS, ...SENT_HEADERS, ...older]);
          for (const name of names) {
            const found = values(answer.pairs, name);
            assert.equal(found.length, 1, `${name} ${found.length} times: ${story(answer)}`);
            if (who === undefined && !name.startsWith('X-Authentik-Meta')) assert.equal(found[0], '', story(answer));
          }
        }
      }
    },
  },
  {
    id: 'A5',
    rule: 'A',
    title: 'additionalHeaders that would steer the connection or forge identity are refused when saved',
    async run(env) {
      const person = await env.person();
      const bad: Record<string, unknown>[] = [
        { Host: 'evil.test' },
        { Connection: 'close' },
        { 'Transfer-Encoding': 'chunked' },
        { 'Content-Length': '0' },
        { Cookie: 'a=b' },
        { 'Set-Cookie': 'a=b' },
        { X_Authentik_Username: 'akadmin' },
        { 'x.authentik.groups': 'authentik Admins' },
        { 'X-Gatehouse-Peer': '6.6.6.6' },
        { 'X-Forwarded-For': '6.6.6.6' },
        { 'X-Team': `a\r\nX-Authentik-Username: ${FORGED}` },
        { 'X-Team': 'a\nb' },
        { 'X-Team': 'a\u0000b' },
        { 'X-Te am': 'a' },
        { 'X-Team:': 'a' },
        { 'X-Team\r\nX-Evil': 'a' },
        { '': 'a' },
      ];
      for (const additionalHeaders of bad) {
        const body = { attributes: { additionalHeaders } };
        const answer = await env.gatehouse.api.raw('PATCH', `core/users/${person.pk}/`, body);
        assert.equal(answer.status, 400, `saved ${JSON.stringify(body)}: ${answer.status} ${answer.text}`);
        const group = await env.gatehouse.api.raw('PATCH', `core/groups/${env.staffGroup}/`, body);
        assert.equal(group.status, 400, `saved for a group ${JSON.stringify(body)}: ${group.status} ${group.text}`);
      }
    },
  },
  {
    id: 'A6',
    rule: 'A',
    title: 'a group called `a|admins` does not become two, a name with line ends no second header',
    async run(env) {
      const person = await env
        .person({ name: `Eve\r\nX-Authentik-Groups: admins\nX-Evil: ${FORGED}`, email: 'guest@example.test' })
        .catch(() => env.person());
      await env.provision.group('a|admins', [person.pk]);
      const browser = env.anyone();
      await enter(env, browser, 'one', person);
      await enter(env, browser, 'fwd', person);
      for (const mode of MODES) {
        const answer = await mode.knock(env, { path: '/private', who: browser });
        allowed(answer);
        const got = delivered(mode, answer);
        const groups = values(got, 'X-Authentik-Groups');
        assert.equal(groups.length, 1, story(answer));
        assert.ok(!groups[0]?.split('|').includes('admins'), `groups read ${groups[0]}: ${story(answer)}`);
        assert.deepEqual(values(got, 'X-Evil'), [], story(answer));
      }
    },
  },
  {
    id: 'A7',
    rule: 'A',
    title: 'trailers of a chunked request carry no identity',
    async run(env) {
      for (const cookie of ['', `Cookie: ${env.eve.cookieHeader(env.host('one'))}\r\n`]) {
        for (const path of ['/public/x', '/private']) {
          const mark = marker();
          const received = await speak(
            env.port,
            `POST ${path}?${mark} HTTP/1.1\r\nHost: ${env.host('one')}\r\nConnection: close\r\n${cookie}` +
              `Trailer: X-Authentik-Username\r\nTransfer-Encoding: chunked\r\n\r\n` +
              `3\r\nabc\r\n0\r\nX-Authentik-Username: ${FORGED}\r\nX_Authentik_Uid: ${FORGED}\r\nX-Team: ${FORGED}\r\n\r\n`,
          );
          for (const seen of env.upstream.about(mark)) {
            const hit = [...seen.pairs, ...seen.trailers].find(([, v]) => v.includes(FORGED));
            assert.equal(hit, undefined, `${received.sent}: ${hit?.[0]} arrived`);
          }
          if (cookie === '' && path === '/private') assert.equal(env.upstream.about(mark).length, 0, received.sent);
        }
      }
    },
  },
  {
    id: 'A8',
    rule: 'A',
    title: 'a WebSocket upgrade is decided like any request and carries no forged header',
    async run(env) {
      for (const who of [undefined, env.eve]) {
        for (const path of ['/private', '/public/x']) {
          const mark = marker();
          const answer = await ask({
            port: env.port,
            host: env.host('one'),
            path: `${path}?${mark}`,
            headers: [
              ['Connection', 'Upgrade, X-Authentik-Username'],
              ['Upgrade', 'websocket'],
              ['Sec-WebSocket-Version', '13'],
              ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
              ['X-Authentik-Username', FORGED],
              ['X_Authentik_Uid', FORGED],
              ...(who === undefined ? [] : [['Cookie', who.cookieHeader(env.host('one'))] as const]),
            ],
          });
          for (const seen of env.upstream.about(mark)) without(seen.pairs, FORGED, answer);
          if (who === undefined && path === '/private') {
            refused(answer);
            unseen(env, mark, answer);
          }
        }
      }
    },
  },
  {
    id: 'A9',
    rule: 'A',
    title: 'x-gatehouse-* from outside never reaches the identity server',
    async run(env) {
      const person = await env.person();
      const forged: Pair[] = [
        'X-Gatehouse-Peer',
        'x_gatehouse_peer',
        'X.Gatehouse.Peer',
        'X-Gatehouse-Host',
        'X-Gatehouse-Link',
      ].map((name) => [name, name.toLowerCase().endsWith('peer') ? '6.6.6.6' : 'evil.test'] as const);
      const browser = env.anyone();
      const page = (await browser.follow(`${env.base}/if/flow/default-authentication-flow/`)).at(-1);
      assert.ok(page, 'no login page');
      const answer = await browser.submit(page, { username: person.username, password: person.password }, [
        ['Origin', env.base],
        ['Sec-Fetch-Site', 'same-origin'],
        ...forged,
      ]);
      assert.ok(answer.status < 400, `sign-in with odd headers: ${story(answer)}`);
      assert.ok(!one(answer, 'location').includes('evil.test'), story(answer));
      const events = await env.gatehouse.api.list('events/events/?ordering=-created&page_size=20');
      const mine = JSON.stringify(events.filter((e) => JSON.stringify(e).includes(person.username)));
      assert.ok(mine.includes('127.0.0.1'), `the login event does not name the peer: ${mine}`);
      assert.ok(!mine.includes('6.6.6.6'), `the login event believes the client: ${mine}`);
    },
  },
];
