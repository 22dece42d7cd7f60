import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';
import type { DomainApplication } from '../contract/domain-applications.ts';
import { ALICE, outpostInstance, providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import type { Answer, Person } from './data-plane.test-helper.ts';

const OP = '/outpost.goauthentik.io';
const NGINX = `${OP}/auth/nginx`;
const page = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const bound = (slug: string, host: string, path = '/'): DomainApplication => ({
  slug,
  name: `The ${slug}`,
  host,
  path,
});
const BOUND = [
  bound('wiki', 'wiki.example.test'),
  bound('shop', 'shop.example.test'),
  bound('admin', 'shop.example.test', '/admin'),
];

/** The identity server's own host is the authentication host, as in the published set-up. */
const domain = (applications: DomainApplication[], over = {}) =>
  providerConfig({
    external_host: 'http://auth.example.test',
    mode: 'forward_domain',
    cookie_domain: 'example.test',
    gatehouse: { ...DEFAULT_PROVIDER_SETTINGS, managed_headers: [], previous_cookie_secret: '', applications },
    ...over,
  });

describe('domain level', () => {
  let outpost: TestOutpost;
  let applications: DomainApplication[] = [];
  const start = async (open?: string[]) => {
    const controlPlane = { controlPlane: (_req: unknown, res: { end(text: string): void }) => res.end('the server') };
    outpost = await TestOutpost.start([domain(applications)], controlPlane as never);
    if (open !== undefined) outpost.server.extension.applications = open;
  };
  beforeEach(() => (applications = []));
  afterEach(() => outpost.stop());

  /** Signs in at the authentication host, asked to come back to `target`. */
  const signIn = async (target: string, person: Person = ALICE): Promise<Answer> => {
    const begun = await outpost.browse(`http://auth.example.test/akprox/start?rd=${target}`);
    return outpost.browse(outpost.server.login(begun.headers.location ?? '', person));
  };
  const check = (url: string, headers: Record<string, string | string[]> = {}) =>
    outpost.send(NGINX, { host: new URL(url).host, 'x-original-url': url, ...outpost.cookieHeader(), ...headers });

  it('shares one login by a cookie of the domain, begun at any host of it', async () => {
    await start();
    const begun = await outpost.browse(`http://wiki.example.test${OP}/start?rd=http://wiki.example.test/a?b=1&c=2`);
    for (const cookie of begun.headers['set-cookie'] ?? []) assert.match(cookie, /; Domain=example\.test;/);
    const authorize = new URL(begun.headers.location ?? '');
    assert.equal(new URL(authorize.searchParams.get('redirect_uri') ?? '').host, 'auth.example.test');
    const done = await outpost.browse(outpost.server.login(authorize.href));
    assert.equal(done.headers.location, 'http://wiki.example.test/a?b=1&c=2');
    for (const cookie of done.headers['set-cookie'] ?? []) assert.match(cookie, /; Domain=example\.test;/);
    for (const host of ['wiki', 'shop', 'a.b']) {
      assert.equal((await check(`http://${host}.example.test/x`)).status, 200, host);
    }
    assert.equal((await check('http://wiki.evilexample.test/x')).status, 403, 'no host of this domain');
  });

  it('signs out of all of them', async () => {
    await start();
    await signIn('http://wiki.example.test/');
    const out = await outpost.browse(`http://shop.example.test${OP}/sign_out`);
    assert.match(
      out.headers['set-cookie']?.[0] ?? '',
      /^authentik_proxy_[0-9a-f]{8}=; .*Domain=example\.test.*Max-Age=0/,
    );
    assert.equal((await check('http://wiki.example.test/')).status, 401);
  });

  it('takes only its own addresses on the authentication host, and leaves the rest to the server', async () => {
    await start();
    for (const host of ['auth.example.test', 'other.example.test', 'example.test']) {
      for (const path of ['/', '/if/flow/x/', '/api/v3/', `${OP}-x`, '/akproxy', '/?rd=x']) {
        assert.equal((await outpost.send(path, { host })).body, 'the server', host + path);
      }
      assert.equal((await outpost.send(`${OP}/start`, { host, ...page })).status, 302);
      assert.equal((await outpost.send('/x?X-authentik-logout=true', { host, ...page })).status, 200);
    }
  });

  it('leaves out a target that is not below the domain', async () => {
    await start();
    for (const rd of [
      'http://evilexample.test/',
      'http://x.test/',
      '//wiki.example.test/',
      'http://wiki.example.test:1/',
    ]) {
      outpost.jar.clear();
      const done = await signIn(rd);
      assert.equal(done.headers.location, 'http://auth.example.test/', rd);
    }
  });

  it('tells Traefik where the visitor was, on any host of the domain', async () => {
    await start();
    const asked = (host: string) =>
      outpost.browse(`http://outpost:9000${OP}/auth/traefik`, {
        'x-forwarded-proto': 'http',
        'x-forwarded-host': host,
        'x-forwarded-uri': '/a?b=1',
        ...page,
      });
    const begun = await asked('wiki.example.test');
    assert.equal(begun.status, 302);
    const done = await outpost.browse(outpost.server.login(begun.headers.location ?? ''));
    assert.equal(done.headers.location, 'http://wiki.example.test/a?b=1');
    assert.equal((await asked('shop.example.test')).status, 200);
  });

  it('opens by a rule for a host nothing but that host', async () => {
    const rule = { skip_path_regex: '^https?://(?:public|auth)\\.' };
    outpost = await TestOutpost.start([domain([], rule)]);
    const ask = async (headers: Record<string, string>) =>
      (await outpost.send(NGINX, { host: 'private.example.test', ...headers })).status;
    const PUBLIC = 'public.example.test';
    const url = { 'x-original-url': `http://${PUBLIC}/secret` };
    assert.equal(await ask({ host: PUBLIC, ...url }), 200);
    assert.equal(await ask({ host: 'outpost:9000', 'x-forwarded-host': PUBLIC, ...url }), 200, 'an ingress');
    // nginx takes the application from the request line, and $http_host from the header
    assert.equal(await ask(url), 403);
    assert.equal(await ask({ 'x-original-uri': '/secret', ...url }), 403);
    assert.equal(await ask({ 'x-original-uri': '/secret', 'x-forwarded-host': PUBLIC }), 403);
    assert.equal(await ask({ 'x-original-url': 'http://auth.example.test/secret' }), 401);
    assert.equal(await ask({ 'x-original-url': 'http://public.evil.test/secret' }), 401);
    assert.equal(await ask({ host: 'auth.example.test', ...url }), 401);
  });

  it('lets nobody in by a login for another application when none is bound any more, or no domain is shared', async () => {
    applications = BOUND;
    await start(['wiki']);
    await signIn('http://wiki.example.test/');
    assert.equal((await check('http://wiki.example.test/')).status, 200);
    // the configuration comes without the event that makes sessions stale, or before it
    outpost.plane.configure(outpostInstance(), [domain([])]);
    assert.equal((await check('http://wiki.example.test/')).status, 401);
    assert.equal((await check('http://other.example.test/')).status, 401);

    // browsers take no cookie for a registry: then the authentication host is all there is
    const here = { external_host: 'http://auth.org.de', cookie_domain: 'org.de' };
    for (const [open, status] of [
      [['wiki'], 401],
      [['app'], 200],
    ] as const) {
      await outpost.stop();
      outpost = await TestOutpost.start([domain([bound('wiki', 'wiki.org.de')], here)]);
      outpost.server.extension.applications = [...open];
      const begun = await outpost.browse(`http://auth.org.de${OP}/start?rd=http://auth.org.de/x`);
      await outpost.browse(outpost.server.login(begun.headers.location ?? ''));
      assert.equal((await check('http://auth.org.de/x')).status, status);
    }
  });

  describe('with applications bound to hosts', () => {
    beforeEach(() => (applications = BOUND));

    it('opens those the person may open, and names them', async () => {
      await start(['app', 'wiki', 'admin']);
      await signIn('http://wiki.example.test/');
      const table: [string, number, string][] = [
        ['http://wiki.example.test/x', 200, 'wiki'],
        ['http://wiki.example.test:8080/x', 200, 'wiki'],
        ['http://other.example.test/x', 200, 'app'],
        ['http://shop.example.test/', 401, ''],
        ['http://shop.example.test/admin', 200, 'admin'],
        ['http://shop.example.test/admin/x', 200, 'admin'],
        ['http://shop.example.test/administration', 401, ''],
        ['http://shop.example.test/ADMIN', 401, ''],
        ['http://shop.example.test/x%2fadmin', 401, ''],
      ];
      for (const [url, status, application] of table) {
        const answer = await check(url);
        assert.deepEqual([answer.status, answer.headers['x-authentik-meta-app'] ?? ''], [status, application], url);
      }
      // the older check names no path: all of the host must be open
      const bare = (host: string) => outpost.send('/akprox/auth', { host, ...outpost.cookieHeader() });
      assert.equal((await bare('wiki.example.test')).status, 200);
      assert.equal((await bare('shop.example.test')).status, 401);
    });

    it('shows who is refused a page that names the application, never a new login', async () => {
      await start(['app', 'wiki']);
      await signIn('http://wiki.example.test/');
      const denied = await outpost.browse(
        'http://auth.example.test/akprox/start?rd=http://shop.example.test/admin',
        page,
      );
      assert.equal(denied.status, 403);
      assert.match(denied.body, /The admin/);
      assert.match(denied.body, /shop\.example\.test\/admin/);
      const open = await outpost.browse('http://auth.example.test/akprox/start?rd=http://wiki.example.test/', page);
      assert.equal(open.headers.location, 'http://wiki.example.test/');
      const relayed = await outpost.browse(`http://outpost${OP}/auth/caddy`, {
        'x-forwarded-proto': 'http',
        'x-forwarded-host': 'shop.example.test',
        'x-forwarded-uri': '/x',
        ...page,
      });
      assert.equal(relayed.status, 403);
      assert.match(relayed.body, /The shop/);
      const refused = outpost.log.filter(({ reason }) => reason === 'access-denied');
      assert.deepEqual(
        refused.map(({ application, user }) => [application, user]),
        [
          ['admin', 'alice'],
          ['shop', 'alice'],
        ],
      );
    });

    it('may close what the provider itself would open', async () => {
      await start(['wiki']);
      await signIn('http://wiki.example.test/');
      assert.equal((await check('http://wiki.example.test/')).status, 200);
      assert.equal((await check('http://other.example.test/')).status, 401);
      const denied = await outpost.browse('http://auth.example.test/akprox/start?rd=http://other.example.test/', page);
      assert.match(denied.body, /Wiki/, 'the provider’s own application is called so here');
    });

    it('has room for as many applications as a provider takes', async () => {
      const names = Array.from({ length: 200 }, (_, i) => `application-${(i * 7919).toString(36)}-of-the-company`);
      applications = names.map((slug) => bound(slug, `${slug}.example.test`));
      await start(names);
      await signIn(`http://${names[199]}.example.test/`);
      for (const name of [names[0], names[199]]) {
        assert.equal((await check(`http://${name}.example.test/`)).headers['x-authentik-meta-app'], name);
      }
    });

    it('believes no second host', async () => {
      await start(['wiki']);
      await signIn('http://wiki.example.test/');
      const wiki = { 'x-forwarded-host': 'wiki.example.test' };
      assert.notEqual((await check('http://shop.example.test/', wiki)).status, 200);
      const named = { host: 'shop.example.test', 'x-original-url': 'http://wiki.example.test/' };
      assert.notEqual((await check('http://wiki.example.test/', named)).status, 200);
      const bare = { host: 'shop.example.test', ...wiki, ...outpost.cookieHeader() };
      assert.notEqual((await outpost.send('/akprox/auth', bare)).status, 200);
      // but the authentication host may ask for others: ingresses do
      const ingress = { host: 'auth.example.test', 'x-forwarded-host': 'wiki.example.test' };
      assert.equal((await check('http://wiki.example.test/', ingress)).status, 200);
    });

    it('asks the server about sessions from before, and lets nobody in until it knows', async () => {
      applications = [];
      await start();
      await signIn('http://wiki.example.test/');
      outpost.plane.applyEvents({ epoch: 'e1', snapshot: true, n: 10, events: [] });
      assert.equal((await check('http://wiki.example.test/')).status, 200);
      outpost.plane.configure(outpostInstance(), [domain(BOUND)]);
      outpost.channel.up = false;
      assert.equal((await check('http://wiki.example.test/')).status, 403, 'cannot be asked');
      outpost.channel.up = true;
      outpost.pass(3);
      const token = await outpost.server.sign('client-1', 'app', ALICE);
      const gatehouse = { ...outpost.server.extension, applications: ['wiki'] };
      outpost.server.refresh = () => ({ result: 'token', access_token: token, gatehouse });
      assert.equal((await check('http://wiki.example.test/')).status, 200);
      assert.equal((await check('http://shop.example.test/')).status, 401);
    });
  });
});
