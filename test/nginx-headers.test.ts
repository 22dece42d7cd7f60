import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { IDENTITY_HEADERS, LEGACY_HEADERS } from '../src/contract/headers.ts';
import { rawExchange } from './harness/client.ts';
import { Scene } from './harness/scene.ts';

/** What the outpost answers to the sub-request of nginx, byte by byte: nginx asks in HTTP/1.0. */
describe('the sub-request of nginx', () => {
  let scene: Scene;
  let cookie: string;

  before(async () => {
    scene = await Scene.start({ nginx: { wiki: 'outpost' } });
    const alice = await scene.provision.user('alice');
    await scene.provision.group('writers', [alice.pk], {
      attributes: { additionalHeaders: { 'X-Department': 'letters' } },
    });
    await scene.application('wiki', { provider: { skip_path_regex: '^/public/' } });
    const visitor = scene.visitor();
    const page = await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
    cookie = visitor.jar.header(page.url);
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const ask = (path: string, lines: string[], version = '1.0') =>
    rawExchange(
      scene.gatehouse.port,
      [`GET ${path} HTTP/${version}`, `Host: wiki.test`, 'Connection: close', ...lines, '', ''].join('\r\n'),
    );
  const original = (path: string) => `X-Original-URL: ${scene.address('wiki')}${path}`;

  it('is answered with every managed header', async () => {
    const answer = await ask('/outpost.goauthentik.io/auth/nginx', [original('/x'), `Cookie: ${cookie}`]);
    assert.match(answer, /^HTTP\/1\.[01] 200 /);
    for (const name of IDENTITY_HEADERS) assert.match(answer, new RegExp(`^${name}: `, 'm'), name);
    assert.match(answer, /^X-Authentik-Username: alice\r$/m);
    assert.match(answer, /^X-Authentik-Entitlements: \r$/m, 'empty headers are sent too');
    assert.match(answer, /^X-Authentik-Meta-Version: goauthentik\.io\/outpost\//m);
    assert.match(answer, /^X-Department: letters\r$/m);
  });

  it('of the older generation also gets the five older headers and its own version spelling', async () => {
    const answer = await ask('/akprox/auth', [`Cookie: ${cookie}`]);
    assert.match(answer, /^HTTP\/1\.[01] 200 /);
    for (const name of [...IDENTITY_HEADERS, ...LEGACY_HEADERS])
      assert.match(answer, new RegExp(`^${name}: `, 'm'), name);
    assert.match(answer, /^X-Authentik-Meta-Version: authentik-outpost@/m);
  });

  it('without a session is a 401, on the older path without any original address too', async () => {
    assert.match(await ask('/outpost.goauthentik.io/auth/nginx', [original('/x')]), /^HTTP\/1\.[01] 401 /);
    assert.match(await ask('/akprox/auth', []), /^HTTP\/1\.[01] 401 /);
    assert.match(await ask('/akprox/auth/nginx', [original('/x')]), /^HTTP\/1\.[01] 401 /);
  });

  it('without an original address is a 500 on the newer path, as published', async () => {
    assert.match(await ask('/outpost.goauthentik.io/auth/nginx', []), /^HTTP\/1\.[01] 500 /);
  });

  it('passes a public path only when the reverse proxy tells the original address', async () => {
    assert.match(await ask('/outpost.goauthentik.io/auth/nginx', [original('/public/a')]), /^HTTP\/1\.[01] 200 /);
    // the older text sends no address, so one that is there was made up by the visitor
    assert.match(await ask('/akprox/auth', [original('/public/a')]), /^HTTP\/1\.[01] 401 /);
    assert.match(await ask('/akprox/auth', ['X-Original-URI: /public/a']), /^HTTP\/1\.[01] 401 /);
    for (const path of ['/admin?x=/public/', '/public/../admin', '/public/%2e%2e/admin', '/public%2f..%2fadmin']) {
      assert.doesNotMatch(await ask('/outpost.goauthentik.io/auth/nginx', [original(path)]), /^HTTP\/1\.[01] 2/, path);
    }
  });

  it('with a broken session cookie never passes', async () => {
    const [name, value] = cookie
      .split('; ')
      .find((c) => c.startsWith('authentik_proxy_'))!
      .split('=') as [string, string];
    const broken = [
      '',
      'x',
      value.slice(0, -4),
      `${value}A`,
      // one letter of each part: header, vector, text, tag
      ...[...value.matchAll(/[^.]+/g)].map(({ index }) => replaceAt(value, index, value[index] === 'A' ? 'B' : 'A')),
      'A'.repeat(30_000),
    ];
    for (const bad of broken) {
      const answer = await ask('/outpost.goauthentik.io/auth/nginx', [original('/x'), `Cookie: ${name}=${bad}`]);
      assert.doesNotMatch(answer, /^HTTP\/1\.[01] [23]/, bad.slice(0, 20));
    }
  });

  it('answers ping on both prefixes and any host', async () => {
    for (const path of ['/outpost.goauthentik.io/ping', '/akprox/ping']) {
      for (const version of ['1.0', '1.1']) assert.match(await ask(path, [], version), /^HTTP\/1\.[01] 204 /);
    }
    const elsewhere = await rawExchange(
      scene.gatehouse.port,
      'GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: nowhere.test\r\nConnection: close\r\n\r\n',
    );
    assert.match(elsewhere, /^HTTP\/1\.[01] 204 /);
  });
});

const replaceAt = (text: string, at: number, letter: string) => text.slice(0, at) + letter + text.slice(at + 1);
