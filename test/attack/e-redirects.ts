/** Rule E: redirect targets stay inside. */
import assert from 'node:assert/strict';
import { ask, one, story } from './support/ask.ts';
import { split } from './support/browser.ts';
import type { Case } from './support/case.ts';
import type { Env, SiteName } from './support/env.ts';
import { speak } from './support/wire.ts';

/** Targets outside an application at `host`, `port` included; each as it stands in the query, not yet encoded. */
function outside(host: string): string[] {
  const name = host.replace(/:\d+$/, '');
  return [
    '//evil.test',
    '///evil.test',
    '////evil.test/x',
    '/\\evil.test',
    '\\\\evil.test',
    '\\/evil.test',
    '/\t/evil.test',
    '/\n/evil.test',
    '\t//evil.test',
    ' //evil.test',
    '\u0000//evil.test',
    '\u0001https://evil.test/',
    'https:evil.test',
    'http:evil.test',
    'http:/evil.test',
    'https:///evil.test',
    'http:\\\\evil.test',
    `http://${host}@evil.test/`,
    `http://${name}:x@evil.test/`,
    `http://evil.test\\@${host}/`,
    `http://evil.test#@${host}/`,
    `http://evil.test?@${host}/`,
    `http://evil.test/${host}`,
    `http://evil${host}/`,
    `http://${name}.evil.test/`,
    `http://x.${host}/`,
    `http://${name}evil.test/`,
    `http://${name}:1/`,
    `http://${name}/`,
    `https://${host}/`,
    `ftp://${host}/`,
    `javascript://${host}/%0aalert(1)`,
    'javascript:alert(1)',
    'java\tscript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'about:blank',
    `http://${host}\r\nSet-Cookie: a=b/`,
    `http://${name}%00.evil.test/`,
    `http://${name}%2eevil.test/`,
    `http://[::1]:${host.split(':')[1] ?? '80'}/`,
    'http://evil。test/',
    'http://ⅇvil.test/',
    '/%09/evil.test',
    '/.//evil.test',
    '/x/..//evil.test',
    '/..//evil.test',
    '/%5cevil.test',
    'evil.test',
    '@evil.test',
    ':evil.test',
  ];
}

/** Our own endpoints as target would sign in, or out, for ever. */
const OWN = [
  '/outpost.goauthentik.io/callback?X-authentik-auth-callback=true&code=x&state=y',
  '/outpost.goauthentik.io/sign_out',
  '/akprox/sign_out',
  '/x?X-authentik-logout=true',
  '/x?X-authentik-auth-callback=true&code=x',
  '/outpost.goauthentik.io/start?rd=/outpost.goauthentik.io/sign_out',
];

/** Where a browser of eve's ends after `start` with this target: the first address that is not part of a sign-in. */
async function landing(env: Env, site: SiteName, start: string, story_: string[]): Promise<string> {
  const browser = env.eve.copy();
  for (const cookie of browser.sessionCookies(env.host(site)))
    browser.jar.get(env.host(site).replace(/:\d+$/, ''))?.delete(cookie.name);
  let url = env.url(site, start);
  for (let hop = 0; hop < 8; hop++) {
    const answer = await browser.visit(url);
    story_.push(story(answer));
    const location = one(answer, 'location');
    if (answer.status < 300 || answer.status >= 400 || location === '') return url;
    const wasCallback = split(url).path.includes('auth-callback=true') && split(url).path.includes('code=');
    url = new URL(location, url).href;
    if (wasCallback) return url;
  }
  return url;
}

function stays(env: Env, site: SiteName, end: string, journey: string[], rd: string): void {
  const url = new URL(end);
  const expected = new URL(env.url(site));
  const base = new URL(env.base);
  assert.ok(
    url.origin === expected.origin || url.origin === base.origin,
    `rd=${JSON.stringify(rd)} at ${site} ends at ${end}\n${journey.join('\n')}`,
  );
}

export const cases: Case[] = [
  {
    id: 'E1',
    rule: 'E',
    title: '`rd` outside the application is dropped, the sign-in goes on',
    async run(env) {
      for (const [site, prefix] of [
        ['one', '/outpost.goauthentik.io'],
        ['fwd', '/akprox'],
      ] as const) {
        for (const rd of outside(env.host(site))) {
          const journey: string[] = [];
          const end = await landing(env, site, `${prefix}/start?rd=${encodeURIComponent(rd)}`, journey);
          stays(env, site, end, journey, rd);
          assert.equal(
            new URL(end).origin,
            new URL(env.url(site)).origin,
            `rd=${rd} did not sign in\n${journey.join('\n')}`,
          );
        }
      }
    },
  },
  {
    id: 'E2',
    rule: 'E',
    title: 'the same unescaped, and twice',
    async run(env) {
      for (const rd of outside(env.host('fwd')).filter((r) => /^[\u0021-\u007e]+$/.test(r))) {
        const journey: string[] = [];
        stays(env, 'fwd', await landing(env, 'fwd', `/akprox/start?rd=${rd}`, journey), journey, rd);
        stays(
          env,
          'fwd',
          await landing(env, 'fwd', `/akprox/start?rd=/ok&rd=${rd}&x=//evil.test`, journey),
          journey,
          rd,
        );
      }
    },
  },
  {
    id: 'E3',
    rule: 'E',
    title: 'our own endpoints are no target',
    async run(env) {
      for (const rd of OWN) {
        for (const site of ['one', 'fwd'] as const) {
          const journey: string[] = [];
          const end = await landing(env, site, `/outpost.goauthentik.io/start?rd=${encodeURIComponent(rd)}`, journey);
          stays(env, site, end, journey, rd);
          assert.ok(
            !/sign_out|X-authentik-logout|X-authentik-auth-callback/.test(split(end).path),
            `rd=${rd} ends at ${end}\n${journey.join('\n')}`,
          );
        }
      }
    },
  },
  {
    id: 'E4',
    rule: 'E',
    title: 'a target inside is kept whole',
    async run(env) {
      for (const rd of ['/deep/page?a=1&b=%2F..%2F&c=%26', '/x?next=//evil.test', '/@evil.test', '/x#part']) {
        for (const site of ['one', 'fwd'] as const) {
          const journey: string[] = [];
          for (const target of [rd, env.url(site, rd)]) {
            const end = await landing(
              env,
              site,
              `/outpost.goauthentik.io/start?rd=${encodeURIComponent(target)}`,
              journey,
            );
            assert.equal(
              end.replace(/#.*/, ''),
              env.url(site, rd).replace(/#.*/, ''),
              `rd=${target}\n${journey.join('\n')}`,
            );
          }
        }
      }
    },
  },
  {
    id: 'E5',
    rule: 'E',
    title: '`next` of the login page stays at the identity server',
    async run(env) {
      const targets = [...outside(new URL(env.base).host), `http://${env.host('one')}/`, '/if/flow/../../\\evil.test'];
      for (const [i, next] of targets.entries()) {
        const browser = env.anyone();
        const url = `${env.base}/if/flow/default-authentication-flow/?next=${encodeURIComponent(next)}`;
        const page = (await browser.follow(url)).at(-1);
        assert.ok(page, 'no login page');
        const visit = await env.eve.copy().visit(url);
        const locations = [one(visit, 'location')];
        // a whole sign-in costs a password hash, so only some go through with it
        if (i % 6 === 0) {
          const posted = await browser.submit(page, {
            username: env.people.eve.username,
            password: env.people.eve.password,
          });
          locations.push(one(posted, 'location'));
        }
        for (const location of locations) {
          if (location === '') continue;
          assert.equal(
            new URL(location, page.url).origin,
            new URL(env.base).origin,
            `next=${JSON.stringify(next)}: ${location}`,
          );
        }
      }
    },
  },
  {
    id: 'E6',
    rule: 'E',
    title: 'sign-out leads nowhere else',
    async run(env) {
      for (const where of ['rd', 'next', 'post_logout_redirect_uri', 'redirect_uri', 'state']) {
        const query = `${where}=${encodeURIComponent('https://evil.test/')}`;
        for (const [host, path] of [
          [env.host('one'), `/outpost.goauthentik.io/sign_out?${query}`],
          [env.host('fwd'), `/akprox/sign_out?${query}`],
          [new URL(env.base).host, `/application/o/one/end-session/?${query}`],
          [new URL(env.base).host, `/if/flow/default-invalidation-flow/?${query}`],
        ] as const) {
          const answer = await ask({ port: env.port, host, path, headers: [['Accept', 'text/html']] });
          const location = one(answer, 'location');
          assert.ok(location === '' || !new URL(location, 'http://relative.test').host.includes('evil'), story(answer));
          assert.ok(!/(href|action|url)=["']?https:\/\/evil\.test/i.test(answer.text), story(answer));
        }
      }
    },
  },
  {
    id: 'E7',
    rule: 'E',
    title: 'line ends in a target do not become headers',
    async run(env) {
      for (const path of [
        '/outpost.goauthentik.io/start?rd=%2Fx%0d%0aSet-Cookie:%20evil=1',
        '/x%0d%0aSet-Cookie:%20evil=1',
        '/outpost.goauthentik.io/start?rd=/x%E5%98%8A%E5%98%8DSet-Cookie:evil=1',
        '/if/flow/default-authentication-flow/?next=%2Fx%0d%0aSet-Cookie:%20evil=1',
      ]) {
        const host = path.startsWith('/if') ? new URL(env.base).host : env.host('one');
        const received = await speak(
          env.port,
          `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n`,
        );
        assert.ok(!/^set-cookie: *evil=/im.test(received.text), `${received.sent}: ${received.text}`);
      }
    },
  },
];
