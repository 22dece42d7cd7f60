/** One login for a domain behind reverse proxies that relay, with no way to the outpost but their question. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { person, signIn, startBrowser } from './harness/browser.ts';
import { Client, trace } from './harness/client.ts';
import { hasPasswordField } from './harness/forms.ts';
import type { Front } from './harness/fronts.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import type { Person } from './harness/provision.ts';
import { caddyForDomain, envoyForDomain, traefikForDomain, traefikOfTheSeedForDomain } from './harness/relaying.ts';
import type { DomainPlace } from './harness/relaying.ts';
import { Upstream, valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { failed } from './harness/wait.ts';

const DOMAIN = 'corp.test';
const HOSTS = ['wiki', 'forge', 'else'].map((name) => `${name}.${DOMAIN}`);
const TARGET = '/a%20b/c?x=1&y=%2Fpath%26more&empty=&flag';

const FRONTS: Record<string, { start: (place: DomainPlace) => Promise<Front>; older?: true }> = {
  Traefik: { start: traefikForDomain },
  'Traefik, the older text': { start: traefikOfTheSeedForDomain, older: true },
  'the real Caddy': { start: caddyForDomain },
  Envoy: { start: envoyForDomain },
};

let browser: Browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

for (const [title, { start, older }] of Object.entries(FRONTS)) {
  describe(`a domain behind ${title}`, () => {
    let gatehouse: Gatehouse;
    let upstream: Upstream;
    let front: Front;
    let port: number;
    let wendy: Person;
    let bob: Person;
    const clients: Client[] = [];
    const at = (name: string) => `https://${name}.${DOMAIN}:${port}`;

    before(async () => {
      [gatehouse, upstream, port] = await Promise.all([Gatehouse.start({ workers: 1 }), Upstream.start(), freePort()]);
      const place = { port, gatehouse: gatehouse.origin, upstream: upstream.origin };
      front = await start({ ...place, hosts: HOSTS, login: `auth.${DOMAIN}` });
      const provision = new Provision(gatehouse.api);
      await provision.serverAddress(at('auth'));
      wendy = await provision.user('wendy');
      bob = await provision.user('bob');
      const writers = await provision.group('writers', [wendy.pk]);
      const corp = await provision.application({
        slug: 'corp',
        mode: 'forward_domain',
        externalHost: at('auth'),
        provider: { cookie_domain: DOMAIN },
      });
      const wiki = { slug: 'wiki', name: 'Team Wiki', host: `wiki.${DOMAIN}`, groups: [writers] };
      await provision.boundApplication(corp.provider, wiki);
      await provision.served(gatehouse.origin, `http://any.${DOMAIN}`);
    });
    after(async () => {
      await Promise.all(clients.map((client) => client.close()));
      await front?.stop();
      await upstream?.stop();
      await gatehouse?.stop();
    });
    afterEach((t) => {
      gatehouse?.explain(t);
      if (failed(t)) console.error(front?.log());
    });
    const visitor = (): Client => {
      const client = new Client();
      clients.push(client);
      return client;
    };

    it('leads from one host to the login and back, and opens the next without another login', async () => {
      const client = visitor();
      const login = await client.open(at('wiki') + TARGET);
      assert.equal(login.url.origin, at('auth'), trace(login));
      const first = await client.login(login, 'wendy', wendy.password);
      assert.equal(first.url.href, at('wiki') + TARGET, trace(first));
      const { rawHeaders, url } = JSON.parse(first.text) as Received;
      assert.equal(url, TARGET);
      assert.deepEqual(valuesOf(rawHeaders, older ? 'x-auth-username' : 'x-authentik-username'), ['wendy']);
      for (const name of ['forge', 'else']) {
        const next = await client.open(`${at(name)}/second`);
        assert.equal(next.hops.length, 1, trace(next));
        assert.equal(next.status, 200);
      }
    });

    it('refuses one application and opens the others to the same person', async () => {
      const client = visitor();
      const denied = await client.enter(`${at('wiki')}/page`, 'bob', bob.password);
      assert.equal(denied.status, 403, trace(denied));
      assert.match(denied.text, /You may not open Team Wiki/);
      assert.equal((await client.open(`${at('forge')}/page`)).status, 200);
      assert.equal((await client.open(`${at('wiki')}/page`)).status, 403);
    });

    it('signs out on one host, and is signed out on all', async () => {
      const client = visitor();
      await client.enter(`${at('else')}/`, 'wendy', wendy.password);
      const out = await client.open(`${at('forge')}/anything?X-authentik-logout=true`);
      assert.equal(out.status, 200, trace(out));
      for (const name of ['wiki', 'forge', 'else']) {
        assert.ok(hasPasswordField((await client.open(`${at(name)}/`)).text), name);
      }
    });

    it('works in a real browser, fragment and all', async () => {
      const context = await person(browser);
      try {
        const page = await context.newPage();
        const target = `${at('wiki')}/deep?x=1&y=2#part`;
        await page.goto(target);
        assert.equal(new URL(page.url()).origin, at('auth'));
        await signIn(page, 'wendy', wendy.password, (url) => url.href === target);
        assert.equal(page.url(), target);
        await page.goto(`${at('else')}/`);
        assert.match(await page.innerText('body'), /wendy|rawHeaders/);
        await page.goto(`${at('wiki')}/outpost.goauthentik.io/sign_out`);
        await page.goto(`${at('wiki')}/`);
        assert.equal(await page.locator('input[name=password]').count(), 1);
      } finally {
        await context.close();
      }
    });
  });
}
