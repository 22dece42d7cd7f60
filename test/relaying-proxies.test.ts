import assert from 'node:assert/strict';
import { request } from 'node:https';
import { after, afterEach, before, describe, it } from 'node:test';
import { IDENTITY_HEADERS, LEGACY_HEADERS } from '../src/contract/headers.ts';
import { trace } from './harness/client.ts';
import { forms } from './harness/forms.ts';
import type { Person } from './harness/provision.ts';
import {
  envoyAsPublished,
  envoyOfOurs,
  traefikAsPublished,
  traefikMiddlewareOnly,
  traefikOfTheSeed,
} from './harness/relaying.ts';
import { Scene } from './harness/scene.ts';
import type { SceneOptions } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

/** Addresses a person may first ask for; each must be where the person ends, byte for byte. */
const TARGETS = [
  '/',
  '/a%20b/c?x=1&y=%2Fpath%26more&z=%C3%A4&empty=&flag',
  '/odd?rd=https://evil.test/&next=/b&a=1&a=2',
  '//double//slash?q=a+b%2Bc&pct=100%25',
];

interface Front {
  start: (name: string) => NonNullable<SceneOptions['front']>['start'];
  generation: 'outpost' | 'akprox';
  /** what reaches the application: the rest is not copied by this text */
  copied: readonly string[];
  /** the question carries cookies only, so that a script looks like anybody */
  hidesKind?: boolean;
  /** the text keeps the login's cookies from the application */
  stripsCookies?: boolean;
}

const FRONTS: Record<string, Front> = {
  'Traefik, our text': {
    start: traefikAsPublished,
    generation: 'outpost',
    copied: IDENTITY_HEADERS,
    stripsCookies: true,
  },
  'Traefik, the middleware on everything': {
    start: traefikMiddlewareOnly,
    generation: 'outpost',
    copied: IDENTITY_HEADERS,
    stripsCookies: true,
  },
  'Traefik, the older text': { start: traefikOfTheSeed, generation: 'akprox', copied: LEGACY_HEADERS },
  'Envoy, cookies only': { start: envoyAsPublished, generation: 'outpost', copied: IDENTITY_HEADERS, hidesKind: true },
  'Envoy, our text': { start: envoyOfOurs, generation: 'outpost', copied: IDENTITY_HEADERS },
};

for (const [title, front] of Object.entries(FRONTS)) {
  describe(`behind ${title}`, () => {
    let scene: Scene;
    let alice: Person;
    let bob: Person;
    let writers: string;

    before(async () => {
      scene = await Scene.start({ gatehouse: { workers: 1 }, front: { names: ['wiki'], start: front.start('wiki') } });
      alice = await scene.provision.user('alice', { name: 'Alice Ärger' });
      bob = await scene.provision.user('bob');
      writers = await scene.provision.group('writers', [alice.pk]);
      await scene.application('wiki', { groups: [writers], provider: { skip_path_regex: '^/public/' } });
    });
    after(() => scene?.stop());
    afterEach((t) => scene?.explain(t));

    const prefix = front.generation === 'akprox' ? '/akprox' : '/outpost.goauthentik.io';
    const wiki = (path: string) => scene.address('wiki') + path;
    const expected = (): Record<string, string> => ({
      'x-authentik-username': 'alice',
      'x-authentik-groups': 'writers',
      'x-authentik-entitlements': '',
      'x-authentik-email': 'alice@example.test',
      'x-authentik-name': Buffer.from('Alice Ärger').toString('latin1'),
      'x-authentik-uid': alice.uid,
      'x-authentik-meta-app': 'wiki',
      'x-authentik-meta-provider': 'wiki',
      'x-auth-username': 'alice',
      'x-auth-groups': 'writers',
      'x-forwarded-email': 'alice@example.test',
      'x-forwarded-preferred-username': 'alice',
      'x-forwarded-user': alice.uid,
    });

    for (const target of TARGETS) {
      it(`leads to the login and back to ${target}, with every header at the application`, async () => {
        const visitor = scene.visitor();
        const login = await visitor.open(wiki(target));
        assert.equal(login.url.origin, scene.server, trace(login));
        assert.match(login.hops[0]?.location ?? '', /\/application\/o\/authorize\/\?/, 'straight to the login');
        const page = await visitor.login(login, 'alice', alice.password);
        assert.equal(page.status, 200, trace(page));
        assert.equal(page.url.href, wiki(target), trace(page));
        assert.ok(
          page.hops.some(({ url }) => url.includes(`${prefix}/callback?`)),
          trace(page),
        );
        const received = JSON.parse(page.text) as Received;
        assert.equal(received.url, target);
        for (const name of front.copied) {
          const values = valuesOf(received.rawHeaders, name.toLowerCase());
          assert.equal(values.length, 1, name);
          const value = expected()[name.toLowerCase()];
          if (value !== undefined) assert.equal(values[0], value, name);
        }
        const second = await visitor.open(wiki('/second?b=1&c=2'));
        assert.equal(second.hops.length, 1, trace(second));
      });
    }

    it('replaces what a visitor forges, and names nobody on a public path', async () => {
      const visitor = scene.visitor();
      const forged = Object.fromEntries(front.copied.map((name) => [name, 'akadmin']));
      const nobody = await visitor.open(wiki('/public/x'), { headers: forged });
      assert.equal(nobody.status, 200);
      await visitor.enter(wiki('/'), 'alice', alice.password);
      const somebody = await visitor.open(wiki('/'), { headers: forged });
      for (const page of [nobody, somebody]) {
        assert.ok(!JSON.stringify((JSON.parse(page.text) as Received).rawHeaders).includes('akadmin'), page.text);
      }
    });

    // Envoy's scripts run in envoy-scripts.test.ts; the older text has no such rules
    if (title === 'Traefik, our text') {
      it('lets no visitor set a name of ours in another spelling, nor the address frameworks open', async () => {
        const visitor = scene.visitor();
        await visitor.enter(wiki('/'), 'alice', alice.password);
        const names = [...LEGACY_HEADERS, 'X-Original-URL', 'X-Original-URI', 'X-Rewrite-URL'];
        const forged = [...names, ...names.map((name) => name.replaceAll('-', '_')), 'X.Authentik_Username'];
        const headers = Object.fromEntries(forged.map((name) => [name, 'akadmin']));
        const { rawHeaders } = JSON.parse((await visitor.open(wiki('/'), { headers })).text) as Received;
        assert.ok(!rawHeaders.includes('akadmin'), rawHeaders.join('\n'));
      });

      it('lets no script of a page read what the question says', async () => {
        const visitor = scene.visitor();
        await visitor.enter(wiki('/'), 'alice', alice.password);
        for (const path of ['/auth', '/auth/nginx', '/auth/traefik', '/auth/caddy', '/auth/envoy/x']) {
          const page = await visitor.background('GET', wiki(prefix + path));
          assert.equal(page.headers['x-authentik-jwt'], undefined, path);
          assert.equal((JSON.parse(page.text) as Received).url, prefix + path, 'the application answers');
        }
      });
    }

    it('ignores what a visitor forwards', async () => {
      const visitor = scene.visitor();
      const forwarded = {
        'x-forwarded-uri': '/public/x',
        'x-original-url': wiki('/public/x'),
        'x-forwarded-method': 'GET',
      };
      for (const [name, value] of Object.entries(forwarded)) {
        const page = await visitor.open(wiki('/private'), { headers: { [name]: value } });
        assert.equal(page.url.origin, scene.server, `${name}: ${trace(page)}`);
      }
      const host = await visitor.open(wiki('/private'), { headers: { 'x-forwarded-host': 'auth.test' } });
      assert.notEqual(host.status, 404, trace(host));
      assert.equal(host.url.origin, scene.server, trace(host));
    });

    it('asks the login of every method, and tells a script where it is', async () => {
      for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE']) {
        const answer = await scene.visitor().background(method, wiki('/api'), method === 'POST' ? { body: 'x' } : {});
        if (front.hidesKind === true) {
          assert.equal(answer.status, 302, method);
          continue;
        }
        assert.equal(answer.status, 401, method);
        assert.match(answer.text, /"login_url":"https:\/\/wiki\.test:\d+\/[a-z.]+\/start\?rd=/);
        assert.deepEqual(answer.hops[0]?.setCookies, []);
      }
    });

    it('the address a script is told leads through the login and back', async () => {
      if (front.hidesKind === true) return;
      const visitor = scene.visitor();
      const { login_url } = JSON.parse((await visitor.background('GET', wiki('/api?a=1'))).text) as {
        login_url: string;
      };
      const page = await visitor.enter(login_url, 'alice', alice.password);
      assert.equal(page.url.href, wiki('/api?a=1'), trace(page));
    });

    it('carries bodies both ways for people who are signed in', async () => {
      const visitor = scene.visitor();
      await visitor.enter(wiki('/'), 'alice', alice.password);
      const answer = await visitor.background('POST', wiki('/save'), { body: 'x'.repeat(100_000) });
      assert.equal((JSON.parse(answer.text) as Received).bodyBytes, 100_000);
      assert.equal((JSON.parse(answer.text) as Received).method, 'POST');
    });

    it('shows who is refused, and lets the account be switched', async () => {
      const visitor = scene.visitor();
      const denied = await visitor.enter(wiki('/page?x=1'), 'bob', bob.password);
      assert.equal(denied.status, 403, trace(denied));
      assert.match(denied.text, /You may not open wiki/);
      assert.match(denied.text, /bob/);
      const again = await visitor.open(wiki('/page'));
      assert.equal(again.status, 403, trace(again));
      const form = forms(again.text)[0];
      assert.ok(form !== undefined || /sign_out|logout/i.test(again.text), 'a way to another account');
    });

    it('answers an address servers read differently with an error, for people and programs', async () => {
      for (const target of ['/public/%2e%2e/admin', '/public%2f..%2fadmin', '/public/..;/admin']) {
        const answer = await getRaw(new URL(wiki('/')), target);
        assert.equal(answer.status, 400, target);
        assert.match(answer.text, /cannot be opened/);
      }
    });

    it('brings changes of a person to the application at once, without another login', async () => {
      const carol = await scene.provision.user('carol');
      await scene.provision.addMember(writers, carol.pk);
      const visitor = scene.visitor();
      await visitor.enter(wiki('/'), 'carol', carol.password);
      await scene.provision.group('late', [carol.pk]);
      const header = front.generation === 'akprox' ? 'x-auth-groups' : 'x-authentik-groups';
      await eventually('the new group', 10_000, async () => {
        const page = await visitor.open(wiki('/'));
        assert.equal(page.hops.length, 1, trace(page));
        // the renewed cookie need not reach the browser: what is told is told with every request
        assert.match(valuesOf((JSON.parse(page.text) as Received).rawHeaders, header).join(), /late/);
      });
    });

    it('signs out: the next request asks for the password', async () => {
      for (const way of [`${prefix}/sign_out`, '/anything?X-authentik-logout=true']) {
        const visitor = scene.visitor();
        await visitor.enter(wiki('/'), 'alice', alice.password);
        const out = await visitor.open(wiki(way));
        assert.equal(out.status, 200, trace(out));
        assert.equal(out.url.origin, scene.server, trace(out));
        const again = await visitor.open(wiki('/'));
        assert.equal(again.url.origin, scene.server, trace(again));
        await visitor.login(again, 'alice', alice.password);
      }
    });

    it('nobody signs out into the application', async () => {
      const before = scene.upstream.received.length;
      const visitor = scene.visitor();
      const page = await visitor.open(wiki('/nobody?X-authentik-logout=true'));
      assert.match(page.text, /You are signed out/);
      assert.equal(scene.upstream.received.length, before);
    });

    it('keeps our cookies from the application where the text does', async () => {
      if (front.stripsCookies !== true) return;
      const visitor = scene.visitor();
      visitor.jar.store(new URL(wiki('/')), 'first=1; Path=/');
      await visitor.enter(wiki('/'), 'alice', alice.password);
      const page = await visitor.open(wiki('/'));
      assert.deepEqual(valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'cookie'), ['first=1']);
    });
  });
}

/** A target no URL parser would leave as it is. */
function getRaw({ host, port }: URL, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      headers: { host, accept: 'text/html' },
      rejectUnauthorized: false,
    };
    const req = request({ ...options, agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (part: string) => (text += part));
      res.once('end', () => resolve({ status: res.statusCode ?? 0, text }));
    });
    req.once('error', reject);
    req.end();
  });
}
