import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ALICE, BASE, providerConfig, TestOutpost } from './data-plane.test-helper.ts';

const NGINX = '/outpost.goauthentik.io/auth/nginx';
const asked = { 'x-original-url': 'http://app.test/page?a=1' };
const xhr = { accept: 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };

describe('login behind nginx', () => {
  let outpost: TestOutpost;
  before(async () => {
    outpost = await TestOutpost.start([providerConfig()]);
  });
  beforeEach(() => outpost.jar.clear());
  after(() => outpost.stop());

  it('goes to the login and comes back to the page with its query', async () => {
    assert.equal((await outpost.browse(NGINX, asked)).status, 401);
    const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=http://app.test/page?a=1&b=2');
    assert.equal(begun.status, 302);
    const authorize = new URL(begun.headers.location ?? '');
    assert.equal(authorize.origin + authorize.pathname, `${BASE}/application/o/authorize/`);
    assert.deepEqual([...authorize.searchParams.keys()], [
      'client_id', 'code_challenge', 'code_challenge_method', 'nonce', 'redirect_uri', 'response_type', 'scope', 'state',
    ]); // prettier-ignore
    assert.equal(
      authorize.searchParams.get('redirect_uri'),
      'http://app.test/outpost.goauthentik.io/callback?X-authentik-auth-callback=true',
    );
    const done = await outpost.browse(outpost.server.login(authorize.href));
    assert.equal(done.status, 302);
    assert.equal(done.headers.location, 'http://app.test/page?a=1&b=2');
    const passed = await outpost.browse(NGINX, asked);
    assert.equal(passed.status, 200);
    assert.equal(passed.headers['x-authentik-username'], 'alice');
  });

  it('sends the twelve headers, in order and casing, and the User-Agent', async () => {
    await outpost.login();
    const { raw } = await outpost.browse(NGINX, { ...asked, 'user-agent': 'test/1' });
    const names = raw.filter((_, i) => i % 2 === 0);
    assert.deepEqual(names.slice(0, 14), [
      'X-Authentik-Username', 'X-Authentik-Groups', 'X-Authentik-Entitlements', 'X-Authentik-Email',
      'X-Authentik-Name', 'X-Authentik-Uid', 'X-Authentik-Jwt', 'X-Authentik-Meta-Jwks', 'X-Authentik-Meta-Outpost',
      'X-Authentik-Meta-Provider', 'X-Authentik-Meta-App', 'X-Authentik-Meta-Version', 'User-Agent', 'Content-Length',
    ]); // prettier-ignore
    const value = (name: string) => raw[names.indexOf(name) * 2 + 1] ?? '';
    assert.equal(value('X-Authentik-Groups'), 'staff|a%7Cb');
    assert.equal(Buffer.from(value('X-Authentik-Name'), 'latin1').toString('utf8'), 'Älice Example');
    assert.equal(value('X-Authentik-Meta-Version'), 'goauthentik.io/outpost/2026.5.0');
    assert.equal(value('User-Agent'), 'test/1');
    assert.equal(value('X-Authentik-Jwt').split('.').length, 3);
  });

  it('serves the older generation with its five headers and by host alone', async () => {
    assert.equal((await outpost.browse('/akprox/auth')).status, 401);
    const done = await outpost.login('/old?x=1&y=2', ALICE, '/akprox');
    assert.equal(done.headers.location, 'http://app.test/old?x=1&y=2');
    const passed = await outpost.browse('/akprox/auth');
    assert.equal(passed.status, 200);
    assert.equal(passed.headers['x-auth-username'], 'alice');
    assert.equal(passed.headers['x-auth-groups'], 'staff|a%7Cb');
    assert.equal(passed.headers['x-forwarded-email'], 'alice@example.test');
    assert.equal(passed.headers['x-forwarded-preferred-username'], 'alice');
    assert.equal(passed.headers['x-forwarded-user'], 'uid-of-alice');
    assert.equal(passed.headers['x-authentik-meta-version'], 'authentik-outpost@2026.5.0');
  });

  it('answers programs at start with 401 and the address of the login', async () => {
    const answer = await outpost.browse('/outpost.goauthentik.io/start?rd=/page', xhr);
    assert.equal(answer.status, 401);
    const body = JSON.parse(answer.body) as Record<string, string>;
    assert.equal(body['login_url'], 'http://app.test/outpost.goauthentik.io/start?rd=http%3A%2F%2Fapp.test%2Fpage');
    assert.equal(answer.headers['set-cookie'], undefined);
  });

  it('finishes ten tabs, each at its own address', async () => {
    const begun = await Promise.all(
      Array.from({ length: 8 }, (_, i) => outpost.browse(`/outpost.goauthentik.io/start?rd=/tab/${i}`)),
    );
    for (const [i, { headers }] of begun.entries()) {
      const done = await outpost.browse(outpost.server.login(headers.location ?? ''));
      assert.equal(done.headers.location, `http://app.test/tab/${i}`);
    }
  });

  it('goes on to the target when another tab finished and the attempt is gone', async () => {
    const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/late');
    const callback = outpost.server.login(begun.headers.location ?? '');
    for (const name of outpost.jar.keys()) outpost.jar.delete(name);
    await outpost.login('/first');
    const late = await outpost.browse(callback);
    assert.equal(late.headers.location, 'http://app.test/late');
  });

  it('starts over once without its attempt, then explains', async () => {
    const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/x');
    outpost.jar.clear();
    const again = await outpost.browse(outpost.server.login(begun.headers.location ?? ''));
    assert.equal(again.status, 302);
    assert.ok(again.headers.location?.startsWith(`${BASE}/application/o/authorize/`));
    outpost.jar.clear();
    const page = await outpost.browse(outpost.server.login(again.headers.location ?? ''));
    assert.equal(page.status, 400);
    assert.match(page.body, /login-cookie-missing/);
  });

  it('does not redeem a code in another browser', async () => {
    const victim = await outpost.browse('/outpost.goauthentik.io/start?rd=/x');
    const callback = outpost.server.login(victim.headers.location ?? '', { ...ALICE, sub: 'attacker' });
    outpost.jar.clear();
    const { headers } = await outpost.browse(callback);
    assert.ok(!(headers['set-cookie'] ?? []).some((c) => /^authentik_proxy_[0-9a-f]{8}=ey/.test(c)));
  });

  it('works once per callback: with a code that was used it starts over once, then explains', async () => {
    let begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/x');
    for (const round of [0, 1]) {
      const cookies = outpost.cookieHeader();
      const callback = outpost.server.login(begun.headers.location ?? '');
      const first = await outpost.browse(callback);
      assert.equal(first.headers.location, 'http://app.test/x');
      outpost.jar.clear();
      const url = new URL(callback);
      const replay = await outpost.send(url.pathname + url.search, { accept: 'text/html', ...cookies });
      const given = replay.headers['set-cookie'] ?? [];
      assert.ok(!given.some((c) => /^authentik_proxy_[0-9a-f]{8}=ey/.test(c)), 'no session');
      if (round === 1) {
        assert.equal(replay.status, 502);
        assert.match(replay.body, /login-failed/);
        break;
      }
      assert.equal(replay.status, 302);
      assert.ok(replay.headers.location?.startsWith(`${BASE}/application/o/authorize/`));
      for (const line of given) {
        const [pair = ''] = line.split(';');
        outpost.jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
      }
      begun = replay;
    }
  });

  it('shows a page for access_denied and for other errors, never a loop', async () => {
    for (const [error, status] of [
      ['access_denied', 403],
      ['server_error', 502],
    ] as const) {
      const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/x');
      const back = new URL(outpost.server.login(begun.headers.location ?? ''));
      back.searchParams.delete('code');
      back.searchParams.set('error', error);
      const page = await outpost.browse(back.href);
      assert.equal(page.status, status);
      assert.equal(page.headers.location, undefined);
    }
  });

  it('refuses tokens that are not for it', async () => {
    const cases: [string, (claims: Record<string, unknown>) => Record<string, unknown>][] = [
      ['audience', (c) => ({ ...c, aud: 'somebody-else' })],
      ['issuer', (c) => ({ ...c, iss: 'http://evil.test/' })],
      ['nonce', (c) => ({ ...c, nonce: 'another' })],
      ['expired', (c) => ({ ...c, exp: Math.floor(outpost.server.now() / 1000) - 1 })],
      ['not yet valid', (c) => ({ ...c, nbf: Math.floor(outpost.server.now() / 1000) + 3600 })],
      ['no subject', ({ sub: _sub, ...c }) => c],
    ];
    for (const [name, tamper] of cases) {
      outpost.server.tamper = tamper;
      const answer = await outpost.login();
      assert.equal(answer.status, 502, name);
      assert.equal((await outpost.browse(NGINX, asked)).status, 401, name);
    }
    outpost.server.tamper = (claims) => claims;
  });

  it('refuses a session that does not fit into two cookies, and says what is too big', async () => {
    const groups = Array.from({ length: 2000 }, (_, i) => `group-${(i * 7919 * 104729).toString(36)}`);
    const answer = await outpost.login('/x', { ...ALICE, claims: { ...ALICE.claims, groups } });
    assert.equal(answer.status, 500);
    assert.match(answer.body, /groups \(2000\)/);
    assert.equal(outpost.problems.at(-1)?.code, 'session-too-large');
  });

  it('splits what needs two cookies', async () => {
    const groups = Array.from({ length: 600 }, (_, i) => `group-${(i * 7919 * 104729).toString(36)}`);
    const answer = await outpost.login('/x', { ...ALICE, claims: { ...ALICE.claims, groups } });
    const cookies = (answer.headers['set-cookie'] ?? []).map((c) => c.split('=')[0]);
    assert.ok(cookies.some((c) => c?.endsWith('_1')));
    const passed = await outpost.browse(NGINX, asked);
    assert.equal(passed.headers['x-authentik-groups'], groups.join('|'));
    outpost.jar.delete(cookies.find((c) => c?.endsWith('_1')) ?? '');
    assert.equal((await outpost.browse(NGINX, asked)).status, 401);
  });

  it('explains a browser that drops the session cookie instead of going round', async () => {
    let last = 0;
    for (let round = 0; round < 4; round++) {
      const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/x');
      last = begun.status;
      if (begun.status !== 302) break;
      await outpost.browse(outpost.server.login(begun.headers.location ?? ''));
      for (const name of outpost.jar.keys()) if (/^authentik_proxy_[0-9a-f]{8}$/.test(name)) outpost.jar.delete(name);
    }
    assert.equal(last, 400);
  });
});
