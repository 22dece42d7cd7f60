/** Rules E, F and H at domain level: one cookie and one login for many hosts, which must not become one application. */
import assert from 'node:assert/strict';
import { EXTENSION_HEADER, EXTENSION_VERSION } from '../../src/contract/extension.ts';
import { eventually } from '../harness/wait.ts';
import { all, ask, one, story, type Pair } from './support/ask.ts';
import { parseSetCookie } from './support/browser.ts';
import type { Case } from './support/case.ts';
import { DOMAIN, domainLevel } from './support/domain.ts';
import { clientFor, codeFor, notIssued, post, redemption } from './support/oauth.ts';

/** Targets that are not below the domain, and such as look so. */
const outside = (port: number): string[] => [
  `http://evil${DOMAIN}/`,
  `http://evil-${DOMAIN}:${port}/`,
  `http://open.evil${DOMAIN}:${port}/`,
  `http://${DOMAIN}.evil.test/`,
  `http://open.${DOMAIN}.evil.test:${port}/`,
  `http://open.${DOMAIN}@evil.test/`,
  `http://open.${DOMAIN}:x@evil.test/`,
  `http://evil.test\\@open.${DOMAIN}/`,
  `http://evil.test#@open.${DOMAIN}/`,
  `http://evil.test?.${DOMAIN}/`,
  `http://evil.test%2f.${DOMAIN}/`,
  `http://evil.test%00.${DOMAIN}/`,
  `http://evil.test /.${DOMAIN}/`,
  `http://evil。${DOMAIN.replace('.', '')}/`,
  `http://open.${DOMAIN}:1/`,
  `http://eve@open.${DOMAIN}:${port}/`,
  `http://[::1]:${port}/`,
  `http://127.0.0.1:${port}/`,
  `//open.${DOMAIN}:${port}/`,
  `javascript://open.${DOMAIN}/%0aalert(1)`,
  `ftp://open.${DOMAIN}/`,
  `data:text/html,${DOMAIN}`,
  `http://open.${DOMAIN}:${port}/outpost.goauthentik.io/sign_out`,
  `http://open.${DOMAIN}:${port}/akprox/callback?code=x`,
  `http://open.${DOMAIN}:${port}/?X-authentik-logout=true`,
  'http://test/',
];

export const cases: Case[] = [
  {
    id: 'E8',
    rule: 'E',
    title: 'at domain level `rd` leads below the domain only, whichever host the login begins at',
    async run(env) {
      const domain = await domainLevel(env);
      const start = domain.url('login');
      for (const rd of outside(env.port)) {
        for (const host of ['login', 'open'] as const) {
          const path = `/outpost.goauthentik.io/start?rd=${encodeURIComponent(rd)}`;
          const answer = await domain.eve.copy().visit(domain.url(host, path));
          assert.equal(one(answer, 'location'), start, `rd=${JSON.stringify(rd)}\n${story(answer)}`);
        }
      }
    },
  },
  {
    id: 'E9',
    rule: 'E',
    title: 'at domain level a target below the domain is kept whole, and no header makes one',
    async run(env) {
      const domain = await domainLevel(env);
      const inside = domain.url('any', '/deep?a=1&b=%2F..%2F&c=%26');
      for (const rd of [encodeURIComponent(inside), inside]) {
        const answer = await domain.eve.copy().visit(domain.url('login', `/akprox/start?rd=${rd}`));
        assert.equal(one(answer, 'location'), inside, story(answer));
      }
      for (const header of [
        'Host',
        'X-Forwarded-Host',
        'X-Forwarded-Server',
        'Forwarded',
        'X-Original-URL',
        'Origin',
      ]) {
        for (const value of [
          'evil.test',
          `evil${DOMAIN}`,
          `open.${DOMAIN}@evil.test`,
          'host=evil.test',
          '//evil.test',
        ]) {
          const host = header === 'Host' ? value : domain.host('login');
          const headers: Pair[] = [
            ['Accept', 'text/html'],
            ['Cookie', domain.eve.cookieHeader(domain.host('login'))],
            ...(header === 'Host' ? [] : [[header, value] as const]),
          ];
          const answer = await ask({ port: env.port, host, path: '/akprox/start?rd=/x', headers });
          assert.ok(!/evil/.test(one(answer, 'location')), story(answer));
        }
      }
    },
  },
  {
    id: 'H8',
    rule: 'H',
    title: 'the cookies of a domain are for that domain, deleted there, and of no use on any other host',
    async run(env) {
      const domain = await domainLevel(env);
      const person = await env.person();
      const browser = env.anyone();
      const hops = await browser.signIn(
        domain.url('open', '/outpost.goauthentik.io/start'),
        person.username,
        person.password,
      );
      const signedIn = browser.copy();
      const cookie = signedIn.cookieHeader(domain.host('open'));
      assert.equal((await domain.knock(domain.url('any'), signedIn)).status, 200);
      for (const host of [`evil${DOMAIN}`, `open.${DOMAIN}.evil.test`, 'test', env.host('one'), env.host('fwd')]) {
        const answer = await ask({
          port: env.port,
          host,
          path: '/outpost.goauthentik.io/auth/nginx',
          headers: [
            ['Cookie', cookie],
            ['X-Original-URL', `http://${host}/`],
          ],
        });
        assert.notEqual(answer.status, 200, story(answer));
      }
      const out = await browser.visit(domain.url('any', '/x?X-authentik-logout=true'));
      const lines = [...hops.flatMap((hop) => all(hop.answer, 'set-cookie')), ...all(out, 'set-cookie')];
      const cookies = lines.map(parseSetCookie).filter(({ name }) => /^authentik_proxy_[0-9a-f]{8}/.test(name));
      assert.ok(cookies.length >= 3, lines.join('\n'));
      for (const { name, attributes } of cookies) {
        assert.equal(attributes.get('domain'), DOMAIN, name);
        assert.ok(attributes.has('httponly'), name);
        assert.equal(attributes.get('samesite')?.toLowerCase(), 'lax', name);
      }
      assert.deepEqual(browser.sessionCookies(domain.host('open')), [], story(out));
      // within a second, also at the other worker
      await eventually('the session is over', 1000, async () => {
        for (let i = 0; i < 4; i++) assert.equal((await domain.knock(domain.url('any'), signedIn)).status, 401);
      });
    },
  },
  {
    id: 'H9',
    rule: 'H',
    title: 'a cookie domain that everybody has hosts below is refused, whatever its spelling',
    async run(env) {
      for (const [external_host, cookie_domain] of [
        ['https://a.example.co.uk', 'co.uk'],
        ['https://a.example.co.uk', '.CO.UK.'],
        ['https://me.github.io', 'github.io'],
        ['https://me.duckdns.org', 'duckdns.org'],
        ['https://a.b.kawasaki.jp', 'b.kawasaki.jp'],
        ['https://a.b.compute.amazonaws.com', 'compute.amazonaws.com'],
        ['https://a.example.com', 'com'],
        ['https://a.example.com', ''],
        ['https://a.example.com', 'evil.test'],
        ['https://a.example.com', 'xample.com'],
        ['https://a.example.com', 'example.com; Secure'],
        ['https://a.example.com', 'example.com\r\nSet-Cookie: a=b'],
      ] as const) {
        await assert.rejects(
          env.provision.application({
            slug: 'everybodys',
            mode: 'forward_domain',
            externalHost: external_host,
            provider: { cookie_domain },
          }),
          /cookie_domain/,
          `${JSON.stringify(cookie_domain)} at ${external_host}`,
        );
      }
    },
  },
  {
    id: 'H10',
    rule: 'H',
    title: 'one login for a domain opens no application whose rules refuse the person',
    async run(env) {
      const domain = await domainLevel(env);
      const eve = env.anyone();
      await eve.signIn(
        domain.url('login', '/outpost.goauthentik.io/start'),
        env.people.eve.username,
        env.people.eve.password,
      );
      const open = await domain.knock(domain.url('open', '/x'), eve);
      assert.equal(open.status, 200, story(open));
      assert.equal(one(open, 'x-authentik-meta-app'), 'domain-open');
      assert.equal((await domain.knock(domain.url('mixed', '/x'), eve)).status, 200);

      const refused = async (url: string, headers: Pair[] = []) => {
        const answer = await domain.knock(url, eve, headers);
        assert.notEqual(answer.status, 200, `${url}: ${story(answer)}`);
      };
      const closed = domain.url('closed', '/x');
      await refused(closed);
      for (const name of ['X-Forwarded-Host', 'Host']) {
        for (const other of ['open', 'any', 'login'] as const) await refused(closed, [[name, domain.host(other)]]);
      }
      await refused(domain.url('open', '/x'), [['Host', domain.host('closed')]]);
      await refused(closed, [['X-Original-URI', '/x']]);
      for (const authority of [`CLOSED.${DOMAIN}:${env.port}`, `closed.${DOMAIN}.:${env.port}`, `closed.${DOMAIN}:1`]) {
        await refused(`http://${authority}/x`);
      }
      for (const path of [
        '/closed',
        '/closed/',
        '/closed/x',
        '/CLOSED/x',
        '/%63losed/x',
        '/%43losed/x',
        '/closed%2fx',
        '/x%2f..%2fclosed',
        '//closed',
        '/closed;x=y',
        '/closed;/x',
        '/%2563losed',
        '/closed%00',
        '/./closed',
        '/x/../closed',
        '/closed\\x',
      ]) {
        await refused(domain.url('mixed', path));
      }
      // the older question names no path: the whole host must be open
      for (const host of ['closed', 'mixed'] as const) {
        const cookie: Pair = ['Cookie', eve.cookieHeader(domain.host(host))];
        const headers: Pair[] = [cookie, ['X-Original-URL', domain.url('open')]];
        const answer = await ask({ port: env.port, host: domain.host(host), path: '/akprox/auth', headers });
        assert.equal(answer.status, 401, story(answer));
        for (const kind of ['traefik', 'caddy']) {
          const relayed = await ask({
            port: env.port,
            host: domain.host('open'),
            path: `/outpost.goauthentik.io/auth/${kind}`,
            headers: [
              cookie,
              ['Accept', 'text/html'],
              ['X-Forwarded-Proto', 'http'],
              ['X-Forwarded-Host', domain.host(host)],
              ['X-Forwarded-Uri', '/closed/x'],
            ],
          });
          assert.equal(relayed.status, 403, story(relayed));
        }
      }
    },
  },
  {
    id: 'H11',
    rule: 'H',
    title: 'a rule that opens one host of a domain to everybody opens no other',
    async run(env) {
      const domain = await domainLevel(env);
      const nobody = env.anyone();
      const open = await domain.knock(domain.url('public', '/x'), nobody);
      assert.equal(open.status, 200, story(open));
      const lures = [domain.url('public', '/x'), `http://public.${DOMAIN}/x`, 'http://public.evil.test/x'];
      for (const host of ['any', 'closed', 'login'] as const) {
        const refused = async (...headers: Pair[]) => {
          const answer = await domain.knock(domain.url(host, '/x'), nobody, headers);
          assert.ok([401, 403].includes(answer.status), `${host} ${headers.join('; ')}: ${story(answer)}`);
        };
        await refused();
        for (const url of lures) {
          const forwarded: Pair = ['X-Forwarded-Host', new URL(url).host];
          await refused(['X-Original-URL', url]);
          await refused(['X-Original-URL', url], ['X-Original-URI', '/x']);
          await refused(['X-Original-URL', ''], ['X-Original-URI', '/x'], forwarded);
          if (host !== 'login') await refused(['X-Original-URL', url], forwarded);
        }
      }
    },
  },
  {
    id: 'F13',
    rule: 'F',
    title: 'an outpost that knows no applications of a domain gets no token for who may not open all the rest',
    async run(env) {
      const externalHost = `http://login.older.test:${env.port}`;
      const { provider, slug } = await env.provision.application({
        slug: 'older-outpost',
        mode: 'forward_domain',
        externalHost,
        provider: { cookie_domain: 'older.test' },
        groups: [env.staffGroup],
      });
      await env.provision.boundApplication(provider, { slug: 'older-outpost-open', host: 'open.older.test' });
      const client = await clientFor(env, { slug, provider, externalHost });
      const answer = await post(env, 'token', redemption(client, await codeFor(env, env.eve, client)));
      notIssued(answer, 'the domain is closed to eve');
      const own: Pair = [EXTENSION_HEADER, EXTENSION_VERSION];
      const code = await codeFor(env, env.eve, client);
      for (const client_secret of ['', 'guess']) {
        const unproven = { ...redemption(client, code), client_secret };
        notIssued(await post(env, 'token', unproven, [own]), 'an outpost of ours shows the secret');
      }
      // ours know the others, and let her in where she may go
      const open = `http://open.older.test:${env.port}/x`;
      await env.provision.served(env.gatehouse.origin, open);
      const eve = env.eve.copy();
      const hops = await eve.signIn(
        `${externalHost}/outpost.goauthentik.io/start?rd=${encodeURIComponent(open)}`,
        env.people.eve.username,
        env.people.eve.password,
      );
      assert.equal(hops.at(-1)?.url, open, hops.map((hop) => story(hop.answer)).join('\n'));
    },
  },
];
