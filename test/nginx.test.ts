import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { trace } from './harness/client.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';

/** Addresses a person may first ask for; each must be where the person ends, byte for byte. */
const TARGETS = [
  '/',
  '/search?q=a&lang=en',
  '/a%20b/c?x=1&y=%2Fpath%26more&z=%C3%A4&empty=&flag',
  '/odd?rd=https://evil.test/&next=/b&a=1&a=2',
  '/plus?q=a+b%2Bc&pct=100%25',
];

for (const generation of ['akprox', 'outpost'] as const) {
  describe(`behind nginx, configuration for ${generation === 'akprox' ? '/akprox' : '/outpost.goauthentik.io'}`, () => {
    let scene: Scene;
    let alice: Person;

    before(async () => {
      scene = await Scene.start({ nginx: { wiki: generation } });
      alice = await scene.provision.user('alice', { name: 'Alice Ärger' });
      await scene.provision.group('writers', [alice.pk], {
        attributes: { additionalHeaders: { 'X-Department': 'letters' } },
      });
      await scene.application('wiki');
    });
    after(() => scene?.stop());
    afterEach((t) => scene?.explain(t));

    for (const target of TARGETS) {
      it(`leads to the login and back to ${target}`, async () => {
        const visitor = scene.visitor();
        const login = await visitor.open(scene.address('wiki') + target);
        assert.equal(login.url.origin, scene.server, trace(login));
        assert.match(trace(login), generation === 'akprox' ? /\/akprox\/start/ : /\/outpost\.goauthentik\.io\/start/);
        const page = await visitor.login(login, 'alice', alice.password);
        assert.equal(page.status, 200, trace(page));
        assert.equal(page.url.href, scene.address('wiki') + target, trace(page));
        const received = JSON.parse(page.text) as Received;
        assert.equal(received.url, target);
        for (const [name, value] of Object.entries(expectedHeaders(generation, alice))) {
          assert.deepEqual(valuesOf(received.rawHeaders, name), [value], name);
        }
      });
    }

    it('keeps the person signed in and asks nobody else', async () => {
      const visitor = scene.visitor();
      await visitor.enter(`${scene.address('wiki')}/first`, 'alice', alice.password);
      const second = await visitor.open(`${scene.address('wiki')}/second?b=1&c=2`);
      assert.equal(second.hops.length, 1, trace(second));
      assert.equal((JSON.parse(second.text) as Received).url, '/second?b=1&c=2');
    });

    it('replaces identity headers a visitor sends', async () => {
      const visitor = scene.visitor();
      const forged = generation === 'akprox' ? 'x-auth-username' : 'x-authentik-username';
      await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
      const page = await visitor.open(`${scene.address('wiki')}/`, { headers: { [forged]: 'akadmin' } });
      assert.deepEqual(valuesOf((JSON.parse(page.text) as Received).rawHeaders, forged), ['alice']);
    });

    it('keeps our cookies from the application where the configuration can', async () => {
      const visitor = scene.visitor();
      await visitor.open(`${scene.address('wiki')}/left-alone`); // an attempt that is never finished
      visitor.jar.store(new URL(scene.address('wiki')), 'first=1; Path=/');
      await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
      // with COOKIE_DOMAIN these two come along from the identity server's own host
      for (const name of ['authentik_session', 'authentik_csrf', 'second']) {
        visitor.jar.store(new URL(scene.address('wiki')), `${name}=2; Path=/`);
      }
      const page = await visitor.open(`${scene.address('wiki')}/`);
      const cookie = valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'cookie').join();
      assert.match(cookie, /first=1; .*second=2/);
      // the older text has nothing to say about cookies, so it passes on all of them
      assert.equal(/authentik_/.test(cookie), generation === 'akprox', cookie);
    });

    it('carries a body to the application', async () => {
      const visitor = scene.visitor();
      await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
      const answer = await visitor.background('POST', `${scene.address('wiki')}/save`, { body: 'x'.repeat(100_000) });
      assert.equal(answer.status, 200);
      assert.equal((JSON.parse(answer.text) as Received).bodyBytes, 100_000);
    });

    it('tells a script where the login is instead of redirecting it there', async () => {
      const visitor = scene.visitor();
      const first = await visitor.background('GET', `${scene.address('wiki')}/api/data`);
      assert.equal(first.status, 302, 'nginx turns the 401 into its own redirect');
      const second = await visitor.background('GET', new URL(first.hops[0]!.location!, first.url));
      assert.equal(second.status, 401);
      const body = JSON.parse(second.text) as { login_url?: string };
      assert.ok(body.login_url?.startsWith(scene.address('wiki')), second.text);
      assert.deepEqual(second.hops[0]!.setCookies, [], 'a script starts no login attempt');
    });

    it('signs out: the next request asks for the password', async () => {
      const visitor = scene.visitor();
      await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
      const prefix = generation === 'akprox' ? '/akprox' : '/outpost.goauthentik.io';
      const out = await visitor.open(`${scene.address('wiki')}${prefix}/sign_out`);
      assert.equal(out.status, 200, trace(out));
      const again = await visitor.open(`${scene.address('wiki')}/`);
      assert.equal(again.url.origin, scene.server, trace(again));
      await visitor.login(again, 'alice', alice.password); // throws unless the page has a password field
    });
  });
}

function expectedHeaders(generation: 'akprox' | 'outpost', person: Person): Record<string, string> {
  if (generation === 'akprox') return { 'x-auth-username': 'alice', 'x-forwarded-email': 'alice@example.test' };
  return {
    'x-authentik-username': 'alice',
    'x-authentik-groups': 'writers',
    'x-authentik-email': 'alice@example.test',
    'x-authentik-name': Buffer.from('Alice Ärger').toString('latin1'),
    'x-authentik-uid': person.uid,
  };
}
