/** One login for a domain whose authentication host is the identity server's own, behind the real nginx. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { person, signIn, startBrowser } from './harness/browser.ts';
import { Client, trace } from './harness/client.ts';
import {
  akproxDomainConfiguration,
  outpostDomainConfiguration,
  serverConfiguration,
} from './harness/configurations.ts';
import { hasPasswordField, links } from './harness/forms.ts';
import { ADMIN_PASSWORD, Gatehouse } from './harness/gatehouse.ts';
import { Nginx } from './harness/nginx.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import type { Application, Person } from './harness/provision.ts';
import { Upstream, valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, failed, promised } from './harness/wait.ts';

const DOMAIN = 'corp.test';
const HOSTS = ['wiki', 'forge', 'shop', 'other', 'else'] as const;
/** For what is told to the outpost: a slow machine gets more than the product needs. */
const PATIENCE_MS = 30_000;
const TARGET = '/a%20b/c?x=1&y=%2Fpath%26more&empty=&flag';

for (const generation of ['akprox', 'outpost'] as const) {
  const prefix = generation === 'akprox' ? '/akprox' : '/outpost.goauthentik.io';

  describe(`a domain behind nginx, configuration for ${prefix}`, () => {
    let gatehouse: Gatehouse;
    let upstream: Upstream;
    let nginx: Nginx;
    let provision: Provision;
    let port: number;
    /** in nobody, writers, builders */
    let people: Record<'nora' | 'wendy' | 'bob', Person>;
    let groups: Record<'writers' | 'builders', string>;
    let own: Application;
    const clients: Client[] = [];

    const at = (host: string) => `https://${host}.${DOMAIN}:${port}`;
    const server = () => at('auth');
    const visitor = (): Client => {
      const client = new Client();
      clients.push(client);
      return client;
    };
    const received = (text: string) => JSON.parse(text) as Received;

    before(async () => {
      [gatehouse, upstream, port] = await Promise.all([Gatehouse.start(), Upstream.start(), freePort()]);
      provision = new Provision(gatehouse.api);
      nginx = await Nginx.start({
        port,
        http: (tls) => {
          const values = {
            ...tls,
            listen: `127.0.0.1:${port}`,
            application: `127.0.0.1:${upstream.port}`,
            outpost: `127.0.0.1:${gatehouse.port}`,
            login: `auth.${DOMAIN}:${port}`,
          };
          const names = HOSTS.map((host) => `${host}.${DOMAIN}`);
          if (generation === 'outpost') return outpostDomainConfiguration({ ...values, names });
          return [akproxDomainConfiguration(values), serverConfiguration({ ...values, name: `auth.${DOMAIN}` })].join(
            '\n',
          );
        },
      });
      await provision.serverAddress(server());
      people = {
        nora: await provision.user('nora'),
        wendy: await provision.user('wendy'),
        bob: await provision.user('bob'),
      };
      groups = {
        writers: await provision.group('writers', [people.wendy.pk]),
        builders: await provision.group('builders', [people.bob.pk]),
      };
      own = await provision.application({
        slug: 'corp',
        name: 'Corp',
        mode: 'forward_domain',
        externalHost: server(),
        provider: { cookie_domain: DOMAIN },
      });
      await provision.boundApplication(own.provider, {
        ...{ slug: 'wiki', name: 'Team Wiki', host: `wiki.${DOMAIN}`, groups: [groups.writers] },
      });
      await provision.boundApplication(own.provider, {
        ...{ slug: 'forge', name: 'The Forge', host: `forge.${DOMAIN}`, groups: [groups.builders] },
      });
      await provision.boundApplication(own.provider, {
        ...{
          slug: 'shop-admin',
          name: 'Shop Office',
          host: `shop.${DOMAIN}`,
          path: '/admin',
          groups: [groups.builders],
        },
      });
      await provision.served(gatehouse.origin, `http://any.${DOMAIN}`, prefix);
      const nora = visitor();
      await nora.enter(`${at('other')}/`, 'nora', people.nora.password);
      await everywhere('the applications are known', nora, `${at('shop')}/admin`, 'denied: Shop Office');
    });
    after(async () => {
      await Promise.all(clients.map((client) => client.close()));
      await nginx?.stop();
      await upstream?.stop();
      await gatehouse?.stop();
    });
    afterEach((t) => {
      gatehouse?.explain(t);
      if (failed(t)) console.error(nginx?.log());
    });

    /** Opens an address and says how it went. */
    const opened = async (client: Client, url: string): Promise<string> => {
      const page = await client.open(url);
      if (page.status === 200 && page.url.href === url) return 'open';
      if (hasPasswordField(page.text)) return 'login';
      return page.status === 403 ? `denied: ${/You may not open ([^<]*)/.exec(page.text)?.[1] ?? ''}` : trace(page);
    };

    /** Waits until it goes so at every worker: nginx asks over a new connection each time. */
    const everywhere = (what: string, client: Client, url: string, how: string) =>
      eventually(what, PATIENCE_MS, async () => {
        for (let i = 0; i < 12; i++) assert.equal(await opened(client, url), how);
      });

    it('leads from one host to the login and back, and opens the next without another login', async () => {
      const client = visitor();
      const login = await client.open(at('other') + TARGET);
      assert.equal(login.url.origin, server(), trace(login));
      assert.ok(trace(login).includes(`${server()}${prefix}/start?rd=`), trace(login));
      const first = await client.login(login, 'nora', people.nora.password);
      assert.equal(first.url.href, at('other') + TARGET, trace(first));
      const second = await client.open(`${at('else')}/second?b=1&c=2`);
      assert.equal(second.hops.length, 1, trace(second));
      assert.equal(second.status, 200);
      for (const line of [...login.hops, ...first.hops].flatMap((hop) => hop.setCookies)) {
        if (/^authentik_proxy_[0-9a-f]{8}/.test(line)) assert.match(line, /; Domain=corp\.test;.*; Secure;/);
      }
    });

    it('tells two applications with different groups apart', async () => {
      const table: [keyof typeof people, Record<string, string>][] = [
        ['nora', { wiki: 'denied: Team Wiki', forge: 'denied: The Forge', other: 'open' }],
        ['wendy', { wiki: 'open', forge: 'denied: The Forge', other: 'open' }],
        ['bob', { wiki: 'denied: Team Wiki', forge: 'open', other: 'open' }],
      ];
      for (const [name, expected] of table) {
        const client = visitor();
        await client.enter(`${at('other')}/`, name, people[name].password);
        for (const [host, how] of Object.entries(expected)) {
          assert.equal(await opened(client, `${at(host)}/page`), how, `${name} at ${host}`);
        }
      }
    });

    it('tells the login which one was asked for when it is the first', async () => {
      const client = visitor();
      const denied = await client.enter(`${at('forge')}/x?a=1`, 'wendy', people.wendy.password);
      assert.equal(denied.status, 403, trace(denied));
      assert.match(denied.text, /You may not open The Forge/);
      assert.ok(denied.text.includes(`forge.${DOMAIN}:${port}/x?a=1`), 'the address asked for');
      assert.equal(await opened(client, `${at('wiki')}/`), 'open');
    });

    it('tells a path of a host apart where the configuration names it, else asks for all of the host', async () => {
      const [nora, bob] = [visitor(), visitor()];
      await nora.enter(`${at('other')}/`, 'nora', people.nora.password);
      await bob.enter(`${at('other')}/`, 'bob', people.bob.password);
      for (const path of ['/', '/admin', '/admin/users', '/administration']) {
        assert.equal(await opened(bob, at('shop') + path), 'open', path);
      }
      const office = 'denied: Shop Office';
      assert.equal(await opened(nora, `${at('shop')}/admin/users`), office);
      for (const path of ['/ADMIN', '/%61dmin/x', '//admin']) {
        const page = await nora.send('GET', at('shop') + path);
        assert.notEqual(page.status, 200, path);
      }
      // the older text never names the path, so it can only ask for all of the host
      const rest = await opened(nora, `${at('shop')}/administration`);
      assert.equal(rest, generation === 'outpost' ? 'open' : office);
    });

    if (generation === 'outpost') {
      it('names the application in the headers, and keeps our cookies from it', async () => {
        const client = visitor();
        const page = await client.enter(`${at('wiki')}/`, 'wendy', people.wendy.password);
        const { rawHeaders } = received(page.text);
        assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-meta-app'), ['wiki']);
        assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-meta-provider'), ['Corp']);
        assert.doesNotMatch(valuesOf(rawHeaders, 'cookie').join(), /authentik_/);
        const other = received((await client.open(`${at('other')}/`)).text);
        assert.deepEqual(valuesOf(other.rawHeaders, 'x-authentik-meta-app'), ['corp']);
      });
    }

    it('believes no other host than the one that was asked for', async () => {
      const client = visitor();
      await client.enter(`${at('wiki')}/`, 'wendy', people.wendy.password);
      for (const [name, value] of [
        ['x-forwarded-host', `wiki.${DOMAIN}`],
        ['x-forwarded-host', `wiki.${DOMAIN}:${port}`],
        ['x-forwarded-host', `auth.${DOMAIN}`],
        ['x-original-url', `${at('wiki')}/`],
        ['x-original-uri', '/'],
        ['forwarded', `host=wiki.${DOMAIN}`],
      ] as const) {
        const page = await client.send('GET', `${at('forge')}/`, { headers: { [name]: value } });
        assert.notEqual(page.status, 200, `${name}: ${value}`);
      }
    });

    it('follows a change of the groups within a second', async () => {
      const [client, more] = [visitor(), await provision.user(`mover-${generation}`)];
      await client.enter(`${at('other')}/`, more.username, more.password);
      assert.equal(await opened(client, `${at('wiki')}/`), 'denied: Team Wiki');
      const until = async (how: string): Promise<number> => {
        const answers = async () => assert.equal(await opened(client, `${at('wiki')}/`), how);
        return (await eventually(`the wiki is ${how}`, PATIENCE_MS, answers)).ms;
      };
      await promised('a change of the groups', 1500, async () => {
        await provision.addMember(groups.writers, more.pk);
        const opens = await until('open');
        await provision.removeMember(groups.writers, more.pk);
        return Math.max(opens, await until('denied: Team Wiki'));
      });
      assert.equal(await opened(client, `${at('other')}/`), 'open');
    });

    it('follows a change of the bindings, of an application put on a host and taken off it', async () => {
      const client = visitor();
      await client.enter(`${at('other')}/`, 'nora', people.nora.password);
      const made = await provision.boundApplication(own.provider, {
        ...{ slug: 'late', name: 'Latecomer', host: `other.${DOMAIN}`, groups: [groups.writers] },
      });
      await eventually('it is closed', PATIENCE_MS, async () =>
        assert.equal(await opened(client, `${at('other')}/`), 'denied: Latecomer'),
      );
      await gatehouse.api.post('policies/bindings/', { target: made.pk, user: people.nora.pk, order: 5 });
      await eventually('it is open', PATIENCE_MS, async () =>
        assert.equal(await opened(client, `${at('other')}/`), 'open'),
      );
      await gatehouse.api.delete(`gatehouse/domain_applications/${made.place}/`);
      await gatehouse.api.delete('core/applications/late/');
    });

    it('lets in whom only a bound application lets in, and to that alone', async () => {
      const binding = await gatehouse.api.post('policies/bindings/', {
        ...{ target: own.pk, group: groups.builders, order: 0 },
      });
      try {
        const client = visitor();
        await eventually('the rest is closed', PATIENCE_MS, async () => {
          const fresh = visitor();
          await fresh.enter(`${at('wiki')}/`, 'wendy', people.wendy.password);
          assert.equal(await opened(fresh, `${at('other')}/`), 'denied: Corp');
        });
        const page = await client.enter(`${at('wiki')}/in`, 'wendy', people.wendy.password);
        assert.equal(page.url.href, `${at('wiki')}/in`, trace(page));
        const nobody = await visitor().enter(`${at('wiki')}/`, 'nora', people.nora.password);
        assert.equal(nobody.status, 403, trace(nobody));
      } finally {
        await gatehouse.api.delete(`policies/bindings/${String(binding['pk'])}/`);
      }
      const anybody = visitor();
      await anybody.enter(`${at('wiki')}/`, 'wendy', people.wendy.password);
      await everywhere('the rest is open again', anybody, `${at('other')}/`, 'open');
    });

    it('signs out of all hosts and of the server at once', async () => {
      const client = visitor();
      await client.enter(`${at('wiki')}/`, 'wendy', people.wendy.password);
      assert.equal(await opened(client, `${at('other')}/`), 'open');
      const before_ = client.jar.clone();
      const out = await client.open(`${at('other')}${prefix}/sign_out`);
      assert.equal(out.status, 200, trace(out));
      for (const host of HOSTS) assert.equal(await opened(client, `${at(host)}/`), 'login', host);
      const thief = new Client('127.0.0.1', before_);
      clients.push(thief);
      await eventually('the cookie from before counts no more', PATIENCE_MS, async () =>
        assert.equal((await thief.send('GET', `${at('wiki')}/`)).status, 302),
      );
    });

    describe('the server’s own host, driven by Chromium', () => {
      let browser: Browser;
      const contexts: BrowserContext[] = [];
      before(async () => {
        browser = await startBrowser();
      });
      afterEach(async () => {
        for (const context of contexts.splice(0)) await context.close();
      });
      after(() => browser?.close());
      const someone = async () => {
        const context = await person(browser);
        contexts.push(context);
        return context.newPage();
      };

      it('never locks anyone out: who is signed out everywhere signs in at the server', async () => {
        const page = await someone();
        await page.goto(`${server()}/`);
        await signIn(page, 'akadmin', ADMIN_PASSWORD, (url) => url.pathname === '/if/user/');
        const answer = await page.goto(`${server()}/api/v3/core/users/me/`);
        assert.equal(answer?.status(), 200);
        // even a person no application of the domain lets in
        const stranger = await someone();
        await stranger.goto(`${server()}/if/user/`);
        await signIn(stranger, 'nora', people.nora.password, (url) => url.pathname === '/if/user/');
        await stranger.goto(`${at('forge')}/`);
        assert.match(await stranger.innerText('body'), /You may not open The Forge/);
        const portal = await stranger.goto(`${server()}/if/user/`);
        assert.equal(portal?.status(), 200);
      });

      it('shows bound applications in the portal to those who may open them, and leads there', async () => {
        const page = await someone();
        await page.goto(`${server()}/if/user/`);
        await signIn(page, 'wendy', people.wendy.password, (url) => url.pathname === '/if/user/');
        const hrefs = links(await page.content()).map(({ href }) => href);
        assert.ok(hrefs.includes(`${at('wiki')}/`), hrefs.join(' '));
        assert.ok(!hrefs.includes(`${at('forge')}/`), hrefs.join(' '));
        await page.click('text=Team Wiki');
        await page.waitForURL(`${at('wiki')}/`);
        assert.equal(received(await page.innerText('body')).url, '/');
      });

      it('carries a visitor through login, second host, denial and sign-out', async () => {
        const page = await someone();
        await page.goto(`${at('wiki')}/deep?x=1#part`);
        assert.equal(new URL(page.url()).origin, server());
        await signIn(page, 'wendy', people.wendy.password, (url) => url.origin === at('wiki'));
        assert.equal(page.url().replace(/#.*/, ''), `${at('wiki')}/deep?x=1`);
        await page.goto(`${at('other')}/`);
        assert.equal(page.url(), `${at('other')}/`);
        await page.goto(`${at('forge')}/secret`);
        assert.match(await page.innerText('body'), /You may not open The Forge/);
        await clickThrough(page, 'text=Use another account');
        for (const address of [at('wiki'), at('other'), `${server()}/if/user`]) {
          await eventually(`${address} asks for the password`, PATIENCE_MS, async () => {
            await page.goto(`${address}/`);
            assert.equal(await page.locator('input[type=password]').count(), 1);
          });
        }
      });

      it('ends every host when the sign-out is the server’s', async () => {
        const page = await someone();
        await page.goto(`${at('wiki')}/`);
        await signIn(page, 'wendy', people.wendy.password, (url) => url.origin === at('wiki'));
        await page.goto(`${server()}/if/flow/default-invalidation-flow/`);
        await clickThrough(page, 'button:has-text("Sign out")');
        await eventually('the wiki asks again', PATIENCE_MS, async () => {
          await page.goto(`${at('wiki')}/`);
          assert.equal(new URL(page.url()).origin, server());
        });
      });
    });
  });
}

/** Clicks and waits until the page is there that it leads to. */
async function clickThrough(page: Page, selector: string): Promise<void> {
  await Promise.all([page.waitForEvent('load'), page.click(selector)]);
}
