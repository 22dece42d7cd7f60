/** Rule G: login, state, CSRF. */
import assert from 'node:assert/strict';
import { ADMIN_PASSWORD } from '../harness/gatehouse.ts';
import { all, ask, one, story, type Answer, type Pair } from './support/ask.ts';
import { split, type Browser, type Cookie, type Hop } from './support/browser.ts';
import type { Case } from './support/case.ts';
import { enter, type Env } from './support/env.ts';
import { givesNoSession, passes, refused } from './support/verify.ts';

/** Everything before the callback: the address the identity server sends the browser back to, not yet visited. */
async function callbackOf(browser: Browser, url: string): Promise<string> {
  let next = url;
  for (let hop = 0; hop < 6; hop++) {
    const answer = await browser.visit(next);
    const location = one(answer, 'location');
    assert.ok(location !== '', `no way to the callback: ${story(answer)}`);
    next = new URL(location, next).href;
    if (/[?&]code=/.test(next)) return next;
  }
  assert.fail(`no callback from ${url}`);
}

/** Signed in at the identity server only. */
async function signedIn(env: Env): Promise<{ browser: Browser; username: string }> {
  const { person, browser } = await env.visitor();
  browser.jar.delete('one.test');
  return { browser, username: person.username };
}

const isMine = (answer: Answer, username: string) => answer.text.includes(`"${username}"`);

const FOREIGN: Pair[][] = [
  [
    ['Origin', 'http://evil.test'],
    ['Sec-Fetch-Site', 'cross-site'],
  ],
  [
    ['Origin', 'null'],
    ['Sec-Fetch-Site', 'cross-site'],
  ],
  [['Origin', 'http://evil.test']],
  [['Origin', 'null']],
  [['Sec-Fetch-Site', 'cross-site']],
  [
    ['Sec-Fetch-Site', 'same-site'],
    ['Origin', 'http://one.test'],
  ],
  [['Origin', 'http://auth.test.evil.test']],
  [['Origin', 'http://auth.test:1']],
];

export const cases: Case[] = [
  {
    id: 'G1',
    rule: 'G',
    title: 'the callback of one browser is nothing in another (login CSRF)',
    async run(env) {
      const attacker = await signedIn(env);
      const callback = await callbackOf(attacker.browser, env.url('one', '/private'));
      for (const victim of [env.anyone(), env.eve.copy()]) {
        const first = await victim.visit(callback);
        givesNoSession(first);
        const hops = await victim.follow(callback, 6);
        for (const hop of hops)
          assert.ok(!isMine(hop.answer, attacker.username), `became the attacker: ${story(hop.answer)}`);
      }
    },
  },
  {
    id: 'G2',
    rule: 'G',
    title: 'the attempt of one browser with the code of another is nothing',
    async run(env) {
      const [attacker, victim] = [await signedIn(env), await signedIn(env)];
      const theirs = new URL(await callbackOf(attacker.browser, env.url('one', '/private')));
      const mine = new URL(await callbackOf(victim.browser, env.url('one', '/private')));
      mine.searchParams.set('code', theirs.searchParams.get('code') ?? '');
      const answer = await victim.browser.visit(mine.href);
      givesNoSession(answer);
    },
  },
  {
    id: 'G3',
    rule: 'G',
    title: 'a callback is used once, even when the cookies are put back',
    async run(env) {
      const { browser } = await signedIn(env);
      const callback = await callbackOf(browser, env.url('one', '/private'));
      const before = browser.copy();
      const first = await browser.visit(callback);
      assert.ok(browser.sessionCookies(env.host('one')).length > 0, `the first use failed: ${story(first)}`);
      assert.deepEqual(attemptCookies(env, browser), [], 'the attempt cookie is still there');
      givesNoSession(await before.visit(callback));
      const other = env.anyone();
      givesNoSession(await other.visit(callback));
    },
  },
  {
    id: 'G4',
    rule: 'G',
    title: 'changed, foreign and missing states give no session and no loop',
    async run(env) {
      const { browser } = await signedIn(env);
      const callback = await callbackOf(browser, env.url('one', '/private'));
      const state = new URL(callback).searchParams.get('state') ?? '';
      const foreign =
        new URL(await callbackOf((await signedIn(env)).browser, env.url('two', '/private'))).searchParams.get(
          'state',
        ) ?? '';
      const states = [
        '',
        'x',
        state.slice(0, -3),
        `${state}A`,
        `A${state.slice(1)}`,
        state.split('.').toReversed().join('.'),
        foreign,
        'A'.repeat(20_000),
        '../..',
        '{"t":"https://evil.test"}',
        '%00',
      ];
      for (const value of states) {
        const url = new URL(callback);
        url.searchParams.set('state', value);
        const hops = await browser.copy().follow(url.href, 1);
        const answer = hops[0]?.answer;
        assert.ok(answer, 'no answer');
        givesNoSession(answer);
        assert.ok(answer.status < 500, story(answer));
        assert.ok(!one(answer, 'location').includes('evil'), story(answer));
      }
      for (const query of ['', '?code=x', '?state=x', '?error=access_denied', '?code=a&code=b&state=c&state=d']) {
        const answer = await browser.copy().visit(env.url('one', `/outpost.goauthentik.io/callback${query}`));
        givesNoSession(answer);
        assert.ok(answer.status < 500, story(answer));
      }
    },
  },
  {
    id: 'G5',
    rule: 'G',
    title: 'a browser that keeps no cookies ends on a page that says why, not in a loop',
    async run(env) {
      const { browser } = await signedIn(env);
      let next = env.url('one', '/private');
      const journey: string[] = [];
      for (let hop = 0; hop < 20; hop++) {
        browser.jar.delete('one.test');
        const answer: Answer = await browser.visit(next);
        journey.push(story(answer));
        const location = one(answer, 'location');
        if (location === '') {
          refused(answer, 'the page at the end');
          assert.ok(answer.text.includes('<html'), `no page at the end: ${story(answer)}`);
          return;
        }
        next = new URL(location, next).href;
      }
      assert.fail(`still redirected after 20 steps\n${journey.join('\n')}`);
    },
  },
  {
    id: 'G6',
    rule: 'G',
    title: 'a refusal at the callback ends on a page',
    async run(env) {
      for (const error of ['access_denied', 'server_error', '<script>alert(1)</script>']) {
        const browser = env.anyone();
        const hop = await browser.visit(env.url('one', '/private'));
        const state = new URL(one(hop, 'location')).searchParams.get('state') ?? '';
        const query = new URLSearchParams({ error, error_description: '<script>alert(2)</script>', state });
        const answer = await browser.visit(
          env.url('one', `/outpost.goauthentik.io/callback?X-authentik-auth-callback=true&${query.toString()}`),
        );
        assert.equal(one(answer, 'location'), '', story(answer));
        refused(answer);
        assert.ok(!answer.text.includes('<script>alert'), story(answer));
      }
    },
  },
  {
    id: 'G7',
    rule: 'G',
    title: 'the session of the identity server gets a new name at each sign-in',
    async run(env) {
      const person = await env.person();
      const name = 'authentik_session';
      const fixed = 'chosen-by-the-attacker-0123456789012345678901234567';
      const host = new URL(env.base).hostname;
      const browser = env.anyone();
      browser.jar.set(host, new Map([[name, { name, value: fixed, attributes: new Map<string, string>() }]]));
      await browser.signIn(`${env.base}/if/user/`, person.username, person.password);
      const after = browser.cookies(host).find((c) => c.name === name)?.value;
      assert.ok(after !== undefined && after !== fixed, 'the value chosen before the sign-in is the session');
      const thief = env.anyone();
      thief.jar.set(host, new Map([[name, { name, value: fixed, attributes: new Map<string, string>() }]]));
      refused(await thief.visit(`${env.base}/if/user/`), 'the value chosen before the sign-in works');
    },
  },
  {
    id: 'G8',
    rule: 'G',
    title: 'sign-in forms posted from elsewhere sign nobody in',
    async run(env) {
      const person = await env.person();
      for (const headers of FOREIGN) {
        const browser = env.anyone();
        const page = await loginPage(env, browser);
        const answer = await browser.submit(page, { username: person.username, password: person.password }, headers);
        assert.ok(answer.status >= 400, `posted with ${JSON.stringify(headers)}: ${story(answer)}`);
        refused(await browser.visit(`${env.base}/if/user/`), 'signed in by a post from elsewhere');
      }
      const bare = env.anyone();
      const page = await loginPage(env, bare);
      const answer = await bare.visit(page.url, [], 'POST', { username: person.username, password: person.password });
      refused(answer);
      refused(await bare.visit(`${env.base}/if/user/`), 'signed in by a post without origin and token');
    },
  },
  {
    id: 'G9',
    rule: 'G',
    title: 'nobody is signed out by a post, an image or a frame of another site',
    async run(env) {
      const { browser } = await env.visitor();
      const host = new URL(env.base).host;
      for (const headers of FOREIGN) {
        for (const path of [
          '/if/flow/default-invalidation-flow/',
          '/flows/-/default/invalidation/',
          '/application/o/one/end-session/',
        ]) {
          await ask({
            port: env.port,
            method: 'POST',
            host,
            path,
            headers: [
              ['Cookie', browser.cookieHeader(host)],
              ['Content-Type', 'application/x-www-form-urlencoded'],
              ...headers,
            ],
            body: 'a=b',
          });
          await ask({
            port: env.port,
            host,
            path,
            headers: [
              ['Cookie', browser.cookieHeader(host)],
              ['Sec-Fetch-Mode', 'no-cors'],
              ['Sec-Fetch-Dest', 'image'],
              ...headers,
            ],
          });
        }
      }
      const visit = await browser.visit(`${env.base}/if/user/`);
      assert.ok(passes(visit), `signed out by another site: ${story(visit)}`);
    },
  },
  {
    id: 'G10',
    rule: 'G',
    title: 'the API takes no write from another site over the session cookie',
    async run(env) {
      const admin = env.anyone();
      await admin.signIn(`${env.base}/if/user/`, 'akadmin', ADMIN_PASSWORD);
      const host = new URL(env.base).host;
      const cookie: Pair = ['Cookie', admin.cookieHeader(host)];
      const path = `/api/v3/core/users/${env.people.eve.pk}/`;
      for (const headers of [
        [],
        ...FOREIGN,
        [
          ['X-authentik-CSRF', 'guess'],
          ['Origin', 'http://evil.test'],
        ] as Pair[],
      ]) {
        for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
          const answer = await ask({
            port: env.port,
            method: 'PATCH',
            host,
            path,
            headers: [cookie, ['Content-Type', type], ...headers],
            body: '{"name":"Changed by another site"}',
          });
          assert.ok(answer.status >= 400, story(answer));
        }
      }
      const user = await env.gatehouse.api.get(`core/users/${env.people.eve.pk}/`);
      assert.notEqual(user['name'], 'Changed by another site');
    },
  },
  {
    id: 'G11',
    rule: 'G',
    title: 'no page may be framed, and no attempt starts in a frame',
    async run(env) {
      for (const [host, path] of [
        [new URL(env.base).host, '/if/flow/default-authentication-flow/'],
        [env.host('closed'), '/private'],
        [env.host('one'), '/outpost.goauthentik.io/callback'],
      ] as const) {
        const answer = await ask({ port: env.port, host, path, headers: [['Accept', 'text/html']] });
        if (one(answer, 'location') !== '') continue;
        assert.match(one(answer, 'content-security-policy'), /frame-ancestors 'none'/, story(answer));
      }
      const framed = await ask({
        port: env.port,
        host: env.host('one'),
        path: '/private',
        headers: [
          ['Accept', 'text/html'],
          ['Sec-Fetch-Mode', 'navigate'],
          ['Sec-Fetch-Dest', 'iframe'],
          ['Sec-Fetch-Site', 'cross-site'],
        ],
      });
      assert.equal(framed.status, 401, story(framed));
      assert.deepEqual(all(framed, 'set-cookie'), [], story(framed));
    },
  },
  {
    id: 'G12',
    rule: 'G',
    title: 'ten attempts at once end each on its own address; cookies of attempts do not pile up',
    async run(env) {
      const { browser } = await signedIn(env);
      for (let i = 0; i < 12; i++) await browser.visit(env.url('one', `/tab${i}`));
      const attempts = attemptCookies(env, browser);
      assert.ok(attempts.length > 0 && attempts.length <= 8, `${attempts.length} attempt cookies`);
      for (const { name, value } of attempts) {
        assert.ok(name.length + value.length <= 600, 'an attempt cookie over 600 bytes');
      }
      await enter(env, browser, 'one', env.people.eve);
    },
  },
];

/** Cookies of sign-ins under way at `one`. */
function attemptCookies(env: Env, browser: Browser): Cookie[] {
  return browser.cookies(env.host('one')).filter((c) => /^authentik_proxy_[0-9a-f]{8}_a/.test(c.name));
}

async function loginPage(env: Env, browser: Browser): Promise<Hop> {
  const page = (await browser.follow(`${env.base}/if/flow/default-authentication-flow/`)).at(-1);
  assert.ok(page !== undefined && split(page.url).path !== '', 'no login page');
  return page;
}
