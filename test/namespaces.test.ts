import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import type { Page } from './harness/client.ts';
import { akproxConfiguration } from './harness/configurations.ts';
import { hasPasswordField } from './harness/forms.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { Namespaces } from './harness/namespaces.ts';
import { Nginx } from './harness/nginx.ts';
import { Provision } from './harness/provision.ts';
import type { Person } from './harness/provision.ts';
import { Upstream, valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';

/**
 * Two sites side by side, each with nginx and Gatehouse in network namespaces of their own and on their usual ports
 * 443, 9000 and 9300; nginx calls the outpost from a private address that is not loopback.
 */
class Site {
  readonly net: Namespaces;
  gatehouse!: Gatehouse;
  upstream!: Upstream;
  nginx!: Nginx;
  alice!: Person;
  /** reaches `wiki.test` at nginx, all other names at Gatehouse itself, from a private address */
  readonly visitor: Client;

  constructor(index: number) {
    this.net = new Namespaces(index);
    this.visitor = new Client((name) => (name === 'wiki.test' ? this.net.webForTest : this.net.gateForTest));
  }

  async start(env: Record<string, string>): Promise<void> {
    const { net } = this;
    await net.create();
    this.upstream = await Upstream.start('0.0.0.0');
    this.gatehouse = await Gatehouse.start({
      host: '0.0.0.0',
      reachedAt: net.gateForTest,
      port: 9000,
      metricsPort: 9300,
      prefix: ['ip', 'netns', 'exec', net.gate],
      env,
    });
    this.nginx = await Nginx.start({
      host: net.webForTest,
      port: 443,
      prefix: ['ip', 'netns', 'exec', net.web],
      http: (tls) =>
        akproxConfiguration({
          ...tls,
          listen: '443',
          application: `${net.testForWeb}:${this.upstream.port}`,
          outpost: `${net.gateForWeb}:9000`,
        }),
    });
    const provision = new Provision(this.gatehouse.api);
    await provision.serverAddress('http://auth.test:9000');
    this.alice = await provision.user('alice');
    await provision.application({ slug: 'wiki', mode: 'forward_single', externalHost: 'https://wiki.test' });
    const internalHost = `http://${net.test}:${this.upstream.port}`;
    for (const slug of ['forge', 'other']) {
      await provision.application({ slug, mode: 'proxy', externalHost: `http://${slug}.test:9000`, internalHost });
    }
    for (const host of ['https://wiki.test', 'http://forge.test:9000', 'http://other.test:9000']) {
      await provision.served(this.gatehouse.origin, host);
    }
  }

  async stop(): Promise<void> {
    await this.visitor.close();
    await this.nginx?.stop();
    await this.gatehouse?.stop();
    await this.upstream?.stop();
    await this.net.remove();
  }
}

describe('called from a private address that is not loopback', () => {
  let open: Site;
  let narrow: Site;

  before(async () => {
    open = new Site(0);
    narrow = new Site(1);
    await open.start({});
    await narrow.start({ AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS: '127.0.0.0/8,::1/128' });
  });
  after(async () => {
    await open?.stop();
    await narrow?.stop();
  });
  afterEach((t) => {
    open?.gatehouse?.explain(t);
    narrow?.gatehouse?.explain(t);
  });

  it('the published nginx text works on the usual ports, whoever is trusted', async () => {
    for (const site of [open, narrow]) {
      const target = 'https://wiki.test/page?x=1&y=%2F%26';
      const page = await site.visitor.enter(target, 'alice', site.alice.password);
      assert.equal(page.url.href, target, trace(page));
      const received = JSON.parse(page.text) as Received;
      assert.equal(received.url, '/page?x=1&y=%2F%26');
      assert.deepEqual(valuesOf(received.rawHeaders, 'x-auth-username'), ['alice']);
      assert.deepEqual(valuesOf(received.rawHeaders, 'x-forwarded-email'), ['alice@example.test']);
    }
  });

  it('forwarded headers count with the default trust list', async () => {
    const page = await forwarded(open);
    assert.ok(page.startsWith('http://forge.test:9000'), page);
  });

  it('forwarded headers are ignored with a narrowed one', async () => {
    const page = await forwarded(narrow);
    assert.ok(page.startsWith('http://other.test:9000'), page);
  });

  it('the application hears of the client named by a trusted caller, and only by a trusted one', async () => {
    for (const [site, expected] of [
      [open, `203.0.113.7, ${open.net.test}`],
      [narrow, narrow.net.test],
    ] as const) {
      const { visitor } = site;
      await visitor.open('http://other.test:9000/').then((page) => signedIn(site, page));
      const page = await visitor.open('http://other.test:9000/', { headers: { 'x-forwarded-for': '203.0.113.7' } });
      const { rawHeaders } = JSON.parse(page.text) as Received;
      assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-for'), [expected]);
      assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-username'), ['alice']);
    }
  });
});

/** Asks for `other` and claims in a forwarded header that `forge` was meant. @returns the login address told */
async function forwarded(site: Site): Promise<string> {
  const answer = await site.visitor.background('GET', 'http://other.test:9000/x', {
    headers: { 'x-forwarded-host': 'forge.test:9000', 'x-forwarded-for': '203.0.113.7' },
  });
  assert.equal(answer.status, 401, answer.text);
  return (JSON.parse(answer.text) as { login_url: string }).login_url;
}

/** Signs in unless that has happened in an earlier test. */
async function signedIn(site: Site, page: Page): Promise<void> {
  if (hasPasswordField(page.text)) await site.visitor.login(page, 'alice', site.alice.password);
}
