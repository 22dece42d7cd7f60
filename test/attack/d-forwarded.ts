/** Rule D: forwarded headers count only from trusted peers. */
import assert from 'node:assert/strict';
import { all, ask, one, story, type Pair } from './support/ask.ts';
import { Browser } from './support/browser.ts';
import type { Case } from './support/case.ts';
import { STRANGER, type Env } from './support/env.ts';
import { FORWARD } from './support/modes.ts';
import { allowed, marker, passes, refused, unseen } from './support/verify.ts';

const SPELLINGS = ['X-Forwarded-Host', 'X_Forwarded_Host', 'X.Forwarded.Host', 'x-forwarded_host'];

/** The client address in the audit log of a failed sign-in made with these headers. */
async function seenAddress(env: Env, from: string, headers: readonly Pair[]): Promise<string> {
  const name = marker();
  const browser = new Browser(env.port, from);
  const page = (await browser.follow(`${env.base}/if/flow/default-authentication-flow/`)).at(-1);
  assert.ok(page, 'no login page');
  const answer = await browser.submit(page, { username: name, password: 'wrong' }, [
    ['Origin', env.base],
    ['Sec-Fetch-Site', 'same-origin'],
    ...headers,
  ]);
  assert.ok(answer.status < 500, story(answer));
  const events = await env.gatehouse.api.list('events/events/?action=login_failed&ordering=-created&page_size=50');
  const event = events.find((e) => JSON.stringify(e).includes(name));
  assert.ok(event, `no event for the failed sign-in: ${story(answer)}`);
  return String(event['client_ip']);
}

export const cases: Case[] = [
  {
    id: 'D1',
    rule: 'D',
    title: 'a stranger does not choose the application by a forwarded host',
    async run(env) {
      for (const name of [...SPELLINGS, 'Forwarded']) {
        const value = name === 'Forwarded' ? `host="${env.host('two')}";proto=http` : env.host('two');
        const mark = marker();
        const answer = await ask({
          port: env.port,
          from: STRANGER,
          host: env.host('one'),
          path: `/private?${mark}`,
          headers: [
            [name, value],
            ['Cookie', `${env.eve.cookieHeader(env.host('two'))}`],
          ],
        });
        refused(answer);
        unseen(env, mark, answer);
      }
      const unknown = await ask({
        port: env.port,
        from: STRANGER,
        host: 'nobody.test',
        path: '/x',
        headers: [
          ['X-Forwarded-Host', env.host('one')],
          ['Cookie', env.eve.cookieHeader(env.host('one'))],
        ],
      });
      assert.ok(
        !unknown.text.includes('"pairs"'),
        `a stranger's forwarded host led to an application: ${story(unknown)}`,
      );
    },
  },
  {
    id: 'D2',
    rule: 'D',
    title: 'a trusted peer chooses by X-Forwarded-Host only, in its one spelling',
    async run(env) {
      const cookie: Pair = ['Cookie', env.eve.cookieHeader(env.host('one'))];
      const right = await ask({
        port: env.port,
        host: 'front.test',
        path: '/private',
        headers: [['X-Forwarded-Host', env.host('one')], cookie],
      });
      allowed(right, 'a trusted peer with X-Forwarded-Host');
      for (const name of [...SPELLINGS.slice(1, 3), 'Forwarded', 'X-Host', 'X-Forwarded-Server']) {
        const mark = marker();
        const answer = await ask({
          port: env.port,
          host: 'front.test',
          path: `/private?${mark}`,
          headers: [[name, name === 'Forwarded' ? `host=${env.host('one')}` : env.host('one')], cookie],
        });
        unseen(env, mark, answer);
      }
    },
  },
  {
    id: 'D3',
    rule: 'D',
    title: 'a forwarded host never opens one application with the session of another behind nginx',
    async run(env) {
      // nginx with the published text sets Host and X-Original-URL and hands the client's X-Forwarded-Host on
      const cookie: Pair = ['Cookie', env.eve.cookieHeader(env.host('fwd'))];
      const lure: Pair = ['X-Forwarded-Host', env.host('fwd')];
      for (const path of [
        '/outpost.goauthentik.io/auth/nginx',
        '/akprox/auth',
        '/akprox/auth/nginx',
        '/akprox/auth?nginx',
      ]) {
        for (const address of [
          [['X-Original-URL', env.url('closedfwd', '/admin')]],
          [['X-Original-URI', '/admin']],
          [],
        ] as Pair[][]) {
          const headers = [...address, lure, cookie];
          refused(await ask({ port: env.port, host: env.host('closedfwd'), path, headers }));
          refused(await ask({ port: env.port, host: env.host('closedfwd'), path, headers: headers.toReversed() }));
        }
        const publicLure: Pair[] = [lure, ['X-Original-URL', env.url('closedfwd', '/public/x')]];
        refused(await ask({ port: env.port, host: env.host('closedfwd'), path, headers: publicLure }));
      }
    },
  },
  {
    id: 'D4',
    rule: 'D',
    title: 'an original address of another application than the one asked about is refused',
    async run(env) {
      for (const url of [env.url('closedfwd', '/public/x'), env.url('one', '/public/x')]) {
        const answer = await ask({
          port: env.port,
          host: env.host('fwd'),
          path: '/outpost.goauthentik.io/auth/nginx',
          headers: [['X-Original-URL', url]],
        });
        refused(answer);
      }
    },
  },
  {
    id: 'D5',
    rule: 'D',
    title: 'a stranger names neither path nor address: checks from there say nothing is public',
    async run(env) {
      for (const [path, name] of [
        ['/outpost.goauthentik.io/auth/nginx', 'X-Original-URL'],
        ['/outpost.goauthentik.io/auth/nginx', 'X-Original-URI'],
        ['/akprox/auth', 'X-Forwarded-Uri'],
      ] as const) {
        const value = name === 'X-Original-URL' ? env.url('fwd', '/public/x') : '/public/x';
        refused(await ask({ port: env.port, from: STRANGER, host: env.host('fwd'), path, headers: [[name, value]] }));
      }
      const mark = marker();
      const answer = await ask({
        port: env.port,
        from: STRANGER,
        host: env.host('one'),
        path: `/admin?${mark}`,
        headers: [['X-Forwarded-Uri', '/public/']],
      });
      refused(answer);
      unseen(env, mark, answer);
    },
  },
  {
    id: 'D6',
    rule: 'D',
    title: 'no forwarded host or Host becomes a redirect target',
    async run(env) {
      const sets: [string, Pair[]][] = [
        [env.host('one'), [['X-Forwarded-Host', 'evil.test']]],
        [env.host('one'), [['X-Forwarded-Host', `${env.host('one')}, evil.test`]]],
        [env.host('one'), [['X-Forwarded-Host', `evil.test, ${env.host('one')}`]]],
        [
          env.host('one'),
          [
            ['X-Forwarded-Host', env.host('one')],
            ['X-Forwarded-Host', 'evil.test'],
          ],
        ],
        [env.host('one'), [['X-Forwarded-Host', `${env.host('one')}@evil.test`]]],
        [
          env.host('one'),
          [
            ['X-Forwarded-Host', 'evil.test'],
            ['X-Forwarded-Proto', 'https'],
            ['X-Forwarded-Port', '443'],
          ],
        ],
        [env.host('one'), [['X-Forwarded-Proto', 'javascript']]],
        [env.host('one'), [['X-Forwarded-Prefix', '//evil.test']]],
        ['evil.test', []],
        ['evil.test', [['X-Forwarded-Host', env.host('one')]]],
      ];
      const paths = [
        '/private',
        '/outpost.goauthentik.io/start',
        '/outpost.goauthentik.io/sign_out',
        '/if/user/',
        '/',
        '/application/o/one/',
        '/application/o/one/.well-known/openid-configuration',
      ];
      for (const [host, headers] of sets) {
        for (const from of ['127.0.0.1', STRANGER]) {
          for (const path of paths) {
            const answer = await ask({
              port: env.port,
              from,
              host,
              path,
              headers: [['Accept', 'text/html'], ...headers],
            });
            const location = one(answer, 'location');
            const url = location === '' ? undefined : new URL(location, 'http://relative.test');
            assert.ok(url === undefined || !url.host.includes('evil'), story(answer));
            assert.ok(url === undefined || !decodeURIComponent(url.search).includes('evil.test'), story(answer));
            assert.ok(!/"(issuer|[a-z_]+_endpoint)":"https?:\/\/[^"]*evil/.test(answer.text), story(answer));
          }
        }
      }
    },
  },
  {
    id: 'D7',
    rule: 'D',
    title: 'the right-most hop nobody trusts is the client; a stranger is always itself',
    async run(env) {
      assert.equal(await seenAddress(env, STRANGER, [['X-Forwarded-For', '6.6.6.6']]), STRANGER);
      assert.equal(
        await seenAddress(env, STRANGER, [
          ['X-Real-IP', '6.6.6.6'],
          ['Forwarded', 'for=6.6.6.6'],
        ]),
        STRANGER,
      );
      assert.equal(await seenAddress(env, '127.0.0.1', [['X-Forwarded-For', '6.6.6.6, 9.9.9.9']]), '9.9.9.9');
      assert.equal(
        await seenAddress(env, '127.0.0.1', [['X-Forwarded-For', '6.6.6.6, 9.9.9.9, 127.0.0.1']]),
        '9.9.9.9',
      );
      assert.equal(
        await seenAddress(env, '127.0.0.1', [
          ['X-Forwarded-For', '6.6.6.6'],
          ['X-Forwarded-For', '9.9.9.9'],
        ]),
        '9.9.9.9',
      );
      assert.equal(
        await seenAddress(env, '127.0.0.1', [['X-Forwarded-For', '6.6.6.6, 9.9.9.9, ::ffff:127.0.0.1']]),
        '9.9.9.9',
      );
      assert.equal(
        await seenAddress(env, '127.0.0.1', [
          ['X_Forwarded_For', '6.6.6.6'],
          ['X.Forwarded.For', '6.6.6.6'],
        ]),
        '127.0.0.1',
      );
    },
  },
  {
    id: 'D8',
    rule: 'D',
    title: 'an application behind us hears of a stranger only what we know ourselves',
    async run(env) {
      const names = [
        'X-Forwarded-For',
        'X-Forwarded-Host',
        'X-Forwarded-Proto',
        'X-Forwarded-Port',
        'X-Real-IP',
        'Forwarded',
        'X_Forwarded_For',
        'X.Forwarded.Host',
        'X_Real_Ip',
        'X-Forwarded_Proto',
      ];
      const mark = marker();
      const answer = await ask({
        port: env.port,
        from: STRANGER,
        host: env.host('one'),
        path: `/public/x?${mark}`,
        headers: names.map((n) => [n, 'for6666'] as const),
      });
      allowed(answer);
      const [seen] = env.upstream.about(mark);
      const hit = seen?.pairs.find(([, v]) => v.includes('for6666'));
      assert.equal(hit, undefined, `the application believes ${hit?.[0]}: ${hit?.[1]}: ${story(answer)}`);
      assert.ok(
        seen?.pairs.some(([n, v]) => n.toLowerCase() === 'x-forwarded-for' && v === STRANGER),
        story(answer),
      );
    },
  },
  {
    id: 'D9',
    rule: 'D',
    title: 'a stranger cannot talk a site of https down to cookies without Secure',
    async run(env) {
      for (const from of ['127.0.0.1', STRANGER]) {
        const answer = await ask({
          port: env.port,
          from,
          host: env.host('tls'),
          path: '/outpost.goauthentik.io/start',
          headers: [
            ['X-Forwarded-Proto', 'http'],
            ['X_Forwarded_Proto', 'http'],
            ['Accept', 'text/html'],
            ['Sec-Fetch-Mode', 'navigate'],
            ['Sec-Fetch-Dest', 'document'],
          ],
        });
        for (const line of all(answer, 'set-cookie')) assert.match(line, /;\s*Secure/i, story(answer));
        const redirect = one(answer, 'location');
        assert.ok(!decodeURIComponent(redirect).includes('http://tls.test'), story(answer));
      }
    },
  },
  {
    id: 'D10',
    rule: 'D',
    title: 'two different forwarded hosts are an error, not a choice',
    async run(env) {
      for (const mode of FORWARD) {
        const answer = await mode.knock(env, {
          path: '/private',
          closed: true,
          headers: [
            ['X-Forwarded-Host', env.host('fwd')],
            ['X-Forwarded-Host', env.host('closedfwd')],
          ],
          cookie: [env.eve.cookieHeader(env.host('fwd')), env.eve.cookieHeader(env.host('closedfwd'))]
            .filter((c) => c !== '')
            .join('; '),
        });
        assert.ok(!passes(answer), story(answer));
      }
    },
  },
];
