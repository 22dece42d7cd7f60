import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';
import { ALICE, outpostInstance, providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import { cookieName } from './session/cookies.ts';

const OP = '/outpost.goauthentik.io';
const html = { accept: 'text/html' };
const xhr = { accept: 'application/json', 'sec-fetch-mode': 'cors' };

/** Sends bytes as they are, for what Node's client would not. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('latin1');
    socket.on('data', (part: string) => (answer += part));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
    socket.setTimeout(20_000, () => socket.destroy());
  });
}

describe('routing', () => {
  let outpost: TestOutpost;
  const passed: string[] = [];
  before(async () => {
    outpost = await TestOutpost.start(
      [
        providerConfig({ skip_path_regex: '/skip.*' }),
        providerConfig({
          pk: 2,
          external_host: 'http://proxied.test',
          mode: 'proxy',
          internal_host: 'http://127.0.0.1:1',
        }),
      ],
      {
        controlPlane: (_req, res, request) => {
          passed.push(`${request.host}${request.rawTarget}`);
          res.end('control plane');
        },
      },
    );
  });
  beforeEach(() => (passed.length = 0));
  after(() => outpost.stop());

  it('answers ping on any host, both generations, any method', async () => {
    for (const prefix of [OP, '/akprox']) {
      for (const host of ['app.test', 'unknown.test']) {
        const answer = await outpost.send(`${prefix}/ping`, { host }, 'HEAD');
        assert.deepEqual([answer.status, answer.body], [204, '']);
      }
    }
    assert.equal((await outpost.send(`${OP}/pingXYZ`)).status, 404);
    assert.equal((await outpost.send(`${OP}/static/dist/x.css`)).status, 404);
  });

  it('gives a forward-auth host to the control plane, but for its own paths and signatures', async () => {
    for (const path of ['/', '/api/v3/', `${OP}-evil/x`, '/akproxy', '/a?X-authentik-logout=false']) {
      assert.equal((await outpost.send(path)).body, 'control plane', path);
    }
    passed.length = 0;
    for (const path of [
      `${OP}/start`,
      `${OP}/nothing`,
      `${OP}`,
      `${OP}/auth/traefik`,
      '/akprox/auth?traefik',
      '/a?X-authentik-logout=True',
    ]) {
      await outpost.send(path, html);
      assert.deepEqual(passed, [], path);
    }
  });

  it('keeps a proxy-mode host for itself', async () => {
    for (const path of ['/', '/api/v3/', `${OP}/auth/nginx`, `${OP}/nothing`, '/ws/x']) {
      const answer = await outpost.send(path, { host: 'proxied.test', ...xhr });
      assert.notEqual(answer.status, 200, path);
    }
    assert.deepEqual(passed, []);
  });

  it('gives other hosts to the control plane, their outpost paths excepted', async () => {
    assert.equal((await outpost.send('/x', { host: 'id.test' })).body, 'control plane');
    const check = await outpost.send(`${OP}/auth/nginx`, { host: 'id.test' });
    assert.equal(check.status, 403);
    const answer = await outpost.send(`${OP}/start`, { host: 'id.test' });
    assert.equal(answer.status, 400);
    assert.deepEqual(Object.keys(JSON.parse(answer.body) as object).slice(0, 3), ['Message', 'Host', 'Detail']);
    assert.match(answer.body, /^\{\n\t"Message": "no app for hostname",\n\t"Host": "id\.test"/);
    assert.match((await outpost.send(`${OP}/start`, { host: 'id.test', ...html })).body, /<html/);
  });

  it('answers nginx by the table (spec/outpost.md 25, vectors 1 to 4)', async () => {
    const ask = async (headers: Record<string, string>) => (await outpost.send(`${OP}/auth/nginx`, headers)).status;
    assert.equal(await ask({}), 500);
    assert.equal(outpost.problems.at(-1)?.code, 'no-original-address');
    assert.equal(await ask({ 'x-original-url': 'http://test.goauthentik.io/skip' }), 200);
    assert.equal(await ask({ 'x-original-url': 'http://test.goauthentik.io/app' }), 401);
    assert.equal(await ask({ 'x-original-uri': '/app' }), 401);
    assert.equal(await ask({ 'x-original-uri': '/app?x=/skip' }), 401);
    assert.equal(await ask({ 'x-original-uri': '/skip', 'x-original-url': 'http://a.test/app' }), 403, 'two addresses');
    for (const url of [
      'http://[::1',
      'app.test/skip',
      'javascript:/skip',
      'http:///skip',
      'http://a b/skip',
      'http://a\\@b/skip',
    ])
      assert.equal(await ask({ 'x-original-url': url }), 403, url);
    assert.equal(await ask({ 'x-original-uri': 'skip' }), 403);
    assert.equal(await ask({ 'x-original-url': 'http://a.test/skip/../app' }), 403);
    assert.equal(await ask({ 'x-original-url': 'http://a.test/skip%2fapp' }), 403);
    assert.equal(await ask({ 'x-original-url': `http://a.test${OP}-evil` }), 401);
    assert.equal(await ask({ 'x-original-url': 'http://a.test/skip', 'x-forwarded-for': 'x y' }), 403);
  });

  it('carries every managed header, empty, for a public path', async () => {
    const answer = await outpost.send(`${OP}/auth/nginx`, {
      'x-original-url': 'http://app.test/skip',
      'X-Authentik-Username': 'admin',
    });
    assert.equal(answer.headers['x-authentik-username'], '');
    assert.equal(answer.headers['x-authentik-jwt'], '');
  });

  it('opens nothing on the older bare check by an address only a client can have sent', async () => {
    const answer = await outpost.send('/akprox/auth', { 'x-original-url': 'http://app.test/skip' });
    assert.equal(answer.status, 401);
    assert.equal((await outpost.send('/akprox/auth/nginx', {})).status, 401);
  });

  it('decides every method alike', async () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'POST', 'DELETE', 'PROPFIND']) {
      assert.equal(
        (await outpost.send(`${OP}/auth/nginx`, { 'x-original-url': 'http://app.test/app' }, method)).status,
        401,
      );
      assert.equal((await outpost.send('/x', { host: 'proxied.test', ...xhr }, method)).status, 401);
    }
  });

  it('never passes a broken session cookie', async () => {
    const name = cookieName('client-1');
    for (const value of ['', 'x', 'eyJ', '.....', '2.', 'a'.repeat(12_000), 'null', '%00', '"', '\u00ff']) {
      for (const path of [
        `${OP}/auth/nginx`,
        `${OP}/start`,
        `${OP}/sign_out`,
        `${OP}/callback?state=x&code=y`,
        '/akprox/auth',
      ]) {
        const answer = await outpost.send(path, {
          'x-original-url': 'http://app.test/x',
          cookie: `${name}=${value}`,
          ...html,
        });
        assert.ok(
          answer.status !== 200 || path.endsWith('sign_out'),
          `${path} ${value.slice(0, 20)} -> ${answer.status}`,
        );
        assert.equal(answer.headers['x-authentik-username'], undefined);
      }
    }
  });

  it('refuses ambiguous and foreign requests', async () => {
    const { port } = outpost;
    const host = 'Host: app.test\r\n';
    const close = 'Connection: close\r\n\r\n';
    assert.match(await raw(port, `GET ${OP}/auth/nginx HTTP/1.1\r\n${host}X-Original-URL: http://app.test/skip\r\nX-Original-URL: http://app.test/x\r\n${close}`), /^HTTP\/1\.1 403/); // prettier-ignore
    assert.match(await raw(port, `GET http://evil.test/ HTTP/1.1\r\n${host}${close}`), /^HTTP\/1\.1 400/);
    assert.match(
      await raw(port, `GET / HTTP/1.0\r\n${host}Upgrade: websocket\r\n${close}`),
      /^HTTP\/1\.1 426[^]*proxy_http_version 1\.1/,
    );
    assert.match(await raw(port, `GET ${OP}/auth/nginx HTTP/1.0\r\n${host}Upgrade: websocket\r\nX-Original-URL: http://app.test/skip\r\n${close}`), /^HTTP\/1\.1 200/); // prettier-ignore
    assert.deepEqual(passed, []);
  });

  it('tells which upgrade requests belong to the identity server', () => {
    const upgrade = (host: string, url: string, remoteAddress: string | undefined = '127.0.0.1', httpVersion = '1.1') =>
      outpost.plane.controlPlaneUpgrade({
        method: 'GET', url, httpVersion, rawHeaders: ['Host', host, 'Upgrade', 'websocket'], socket: { remoteAddress },
      } as never) !== undefined; // prettier-ignore
    assert.equal(upgrade('id.test', '/ws/outpost/x/'), true);
    assert.equal(upgrade('app.test', '/ws/outpost/x/'), true);
    assert.equal(upgrade('proxied.test', '/ws/outpost/x/'), false);
    assert.equal(upgrade('id.test', '/other'), false);
    assert.equal(upgrade('id.test', '/ws/outpost/x/', ''), false, 'the client is gone');
    assert.equal(upgrade('id.test', '/ws/outpost/x/', '127.0.0.1', '1.0'), false, 'told what to set instead');
  });

  it('finds them below the path of the identity server', async () => {
    const controlPlane = (_req: unknown, res: { end(text: string): void }) => res.end('control plane');
    const below = await TestOutpost.start([providerConfig({})], { controlPlane, controlPlanePath: '/auth/' });
    try {
      const upgrade = (url: string) =>
        below.plane.controlPlaneUpgrade({
          method: 'GET', url, httpVersion: '1.1', rawHeaders: ['Host', 'id.test', 'Upgrade', 'websocket'],
          socket: { remoteAddress: '127.0.0.1' },
        } as never) !== undefined; // prettier-ignore
      assert.equal(upgrade('/auth/ws/outpost/x/'), true);
      assert.equal(upgrade('/ws/outpost/x/'), false);
      const ask = (path: string) => raw(below.port, `GET ${path} HTTP/1.0\r\nHost: id.test\r\n\r\n`);
      assert.match(await ask('/auth/ws/outpost/x/'), /^HTTP\/1\.1 426[^]*proxy_http_version 1\.1/);
      assert.match(await ask('/ws/'), /control plane/);
    } finally {
      await below.stop();
    }
  });

  it('drops a request of a client that is gone before anything answers it', () => {
    for (const [host, url] of [
      ['id.test', '/api/v3/'],
      ['app.test', `${OP}/auth/nginx`],
      ['app.test', `${OP}/ping`],
    ] as const) {
      for (const remoteAddress of [undefined, '']) {
        let destroyed = false;
        const socket = { remoteAddress, destroy: () => (destroyed = true) };
        const req = { method: 'GET', url, httpVersion: '1.1', rawHeaders: ['Host', host], socket };
        const res = new Proxy({}, { get: (_, name) => assert.fail(`res.${String(name)} is used`) });
        outpost.plane.handle(req as never, res as never);
        assert.ok(destroyed, `${host}${url}`);
      }
    }
    assert.deepEqual(passed, []);
  });

  it('writes the access log with reason and person', async () => {
    outpost.log.length = 0;
    await outpost.send(`${OP}/auth/nginx`, { 'x-original-url': 'http://app.test/app', 'x-forwarded-for': '192.0.2.8' });
    assert.equal(outpost.log.length, 1);
    const { status, reason, remote, provider } = outpost.log[0] ?? assert.fail();
    assert.deepEqual([status, reason, remote, provider], [401, 'no-session', '192.0.2.8', 'App provider']);
  });
});

describe('before a configuration, and without a control plane', () => {
  it('is not ready: 503 with Retry-After, 403 for nginx', async () => {
    const outpost = await TestOutpost.start(undefined);
    const answer = await outpost.send('/', html);
    assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '2']);
    assert.equal((await outpost.send(`${OP}/auth/nginx`)).status, 403);
    assert.equal((await outpost.send(`${OP}/ping`)).status, 503);
    await outpost.stop();
  });

  it('tells what is wrong in a configuration, by provider', async () => {
    const twin = providerConfig({ pk: 2, name: 'Twin', client_id: 'client-2' });
    const outpost = await TestOutpost.start([providerConfig(), twin]);
    const [problem, ...more] = outpost.problems;
    assert.deepEqual(more, []);
    assert.match(problem?.message ?? '', /^Twin: External host app\.test already belongs to provider "App provider"/);
    assert.deepEqual([problem?.code, problem?.provider, problem?.clientIp], ['configuration', 2, undefined]);
    assert.deepEqual(problem?.context, { provider: 'Twin', outpost: 'authentik Embedded Outpost' });
    await outpost.stop();
  });

  it('knows its hosts only', async () => {
    const outpost = await TestOutpost.start([providerConfig()]);
    outpost.plane.configure(outpostInstance({ managed: null }), [providerConfig()]);
    assert.equal((await outpost.send('/', { host: 'other.test' })).status, 400);
    assert.equal((await outpost.send('/')).status, 404);
    await outpost.stop();
  });
});

describe('proxy mode', () => {
  let outpost: TestOutpost;
  let seen: { url: string | undefined; headers: Record<string, unknown> }[] = [];
  const upstream = createServer((req, res) => {
    seen.push({ url: req.url, headers: req.headers });
    if (req.url === '/away') res.writeHead(302, { location: `http://${req.headers.host ?? ''}/next` });
    if (req.url !== '/never') res.end('application');
  });
  upstream.on('upgrade', (req) => seen.push({ url: req.url, headers: req.headers }));
  const configure = (over: object = {}) =>
    outpost.plane.configure(outpostInstance(), [
      providerConfig({
        mode: 'proxy',
        internal_host: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
        skip_path_regex: '^/public/',
        ...over,
      }),
    ]);
  before(async () => {
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    outpost = await TestOutpost.start([]);
    configure();
  });
  beforeEach(() => {
    seen = [];
  });
  after(async () => {
    await outpost.stop();
    upstream.close();
    upstream.closeAllConnections();
  });

  it('leads navigations to the login and back, answers the rest with 401', async () => {
    const begun = await outpost.browse('/page?a=1&b=%2F');
    assert.equal(begun.status, 302);
    const done = await outpost.browse(outpost.server.login(begun.headers.location ?? ''));
    assert.equal(done.headers.location, 'http://app.test/page?a=1&b=%2F');
    outpost.jar.clear();
    const answer = await outpost.send('/api', xhr);
    assert.equal(answer.status, 401);
    assert.match(
      answer.body,
      /"login_url":"http:\/\/app\.test\/outpost\.goauthentik\.io\/start\?rd=http%3A%2F%2Fapp\.test%2Fapi"/,
    );
    assert.equal(answer.headers['set-cookie'], undefined);
    const framed = await outpost.send('/x', { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe', ...html });
    assert.equal(framed.status, 401);
    assert.equal(framed.headers['x-frame-options'], undefined);
    assert.doesNotMatch(String(framed.headers['content-security-policy']), /frame-ancestors/);
    assert.equal((await outpost.send('/x')).status, 302, 'no Accept at all: as published');
    assert.equal(seen.length, 0);
  });

  it('carries requests of people with their headers, without our cookies', async () => {
    await outpost.login();
    const answer = await outpost.browse('/page?q=%41', {
      'X-Authentik_Username': 'admin',
      'x-authentik-groups': 'admins',
    });
    assert.equal(answer.body, 'application');
    const { url, headers } = seen[0] ?? assert.fail();
    assert.equal(url, '/page?q=%41');
    assert.equal(headers['x-authentik-username'], 'alice');
    assert.equal(headers['x-authentik_username'], undefined);
    assert.equal(headers['cookie'], undefined);
    assert.equal(headers['x-forwarded-host'], 'app.test');
    assert.match(String(headers['host']), /^127\.0\.0\.1:/);
    assert.equal((await outpost.browse('/away')).headers.location, 'http://app.test/next');
  });

  it('lets public paths through as nobody', async () => {
    const answer = await outpost.send('/public/x', { 'x-authentik-username': 'admin', x_authentik_uid: '1' });
    assert.equal(answer.status, 200);
    assert.ok(!Object.keys(seen[0]?.headers ?? {}).some((name) => /authentik/i.test(name)));
    for (const path of [
      '/admin?x=/public/',
      '/public/../admin',
      '/public/%2e%2e/admin',
      '/public%2f..%2fadmin',
      '/public/..;/admin',
    ])
      assert.notEqual((await outpost.send(path, xhr)).status, 200, path);
    assert.equal(seen.length, 1);
  });

  it('answers like somebody new whoever’s session ends before the application answered', async () => {
    const cases = [
      ['GET', html, 302],
      ['GET', xhr, 401],
      ['POST', xhr, 401],
      ['GET', { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }, 401],
    ] as const;
    for (const [method, headers, status] of cases) {
      outpost.jar.clear();
      const sid = `sid-${method}-${JSON.stringify(headers)}`;
      await outpost.login('/', { ...ALICE, sid });
      seen = [];
      outpost.log.length = 0;
      const answer = outpost.send('/never', { ...headers, ...outpost.cookieHeader() }, method);
      while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      outpost.plane.endedByPublishedInstruction(sid);
      assert.equal((await answer).status, status, `${method} ${JSON.stringify(headers)}`);
      assert.deepEqual(
        outpost.log.map((entry) => [entry.status, entry.reason]),
        [[status, 'session-ended']],
      );
    }
    outpost.jar.clear();
  });

  it('keeps the host with the setting "original"', async () => {
    configure({
      gatehouse: {
        ...DEFAULT_PROVIDER_SETTINGS,
        host: 'original',
        managed_headers: [],
        previous_cookie_secret: '',
        applications: [],
      },
    });
    await outpost.send('/public/x');
    assert.equal(seen[0]?.headers['host'], 'app.test');
    configure();
  });

  it('says plainly when the application is not there', async () => {
    assert.equal((await outpost.send('/ws', { connection: 'upgrade', upgrade: 'websocket' })).status, 401);
    configure({ internal_host: 'http://127.0.0.1:1' });
    outpost.log.length = 0;
    assert.equal((await outpost.send('/public/x', html)).status, 502);
    assert.deepEqual(
      outpost.log.map((entry) => [entry.status, entry.reason]),
      [[502, 'upstream-failed']],
    );
    configure({ internal_host: 'ftp://nowhere' });
    assert.equal((await outpost.send('/public/x', html)).status, 502);
    configure();
  });
});
