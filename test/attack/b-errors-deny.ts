/** Rule B: errors deny. No parse error, missing header, unknown host or failing part ever becomes a 2xx. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { ask, story, type Answer, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { FORWARD, MODES } from './support/modes.ts';
import { allowed, givesNoSession, marker, passes, refused, unseen } from './support/verify.ts';
import { brokenCookies } from './support/cookies.ts';
import { speak } from './support/wire.ts';

const OWN = [
  'start',
  'callback',
  'sign_out',
  'auth',
  'auth/nginx',
  'auth/traefik',
  'auth/caddy',
  'auth/envoy/x',
  'unknown',
];

/** Asks all decision points with a cookie; none may let it through. */
async function askAll(env: Env, cookie: string, what: string): Promise<void> {
  for (const mode of MODES) {
    for (const closed of [false, true]) {
      const mark = marker();
      const answer = await mode.knock(env, { path: `/private?${mark}`, cookie, closed });
      refused(answer, `${what} was let through`);
      givesNoSession(answer);
      unseen(env, mark, answer);
    }
  }
}

export const cases: Case[] = [
  {
    id: 'B1',
    rule: 'B',
    title: 'malformed, truncated, re-keyed and foreign session cookies at every decision point',
    async run(env) {
      for (const { what, cookie } of brokenCookies(env)) await askAll(env, cookie, what);
    },
  },
  {
    id: 'B2',
    rule: 'B',
    title: 'broken cookies at the endpoints of our own never give a session or a 5xx',
    async run(env) {
      for (const { what, cookie } of brokenCookies(env)) {
        for (const prefix of ['/outpost.goauthentik.io', '/akprox']) {
          for (const endpoint of OWN.slice(0, 4)) {
            for (const site of ['one', 'fwd'] as const) {
              const answer = await ask({
                port: env.port,
                host: env.host(site),
                path: `${prefix}/${endpoint}`,
                headers: [
                  ['Cookie', cookie],
                  ['Accept', 'text/html'],
                ],
              });
              assert.ok(answer.status < 500 || endpoint === 'auth', `${what}: ${story(answer)}`);
              if (endpoint.startsWith('auth')) refused(answer, what);
              givesNoSession(answer);
            }
          }
        }
        const page = await ask({
          port: env.port,
          host: new URL(env.base).host,
          path: '/if/user/',
          headers: [['Cookie', cookie]],
        });
        refused(page, `${what} at the identity server`);
      }
    },
  },
  {
    id: 'B3',
    rule: 'B',
    title: 'a cookie of 1 MiB is refused without harm',
    async run(env) {
      for (const site of ['one', 'fwd', 'closed'] as const) {
        const name = env.eve.sessionCookies(env.host('one'))[0]?.name ?? 'authentik_proxy_00000000';
        const mark = marker();
        const path = site === 'fwd' ? '/outpost.goauthentik.io/auth/nginx' : `/private?${mark}`;
        const received = await speak(
          env.port,
          `GET ${path} HTTP/1.1\r\nHost: ${env.host(site)}\r\nX-Original-URL: ${env.url(site, '/private')}\r\nCookie: ${name}=${'A'.repeat(1 << 20)}\r\n\r\n`,
          3000,
        );
        assert.ok(
          received.statuses.every((s) => s >= 400),
          `1 MiB cookie: ${received.statuses.join()}`,
        );
        unseen(env, mark);
      }
      allowed(await MODES[0]!.knock(env, { path: '/private', who: env.eve }), 'after the 1 MiB cookie');
    },
  },
  {
    id: 'B4',
    rule: 'B',
    title: 'unparsable X-Forwarded-* from a trusted peer neither crash nor open anything',
    async run(env) {
      const odd = [
        '',
        ',',
        ' , ,',
        'garbage',
        '::::',
        '[',
        '999.1.1.1',
        '1.1.1.1:99999',
        'unknown, _hidden',
        'a'.repeat(9000),
        '%00',
        '127.0.0.1,'.repeat(500),
      ];
      for (const value of odd) {
        for (const name of ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Real-IP', 'Forwarded']) {
          const mark = marker();
          const answer = await ask({
            port: env.port,
            host: env.host('one'),
            path: `/private?${mark}`,
            headers: [[name, value]],
          });
          unseen(env, mark, answer);
          assert.ok(answer.status < 500 || answer.status === 503, `${name}: ${story(answer)}`);
          const check = await FORWARD[0]!.knock(env, { path: '/private', headers: [[name, value]] });
          refused(check);
        }
      }
    },
  },
  {
    id: 'B5',
    rule: 'B',
    title: 'nginx: missing, malformed and repeated original addresses',
    async run(env) {
      const path = '/outpost.goauthentik.io/auth/nginx';
      const sets: Pair[][] = [
        [],
        [['X-Original-URL', '']],
        [['X-Original-URI', '']],
        [['X-Original-URL', 'http://[::1']],
        [['X-Original-URL', 'http://']],
        [['X-Original-URL', '://']],
        [['X-Original-URL', 'not an address']],
        [['X-Original-URL', 'javascript:alert(1)']],
        [['X-Original-URL', 'file:///public/x']],
        [['X-Original-URL', `http://${env.host('fwd')}:99999/public/x`]],
        [['X-Original-URL', '/public/x']],
        [['X-Original-URI', 'public/x']],
        [['X-Original-URI', '*']],
        [['X-Original-URL', `http://evil@/public/x`]],
        [['X-Original-URL', 'http://exa mple/public/']],
      ];
      for (const headers of sets) {
        const answer = await ask({ port: env.port, host: env.host('fwd'), path, headers });
        refused(answer, `anonymous with ${JSON.stringify(headers)}`);
        const denied = await ask({
          port: env.port,
          host: env.host('closedfwd'),
          path,
          headers: [...headers, ['Cookie', env.eve.cookieHeader(env.host('closedfwd'))]],
        });
        refused(denied, `denied with ${JSON.stringify(headers)}`);
      }
      const twice: Pair[] = [
        ['X-Original-URL', env.url('fwd', '/public/x')],
        ['X-Original-URL', env.url('fwd', '/private')],
      ];
      refused(await ask({ port: env.port, host: env.host('fwd'), path, headers: twice }), 'two addresses');
      refused(await ask({ port: env.port, host: env.host('fwd'), path, headers: twice.toReversed() }), 'two addresses');
      const missing = await ask({
        port: env.port,
        host: env.host('fwd'),
        path,
        headers: [['Cookie', env.eve.cookieHeader(env.host('fwd'))]],
      });
      assert.equal(missing.status, 500, `no address although signed in: ${story(missing)}`);
    },
  },
  {
    id: 'B6',
    rule: 'B',
    title: 'every method is decided like GET',
    async run(env) {
      for (const method of [
        'HEAD',
        'OPTIONS',
        'TRACE',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
        'PROPFIND',
        'SEARCH',
        'QUERY',
        'M-SEARCH',
      ]) {
        for (const mode of MODES) {
          for (const closed of [false, true]) {
            const mark = marker();
            const answer = await mode.knock(env, {
              method,
              path: `/private?${mark}`,
              closed,
              ...(closed ? { who: env.eve } : {}),
              headers: [
                ['X-HTTP-Method-Override', 'OPTIONS'],
                ['Access-Control-Request-Method', 'GET'],
                ['Origin', 'http://evil.test'],
              ],
            });
            refused(answer, `${method} in ${mode.name}`);
            unseen(env, mark, answer);
          }
        }
      }
      const received = await speak(
        env.port,
        `FOO /private HTTP/1.1\r\nHost: ${env.host('one')}\r\nConnection: close\r\n\r\n`,
      );
      assert.ok(
        received.statuses.every((s) => s >= 300),
        `FOO: ${received.text}`,
      );
    },
  },
  {
    id: 'B7',
    rule: 'B',
    title: 'a host nobody configured reaches no application',
    async run(env) {
      for (const host of [
        'nobody.test',
        'one.test.evil.test',
        'xone.test',
        `${env.host('one')}.`,
        'one.test:1',
        '127.0.0.1',
        'one.test@evil',
        '',
      ]) {
        const mark = marker();
        const answer = await ask({
          port: env.port,
          host,
          path: `/private?${mark}`,
          headers: [['Cookie', env.eve.cookieHeader(env.host('one'))]],
        });
        for (const path of ['/outpost.goauthentik.io/auth/nginx', '/akprox/auth']) {
          const check = await ask({
            port: env.port,
            host,
            path,
            headers: [['X-Original-URL', `http://${host}/public/x`]],
          });
          refused(check, `the check for host ${JSON.stringify(host)}`);
        }
        const reached = env.upstream.about(mark);
        const same = /^one\.test(:\d+)?\.?$/.test(host);
        assert.ok(same || reached.length === 0, `an application answered for ${host}: ${story(answer)}`);
      }
    },
  },
  {
    id: 'B8',
    rule: 'B',
    title: 'eve at an application for staff is denied in every mode, and the application hears nothing',
    async run(env) {
      for (const mode of MODES) {
        const mark = marker();
        const host = env.host(mode.site(true));
        const browser = env.eve.copy();
        await browser.follow(
          env.url(mode.site(true), mode.name === 'proxy' ? '/private' : '/outpost.goauthentik.io/start'),
        );
        const answer = await mode.knock(env, {
          path: `/private?${mark}`,
          closed: true,
          cookie: browser.cookieHeader(host),
        });
        refused(answer);
        unseen(env, mark, answer);
        allowed(await mode.knock(env, { path: '/private', closed: true, who: env.staff }), 'staff');
      }
    },
  },
  {
    id: 'B9',
    rule: 'B',
    title: 'an application that is down is a 502, one that breaks off is never a whole answer',
    async run(env) {
      const down = await ask({
        port: env.port,
        host: env.host('dead'),
        path: '/x',
        headers: [['Cookie', env.eve.cookieHeader(env.host('dead'))]],
      });
      assert.equal(down.status, 502, story(down));
      const cut: Answer | Error = await ask({
        port: env.port,
        host: env.host('one'),
        path: '/cut',
        headers: [['Cookie', env.eve.cookieHeader(env.host('one'))]],
      }).catch((error: unknown) => error as Error);
      assert.ok(cut instanceof Error || !passes(cut), 'a broken answer arrived as a whole one');
    },
  },
  {
    id: 'B10',
    rule: 'B',
    title: 'a locked database gives no session, and does not open what is closed',
    async run(env) {
      const person = await env.person();
      const browser = env.anyone();
      const login = (await browser.follow(`${env.base}/if/flow/default-authentication-flow/`)).at(-1);
      assert.ok(login, 'no login page');
      const file = databaseFile(env);
      const lock = new DatabaseSync(file, { timeout: 20_000 }); // the product may be writing just now
      try {
        lock.exec('BEGIN EXCLUSIVE');
        const answer = await browser.submit(login, { username: person.username, password: person.password });
        assert.ok(answer.status >= 400, `signed in over a locked database: ${story(answer)}`);
        const visit = await browser.visit(`${env.base}/if/user/`);
        refused(visit, 'the portal after a failed sign-in');
        for (const mode of MODES) refused(await mode.knock(env, { path: '/private', closed: true, who: env.eve }));
      } finally {
        lock.exec('ROLLBACK');
        lock.close();
      }
    },
  },
];

function databaseFile(env: Env): string {
  return join(env.gatehouse.data, 'gatehouse.db');
}
