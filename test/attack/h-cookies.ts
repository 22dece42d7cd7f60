/** Rule H: cookies. */
import assert from 'node:assert/strict';
import { all, ask, story, type Pair } from './support/ask.ts';
import { parseSetCookie } from './support/browser.ts';
import { nameAt, valueAt } from './support/cookies.ts';
import type { Case } from './support/case.ts';
import { enter } from './support/env.ts';
import { MODES } from './support/modes.ts';
import { allowed, marker, refused, unseen } from './support/verify.ts';

export const cases: Case[] = [
  {
    id: 'H1',
    rule: 'H',
    title: 'every cookie is HttpOnly, SameSite=Lax, for one host, and Secure where the site is https',
    async run(env) {
      const lines: [line: string, secure: boolean][] = [];
      const person = await env.person();
      const browser = env.anyone();
      const hops = [
        ...(await browser.signIn(env.url('one', '/private'), person.username, person.password)),
        ...(await browser.signIn(env.url('fwd', '/akprox/start'), person.username, person.password)),
      ];
      for (const hop of hops) for (const line of all(hop.answer, 'set-cookie')) lines.push([line, false]);
      const start = await env
        .anyone()
        .visit(env.url('tls', '/outpost.goauthentik.io/start'), [['X-Forwarded-Proto', 'https']]);
      assert.ok(all(start, 'set-cookie').length > 0, story(start));
      for (const line of all(start, 'set-cookie')) lines.push([line, true]);
      const secured = env.anyone();
      const login = await secured.visit(`${env.base}/if/flow/default-authentication-flow/`, [
        ['X-Forwarded-Proto', 'https'],
      ]);
      const posted = await secured.submit(
        { url: `${env.base}/if/flow/default-authentication-flow/`, answer: login },
        { username: person.username, password: person.password },
        [
          ['X-Forwarded-Proto', 'https'],
          ['Origin', env.base.replace('http:', 'https:')],
          ['Sec-Fetch-Site', 'same-origin'],
        ],
      );
      for (const line of all(posted, 'set-cookie')) lines.push([line, true]);
      assert.ok(
        all(posted, 'set-cookie').some((l) => l.startsWith('authentik_session=')),
        `no session over https: ${story(posted)}`,
      );
      assert.ok(lines.length >= 4, `only ${lines.length} cookies seen`);
      for (const [line, secure] of lines) {
        const { name, attributes } = parseSetCookie(line);
        // the double-submit token is the one cookie a script of ours may read
        if (name !== 'authentik_csrf') assert.ok(attributes.has('httponly'), line);
        assert.equal(attributes.get('samesite')?.toLowerCase(), 'lax', line);
        assert.equal(attributes.has('domain'), false, line);
        assert.equal(attributes.has('secure'), secure, line);
        assert.ok((attributes.get('path') ?? '').startsWith('/'), line);
      }
    },
  },
  {
    id: 'H2',
    rule: 'H',
    title: 'a session of one application is nothing at another, under whatever name',
    async run(env) {
      const sites = ['one', 'two', 'fwd'] as const;
      for (const from of sites) {
        for (const to of sites) {
          if (from === to) continue;
          for (const name of [nameAt(env, from), nameAt(env, to)]) {
            const mark = marker();
            const cookie = `${name}=${valueAt(env, from)}`;
            for (const path of to === 'fwd'
              ? ['/akprox/auth', '/outpost.goauthentik.io/auth/nginx']
              : [`/private?${mark}`]) {
              const answer = await ask({
                port: env.port,
                host: env.host(to),
                path,
                headers: [
                  ['X-Original-URL', env.url('fwd', '/private')],
                  ['Cookie', cookie],
                ],
              });
              refused(answer, `the session of ${from} at ${to}`);
              unseen(env, mark, answer);
            }
          }
        }
      }
      // staff may use both, the seal still differs
      const staff = env.staff.sessionCookies(env.host('one'))[0];
      const closed = env.staff.sessionCookies(env.host('closed'))[0];
      const own = env.eve.sessionCookies(env.host('one'))[0];
      assert.ok(staff && closed && own, 'sessions are missing');
      const answer = await ask({
        port: env.port,
        host: env.host('closed'),
        path: '/private',
        headers: [['Cookie', `${closed.name}=${own.value}`]],
      });
      refused(answer, 'eve with her session of another application at the one for staff');
    },
  },
  {
    id: 'H3',
    rule: 'H',
    title: 'the application never sees our cookies, and sees all of its own',
    async run(env) {
      const ours = env.eve.cookieHeader(env.host('one'));
      const more = `authentik_session=secret-session; authentik_csrf=secret-csrf; authentik_proxy_deadbeef=secret-other; authentik_proxy_deadbeef_1=secret-piece`;
      const sets: Pair[][] = [
        [['Cookie', `app=1; ${ours}; ${more}; last=2`]],
        [['Cookie', `${ours};app=1;${more};last=2`]],
        [['Cookie', `  ${ours}  ;  app=1 ;${more} ; last=2`]],
        [
          ['Cookie', ours],
          ['Cookie', 'app=1'],
          ['Cookie', more],
          ['Cookie', 'last=2'],
        ],
        [['Cookie', `app=1; ; ;${ours};; last=2; ${more}`]],
        [['Cookie', `${ours}; app=1; AUTHENTIK_PROXY_deadbeef=secret-upper; last=2`]],
      ];
      const secrets = [valueAt(env, 'one'), 'secret-session', 'secret-csrf', 'secret-other', 'secret-piece'];
      for (const path of ['/private', '/public/x']) {
        for (const headers of sets) {
          const mark = marker();
          const answer = await ask({ port: env.port, host: env.host('one'), path: `${path}?${mark}`, headers });
          const [seen] = env.upstream.about(mark);
          assert.ok(seen, `not carried: ${story(answer)}`);
          const cookies = seen.pairs.filter(([n]) => n.toLowerCase() === 'cookie').map(([, v]) => v);
          const text = JSON.stringify(seen.pairs);
          for (const secret of secrets) {
            assert.ok(
              !text.includes(secret),
              `${secret.slice(0, 20)} reached the application in ${cookies.join(' | ')}: ${story(answer)}`,
            );
          }
          assert.match(cookies.join('; '), /last=2/, story(answer));
          assert.match(cookies.join('; '), /app=1/, story(answer));
        }
      }
    },
  },
  {
    id: 'H4',
    rule: 'H',
    title: 'the application cannot plant a cookie with one of our names',
    async run(env) {
      const planted = [
        `${nameAt(env, 'one')}=planted; Path=/`,
        'authentik_proxy_deadbeef=planted',
        'AUTHENTIK_PROXY_deadbeef=planted',
        ' authentik_proxy_deadbeef =planted',
        'authentik_session=planted; Domain=auth.test',
        'app=fine',
      ];
      for (const cookie of planted) {
        const answer = await ask({
          port: env.port,
          host: env.host('one'),
          path: '/private?plant-cookies',
          headers: [
            ['Cookie', env.eve.cookieHeader(env.host('one'))],
            ['X-Plant', cookie],
          ],
        });
        allowed(answer);
        const got = all(answer, 'set-cookie').some((line) => line.includes('planted'));
        assert.equal(got, false, `${cookie} was handed to the browser: ${story(answer)}`);
        if (cookie.startsWith('app'))
          assert.ok(
            all(answer, 'set-cookie').some((l) => l.startsWith('app=fine')),
            story(answer),
          );
      }
    },
  },
  {
    id: 'H5',
    rule: 'H',
    title: 'a cookie domain that is no parent of the host, or a public suffix, is refused or has no effect',
    async run(env) {
      const provider = env.applications.tls.provider;
      for (const cookie_domain of [
        'test',
        '.test',
        'com',
        'co.uk',
        'evil.test',
        'ls.test',
        'x.tls.test',
        '*',
        'tls.test; Domain=evil.test',
        '127.0.0.1',
        'localhost',
      ]) {
        const saved = await env.gatehouse.api.raw('PATCH', `providers/proxy/${provider}/`, {
          cookie_domain,
          mode: 'forward_single',
        });
        if (saved.status >= 400) continue;
        await env.provision.served(env.gatehouse.origin, env.url('tls'));
        const start = await env
          .anyone()
          .visit(env.url('tls', '/outpost.goauthentik.io/start'), [['X-Forwarded-Proto', 'https']]);
        for (const line of all(start, 'set-cookie')) {
          const { attributes } = parseSetCookie(line);
          assert.equal(
            attributes.get('domain'),
            undefined,
            `cookie_domain ${JSON.stringify(cookie_domain)} gives ${line}`,
          );
        }
      }
      await env.gatehouse.api.patch(`providers/proxy/${provider}/`, { cookie_domain: '', mode: 'forward_single' });
    },
  },
  {
    id: 'H6',
    rule: 'H',
    title: 'a session too big for one cookie holds together: pieces of two providers do not mix',
    async run(env) {
      const person = await env.person();
      for (let i = 0; i < 40; i++)
        await env.provision.group(`department of ${person.username} number ${i} ${randomText()}`, [person.pk]);
      const browser = env.anyone();
      await enter(env, browser, 'one', person);
      await enter(env, browser, 'two', person);
      const [first, second] = [browser.sessionCookies(env.host('one')), browser.sessionCookies(env.host('two'))];
      assert.equal(first.length, 2, `${first.length} cookies: ${first.map((c) => c.value.length).join()}`);
      const [a, b] = first.map((c) => c.value);
      const [c, d] = second.map((x) => x.value);
      const [name, piece] = first.map((x) => x.name);
      const send = (cookie: string) =>
        ask({ port: env.port, host: env.host('one'), path: '/private', headers: [['Cookie', cookie]] });
      allowed(await send(`${name}=${a}; ${piece}=${b}`), 'both pieces');
      for (const cookie of [
        `${name}=${a}`,
        `${piece}=${b}`,
        `${name}=${b}; ${piece}=${a}`,
        `${name}=${a}; ${piece}=${d}`,
        `${name}=${c}; ${piece}=${b}`,
        `${name}=${c}; ${piece}=${d}`,
        `${name}=${a}; ${piece}=`,
        `${name}=${a}; ${piece}=${b}${b}`,
        `${name}=${valueAt(env, 'one')}; ${piece}=${b}`,
      ]) {
        const answer = await send(cookie);
        if (cookie.startsWith(`${name}=${valueAt(env, 'one')};`)) {
          // a whole session with a stray piece may count as the whole session, never as the other person
          assert.ok(!answer.text.includes(`"${person.username}"`), story(answer));
        } else refused(answer, 'pieces that do not belong together');
      }
    },
  },
  {
    id: 'H7',
    rule: 'H',
    title: 'of several cookies with our name none opens what a single one would not',
    async run(env) {
      const name = nameAt(env, 'one');
      for (const cookie of [
        `${name}=garbage; ${name}=${valueAt(env, 'two')}`,
        `${name}=${valueAt(env, 'two')}; ${name}=garbage`,
        `${name}=; ${name}=; ${name}=`,
      ]) {
        for (const mode of MODES) refused(await mode.knock(env, { path: '/private', cookie }));
      }
    },
  },
];

/** Letters that do not compress, so that a group name weighs what it is long. */
function randomText(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(48))).toString('base64url');
}
