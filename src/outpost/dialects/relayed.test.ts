import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { readPath } from '../../rules/canonical-path.ts';
import { ALICE, BASE, providerConfig, TestOutpost } from '../data-plane.test-helper.ts';
import type { Answer } from '../data-plane.test-helper.ts';
import { ASKERS } from '../decision-table.test-helper.ts';
import type { Asker } from '../decision-table.test-helper.ts';

const OP = '/outpost.goauthentik.io';
const navigation = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const relaying = ASKERS.filter(({ dialect }) => dialect === 'relayed');

describe('reverse proxies that relay', () => {
  let outpost: TestOutpost;
  before(async () => {
    outpost = await TestOutpost.start([
      providerConfig({ skip_path_regex: '^/skip' }),
      providerConfig({ pk: 2, external_host: 'http://other.test', assigned_application_slug: 'other' }),
      providerConfig({ pk: 3, external_host: 'http://deep.test/sub', assigned_application_slug: 'app' }),
    ]);
  });
  beforeEach(() => {
    outpost.jar.clear();
    outpost.problems.length = 0;
  });
  after(() => outpost.stop());

  /** The person signs in there, every time in a new session. @returns where that leads */
  let sessions = 0;
  const atServer = (authorize: string) => outpost.server.login(authorize, { ...ALICE, sid: `sid-${++sessions}` });

  /** A browser behind the reverse proxy: every address of the application goes through the question first. */
  async function visit(asker: Asker, address: string, headers: Record<string, string> = navigation): Promise<Answer> {
    const url = new URL(address, 'http://app.test');
    const target = url.pathname + url.search;
    const answer = await asker.ask(outpost, {
      target,
      host: url.host,
      headers: { ...headers, ...outpost.cookieHeader() },
    });
    for (const cookie of answer.headers['set-cookie'] ?? []) outpost.keep(cookie);
    return answer;
  }

  it('Traefik gets the cookies without ours where it asks for them, and nowhere else', async () => {
    const ask = (question: string, cookie?: string) =>
      outpost.send(`${OP}/auth/traefik${question}`, {
        'x-forwarded-host': 'app.test',
        'x-forwarded-proto': 'http',
        'x-forwarded-uri': '/skip',
        ...(cookie !== undefined && { cookie }),
      });
    const mixed = 'a=1; authentik_proxy_0=x; Authentik_Session=y; b=2; authentik_csrf=z; authentik_else=3';
    const answers = [
      await ask('?strip-cookies', mixed),
      await ask('?strip-cookies', 'authentik_proxy_0=x'),
      await ask('?strip-cookies'),
      await ask('', mixed),
    ];
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers['cookie']]),
      [
        [200, 'a=1; b=2; authentik_else=3'],
        [200, undefined],
        [200, undefined],
        [200, undefined],
      ],
    );
  });

  for (const asker of relaying) {
    it(`${asker.name}: a whole login, with no other way to the outpost`, async () => {
      const begun = await visit(asker, '/page?a=1&b=%2F');
      assert.equal(begun.status, 302);
      const back = atServer(begun.headers.location ?? '');
      assert.match(
        back,
        new RegExp(`^http://app\\.test/${asker.generation === 'akprox' ? 'akprox' : 'outpost\\.goauth'}`),
      );
      const done = await visit(asker, back);
      assert.deepEqual([done.status, done.headers.location], [302, 'http://app.test/page?a=1&b=%2F']);
      const passed = await visit(asker, '/page?a=1&b=%2F');
      assert.deepEqual([passed.status, passed.headers['x-authentik-username']], [200, 'alice']);
      assert.equal(passed.headers['x-auth-username'], asker.generation === 'akprox' ? 'alice' : undefined);
      const out = await visit(asker, `/${asker.generation === 'akprox' ? 'akprox' : OP.slice(1)}/sign_out`);
      assert.equal(out.status, 302);
      assert.match(out.headers.location ?? '', /end-session\/\?id_token_hint=ey/);
      assert.equal((await visit(asker, '/page')).status, 302);
    });

    it(`${asker.name}: nothing about a login is ever a permission`, async () => {
      for (const target of [
        `${OP}/sign_out`,
        '/akprox/sign_out',
        `${OP}/callback`,
        `${OP}/callback?code=x&state=y`,
        '/x?X-authentik-auth-callback=true&code=x&state=y',
        '/x?X-authentik-logout=TRUE',
        `${OP}/start`,
        `${OP}/ping`,
        `${OP}/static/x.css`,
        `${OP}/auth/nginx`,
        `${OP}/auth/envoy/skip`,
      ]) {
        for (const headers of [navigation, { 'sec-fetch-mode': 'cors' }, {}]) {
          const answer = await visit(asker, target, headers as Record<string, string>);
          assert.ok(answer.status >= 300, `${target} -> ${answer.status}`);
          outpost.jar.clear();
        }
      }
    });

    it(`${asker.name}: signed out says so, with 401`, async () => {
      const answer = await visit(asker, '/x?X-authentik-logout=true');
      assert.equal(answer.status, 401);
      assert.match(answer.body, /You are signed out/);
    });

    it(`${asker.name}: start leads on, and back to the page`, async () => {
      const begun = await visit(asker, `${OP}/start?rd=http://app.test/deep?x=1&y=2`);
      assert.ok(begun.headers.location?.startsWith(`${BASE}/application/o/authorize/?`), begun.headers.location);
      const done = await visit(asker, atServer(begun.headers.location ?? ''));
      assert.equal(done.headers.location, 'http://app.test/deep?x=1&y=2');
    });

    it(`${asker.name}: finds the application by the original host, and never leads to another`, async () => {
      await visit(asker, atServer((await visit(asker, '/x')).headers.location ?? ''));
      assert.equal((await visit(asker, 'http://other.test/x')).status, 302, 'the session of one is nothing at another');
      const deep = await visit(asker, 'http://deep.test/sub/x');
      assert.equal(
        new URL(deep.headers.location ?? '').searchParams.get('redirect_uri'),
        `http://deep.test/sub/${asker.generation === 'akprox' ? 'akprox' : OP.slice(1)}/callback?X-authentik-auth-callback=true`,
      );
      const done = await visit(asker, atServer(deep.headers.location ?? ''));
      assert.equal(done.headers.location, 'http://deep.test/sub/x');
    });

    it(`${asker.name}: ambiguous targets pass nobody and redirect nowhere else`, async () => {
      for (const target of [
        '//evil.test/skip',
        '/skip/../x',
        '/..',
        '/skip%2f..',
        '/x#/skip',
        '/x /skip',
        '/\\evil.test',
      ]) {
        const answer = await asker.ask(outpost, { target, headers: navigation }).catch(() => undefined);
        if (answer === undefined) continue; // no HTTP client sends it
        assert.ok(answer.status >= 300 || target === '//evil.test/skip', `${target} -> ${answer.status}`);
        assert.ok(!(answer.headers.location ?? '').includes('evil.test%2Fskip'), target);
      }
    });
  }

  it('test vectors 5 to 7 (spec/outpost.md 25)', async () => {
    for (const path of ['/auth/traefik', '/auth/caddy']) {
      const answer = await outpost.send(OP + path, navigation);
      assert.equal(answer.status, 500);
      assert.match(answer.body, path.includes('traefik') ? /forwardAuth middleware/ : /forward_auth/);
      assert.equal(outpost.problems.at(-1)?.code, 'no-original-address');
      const forwarded = { 'x-forwarded-proto': 'http', 'x-forwarded-host': 'app.test' };
      assert.equal((await outpost.send(OP + path, { ...forwarded, 'x-forwarded-uri': '/skip' })).status, 200);
      const login = await outpost.send(OP + path, { ...forwarded, 'x-forwarded-uri': '/app' });
      assert.equal(login.status, 302);
      const authorize = new URL(login.headers.location ?? '');
      assert.equal(authorize.searchParams.get('response_type'), 'code');
      assert.equal(
        authorize.searchParams.get('redirect_uri'),
        `http://app.test${OP}/callback?X-authentik-auth-callback=true`,
      );
    }
  });

  it('tells what is missing, without a secret in it', async () => {
    await outpost.send(`${OP}/auth/traefik?code=secret`, {
      cookie: 'a=secret',
      authorization: 'Bearer secret',
      'X-Api-Key': 'secret',
      'x-forwarded-host': 'app.test',
      'x-original-url': 'http://app.test/x?token=secret',
      'x-forwarded-for': '203.0.113.9',
    });
    const problem = outpost.problems.at(-1);
    assert.equal(problem?.clientIp, '203.0.113.9');
    assert.equal(
      problem.message,
      'Outpost authentik Embedded Outpost (Provider App provider) failed to detect a forward URL from Traefik',
    );
    assert.doesNotMatch(JSON.stringify(problem), /secret/);
    const headers = problem.context?.['headers'] as Record<string, string>;
    assert.equal(headers['x-original-url'], 'http://app.test/x?…');
    assert.ok('cookie' in headers && 'X-Api-Key' in headers, 'names are told');
  });

  it('tells of addresses that cannot be read, and of hosts of no application', async () => {
    const told = () => outpost.problems.splice(0).map(({ code, message, provider }) => [code, message, provider]);
    await outpost.send(`${OP}/auth/caddy`, { 'x-forwarded-host': 'app.test', 'x-forwarded-uri': 'http://app.test/' });
    await outpost.send(`${OP}/auth/nginx`, { 'x-original-url': '/only/a/path' });
    for (const path of ['/auth/traefik', '/auth/nginx', '/start']) await outpost.send(OP + path, { host: 'o:9000' });
    assert.deepEqual(told(), [
      [
        'original-address-invalid',
        'Outpost authentik Embedded Outpost (Provider App provider) failed to detect a forward URL from Caddy',
        1,
      ],
      [
        'original-address-invalid',
        'Outpost authentik Embedded Outpost (Provider App provider) failed to detect a forward URL from nginx',
        1,
      ],
      [
        'unknown-host',
        'Outpost authentik Embedded Outpost was asked by Traefik about "o:9000", the host of no application',
        undefined,
      ],
      [
        'unknown-host',
        'Outpost authentik Embedded Outpost was asked by nginx about "o:9000", the host of no application',
        undefined,
      ],
    ]);
    await outpost.login('/x', { ...ALICE, sid: 'sid-of-told' });
    const headers = { 'x-forwarded-host': 'app.test', 'x-forwarded-uri': '/x' };
    for (const target of ['/x', '/a/../b', '/a%2fb']) {
      await outpost.send(`${OP}/auth/caddy`, { ...headers, 'x-forwarded-uri': target, ...outpost.cookieHeader() });
    }
    assert.deepEqual(told(), [], 'what visitors do is no mistake of the set-up');
  });

  it('names of Envoy count by its Host, whatever is forwarded beside it', async () => {
    await outpost.login('/x', { ...ALICE, sid: 'sid-at-envoy' });
    const cookie = outpost.cookieHeader();
    const ask = async (host: string, forwarded: string) =>
      (await outpost.send(`${OP}/auth/envoy/x`, { host, 'x-forwarded-host': forwarded, ...cookie })).status;
    assert.equal(await ask('app.test', 'other.test'), 200);
    assert.equal(await ask('other.test', 'app.test'), 302);
    assert.equal(await ask('nobody.test', 'app.test'), 400);
  });

  it('Envoy asks below a whole label only, and what follows is never one of our endpoints', async () => {
    for (const path of ['/auth/envoyfoo', '/auth/envoy.', '/auth/envoy%2fskip', '/auth/envo']) {
      assert.equal((await outpost.send(OP + path)).status, 404, path);
    }
    assert.equal((await outpost.send(`${OP}/auth/envoy`)).status, 302);
    assert.equal((await outpost.send(`${OP}/auth/envoy?/skip`)).status, 302);
    assert.equal((await outpost.send(`${OP}/auth/envoy/skip?x`)).status, 200);
    for (const path of ['/../start', '/../../akprox/ping', '/%2e%2e/nginx', '/..%2fping', '/./skip', '/skip/..']) {
      const answer = await outpost.send(`${OP}/auth/envoy${path}`, navigation);
      assert.equal(answer.status, 400, path);
    }
  });

  it('Envoy, which tells no scheme, is asked with the one of the external host', async () => {
    const wide = await TestOutpost.start([
      providerConfig({
        mode: 'forward_domain',
        external_host: 'https://id.example.test',
        cookie_domain: 'example.test',
        skip_path_regex: '^https://open\\.example\\.test/',
      }),
    ]);
    const ask = async (headers: Record<string, string>) =>
      (await wide.send(`${OP}/auth/envoy/x`, { host: 'open.example.test', ...headers })).status;
    assert.equal(await ask({}), 200);
    assert.equal(await ask({ 'x-forwarded-proto': 'https' }), 200);
    assert.equal(await ask({ 'x-forwarded-proto': 'http' }), 302);
    assert.equal(await ask({ host: 'closed.example.test' }), 302);
    await wide.stop();
  });

  it('all ask the same: any target is decided alike, opens by its path alone, and leads nowhere else', async () => {
    const pieces = [
      '/',
      '//',
      '.',
      '..',
      '%2e',
      '%2f',
      '%5c',
      '\\',
      ';',
      '%3b',
      '%00',
      '%',
      '%ff',
      'skip',
      'x',
      '@',
      ':',
      '?',
      '&',
      '=',
    ];
    const target = fc.array(fc.constantFrom(...pieces), { maxLength: 9 }).map((parts) => `/${parts.join('')}`);
    const property = fc.asyncProperty(target, async (text) => {
      const answers = await Promise.all(
        relaying.map((asker) => asker.ask(outpost, { target: text, headers: navigation })),
      );
      const [first] = answers;
      for (const answer of answers) {
        assert.equal(answer.status, first?.status, text);
        const path = text.replace(/\?.*/s, '');
        if (answer.status === 200) assert.ok(readPath(path).kind === 'plain' && /^\/+skip/.test(path), text);
        else if (answer.status === 302) assert.equal(new URL(answer.headers.location ?? '').origin, BASE);
        else assert.equal(answer.status, 400, text);
      }
    });
    await fc.assert(property, { numRuns: 300 });
  });

  it('strangers name no address', async () => {
    const stranger = await TestOutpost.start([providerConfig({ skip_path_regex: '/skip' })], { trustedProxyCidrs: [] });
    for (const path of ['/auth/traefik', '/auth/caddy']) {
      const answer = await stranger.send(OP + path, { 'x-forwarded-uri': '/skip', 'x-forwarded-method': 'GET' });
      assert.equal(answer.status, 500);
      assert.match(String(stranger.problems.at(-1)?.context?.['hint']), /127\.0\.0\.1 .* none of the trusted networks/);
    }
    await stranger.stop();
  });

  it('lead back to any host of a domain, and to no other', async () => {
    const domain = {
      mode: 'forward_domain' as const,
      external_host: 'https://id.example.test',
      cookie_domain: 'example.test',
    };
    const wide = await TestOutpost.start([providerConfig(domain)]);
    for (const asker of relaying) {
      for (const [host, back] of [
        ['a.example.test', 'https://a.example.test/x?y=1'],
        ['a.b.example.test', 'https://a.b.example.test/x?y=1'],
        ['id.example.test', 'https://id.example.test/x?y=1'],
        ['a.example.test:8443', 'https://id.example.test/'],
      ] as const) {
        wide.jar.clear();
        const begun = await asker.ask(wide, { target: '/x?y=1', host, headers: navigation });
        for (const cookie of begun.headers['set-cookie'] ?? []) wide.keep(cookie);
        assert.match(String(begun.headers['set-cookie']), /Domain=example\.test/);
        const done = await wide.browse(wide.server.login(begun.headers.location ?? ''));
        assert.equal(done.headers.location, back, asker.name);
        const passed = await asker.ask(wide, {
          target: '/x',
          host: 'other.example.test',
          headers: wide.cookieHeader() as never,
        });
        assert.equal(passed.status, 200, 'one login for all');
      }
      const answer = await asker.ask(wide, { target: '/x', host: 'evilexample.test', headers: navigation });
      assert.equal(answer.status, 400);
    }
    await wide.stop();
  });

  it('renews by the original method only', async () => {
    await outpost.login('/x', { ...ALICE, sid: 'sid-of-renewal' });
    outpost.pass(2000);
    const ask = async (method: string) =>
      (await outpost.send(`${OP}/auth/traefik`, {
        'x-forwarded-host': 'app.test', 'x-forwarded-uri': '/x', 'x-forwarded-method': method, ...navigation, ...outpost.cookieHeader(),
      })).status; // prettier-ignore
    assert.equal(await ask('POST'), 200);
    assert.equal(await ask('GET'), 302);
  });
});
