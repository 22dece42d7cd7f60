import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { accessibilityProblems, person, pictures, startBrowser } from './harness/browser.ts';
import { trace } from './harness/client.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';

const ELSEWHERE = 'https://elsewhere.test';
const PREFLIGHT = {
  origin: ELSEWHERE,
  'access-control-request-method': 'PUT',
  'access-control-request-headers': 'content-type',
};
const FETCH = { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
const MANIFEST = { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'manifest' };

/** What clients get that cannot be led through a login, and what people read when something is wrong. */
describe('answers', { timeout: 600_000 }, () => {
  let scene: Scene;
  let browser: Browser;
  let alice: Person;

  before(async () => {
    scene = await Scene.start({ nginx: { wiki: 'outpost' } });
    alice = await scene.provision.user('alice');
    await scene.application('wiki', { name: 'Team Wiki', gatehouse: { preflight: 'pass', public_assets: true } });
    await scene.application('forge', {
      name: 'Forge',
      gatehouse: { preflight: 'answer', preflight_origins: [ELSEWHERE], public_assets: true },
    });
    await scene.application('strict');
    await scene.application('older', { gatehouse: { login_answer: 'published' } });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await scene?.stop();
  });
  afterEach((t) => scene?.explain(t));

  const json = (text: string) => JSON.parse(text) as Record<string, unknown>;

  it('a preflight passes nginx where the provider says so, as nobody, and nothing else does', async () => {
    const visitor = scene.visitor();
    const headers = { ...PREFLIGHT, ...FETCH, 'x-authentik-username': 'forged' };
    const passed = await visitor.send('OPTIONS', `${scene.address('wiki')}/api?x=1`, { headers });
    assert.equal(passed.status, 200, passed.text);
    const received = JSON.parse(passed.text) as Received;
    assert.deepEqual([received.method, received.url], ['OPTIONS', '/api?x=1']);
    assert.equal(valuesOf(received.rawHeaders, 'x-authentik-username').join(''), '');
    assert.deepEqual(valuesOf(received.rawHeaders, 'access-control-request-method'), ['PUT']);
    for (const method of ['GET', 'PUT', 'HEAD']) {
      const lured = { ...headers, 'x-original-method': 'OPTIONS' };
      const refused = await visitor.send(method, `${scene.address('wiki')}/api`, { headers: lured });
      assert.equal(refused.status, 302, `${method}: nginx leads to start`);
    }
  });

  it('a preflight is answered in proxy mode, for the named origins', async () => {
    const visitor = scene.visitor();
    const count = scene.upstream.received.length;
    const answered = await visitor.send('OPTIONS', `${scene.address('forge')}/api`, { headers: PREFLIGHT });
    assert.equal(answered.status, 204);
    const { headers } = answered;
    assert.equal(headers['access-control-allow-origin'], ELSEWHERE);
    assert.equal(headers['access-control-allow-credentials'], 'true');
    assert.equal(headers['access-control-allow-methods'], 'PUT');
    assert.equal(headers['access-control-allow-headers'], 'content-type');
    assert.match(String(headers['vary']), /Origin/);
    assert.equal(scene.upstream.received.length, count, 'the application is not asked');

    const other = { ...PREFLIGHT, origin: 'https://other.test' };
    for (const name of ['forge', 'strict']) {
      const refused = await visitor.send('OPTIONS', `${scene.address(name)}/api`, { headers: other });
      assert.equal(refused.status, 401, `${name}: never a redirect`);
      assert.equal(refused.headers['access-control-allow-origin'], undefined);
    }
    const script = { ...FETCH, origin: ELSEWHERE };
    const challenge = await visitor.send('GET', `${scene.address('forge')}/api`, { headers: script });
    assert.deepEqual([challenge.status, challenge.headers['access-control-allow-origin']], [401, ELSEWHERE]);
  });

  it('programs get the same members in every error', async () => {
    const visitor = scene.visitor();
    const challenge = await visitor.background('GET', `${scene.address('forge')}/api?x=1`);
    const body = json(challenge.text);
    assert.deepEqual(Object.keys(body), ['error', 'code', 'request_id', 'login_url']);
    assert.equal(body['code'], 'login-required');
    assert.equal(new URL(String(body['login_url'])).searchParams.get('rd'), `${scene.address('forge')}/api?x=1`);
    assert.match(String(challenge.headers['www-authenticate']), /^Bearer realm="forge"$/);
    const wrong = await visitor.background('GET', `${scene.address('forge')}/a%00b`);
    assert.deepEqual(Object.keys(json(wrong.text)), ['error', 'code', 'request_id']);
    assert.equal(json(wrong.text)['code'], 'path-malformed');
  });

  it('manifests are public where the provider says so, and never a redirect', async () => {
    const visitor = scene.visitor();
    const ask = (name: string, path: string) => visitor.send('GET', scene.address(name) + path, { headers: MANIFEST });
    for (const name of ['wiki', 'forge']) {
      const answer = await ask(name, '/manifest.json');
      assert.equal((JSON.parse(answer.text) as Received).url, '/manifest.json', name);
    }
    assert.equal((await ask('forge', '/private/manifest.json')).status, 401);
    assert.equal((await ask('strict', '/manifest.json')).status, 401);
    const plain = await visitor.send('GET', `${scene.address('strict')}/favicon.ico`, { headers: { accept: '*/*' } });
    assert.equal(plain.status, 401, 'also where the browser does not say what it fetches');
  });

  it('everybody is redirected where the provider wants it as published', async () => {
    const visitor = scene.visitor();
    for (const headers of [FETCH, MANIFEST, { accept: 'application/json' }, { 'sec-fetch-mode': 'navigate' }]) {
      const answer = await visitor.send('GET', `${scene.address('older')}/x`, { headers });
      assert.equal(answer.status, 302, JSON.stringify(headers));
      assert.match(String(answer.headers['location']), /\/application\/o\/authorize\//);
    }
  });

  it('unknown hosts learn what arrived, and who asked', async () => {
    const visitor = scene.visitor();
    const address = `http://forgee.test:${scene.gatehouse.port}/outpost.goauthentik.io/start`;
    const body = json((await visitor.background('GET', address)).text);
    const { port } = scene.gatehouse;
    assert.deepEqual(Object.keys(body).slice(0, 3), ['Message', 'Host', 'Detail']);
    assert.deepEqual(
      [body['Host'], body['code'], body['peer'], body['trusted'], body['nearest']],
      [`forgee.test:${port}`, 'unknown-host', '127.0.0.1', true, scene.address('forge')],
    );
  });

  it('pages that say what is wrong: axe finds nothing, pictures kept', async () => {
    const context = await person(browser);
    const page = await context.newPage();
    const problems: string[] = [];
    const inspect = async (name: string, says: RegExp): Promise<void> => {
      assert.match(await page.innerText('main'), says, name);
      problems.push(...(await pictures(page, name)));
      problems.push(...(await accessibilityProblems(page)).map((problem) => `${name}: ${problem}`));
    };
    const { port } = scene.gatehouse;
    await page.goto(`http://forgee.test:${port}/outpost.goauthentik.io/start`);
    await inspect('unknown-host', /There is an application at forge\.test.*forgee\.test/s);
    await page.goto(`http://127.0.0.1:${port}/outpost.goauthentik.io/start`);
    await inspect('unknown-host-of-proxy', /not like one that people type/);

    // a browser that keeps no attempt: the second callback explains
    const visitor = scene.visitor();
    visitor.jar.refused = /^authentik_proxy_/;
    const lost = await visitor.enter(`${scene.address('wiki')}/x`, 'alice', alice.password);
    assert.equal(lost.status, 400, trace(lost));
    await page.goto(lost.url.href);
    await inspect('login-cookie-missing', /no cookie at all/);
    await page.goto(lost.url.href.replace('https://', 'http://').replace(/:\d+/, `:${port}`));
    await inspect('login-cookie-missing-http', /begins with https/);

    await page.goto(`${scene.address('forge')}/x`);
    await page.fill('input[name=username]', 'alice');
    await page.fill('input[name=password]', alice.password);
    await page.press('input[name=password]', 'Enter');
    await page.waitForURL(`${scene.address('forge')}/x`);
    const guard = (await context.cookies(scene.address('forge'))).find((cookie) => cookie.name.endsWith('_l'));
    assert.ok(guard);
    await context.clearCookies({ name: guard.name.slice(0, -2) });
    await context.addCookies([{ ...guard, value: '2', expires: Date.now() / 1000 + 60 }]);
    await page.goto(`${scene.address('forge')}/x`);
    await inspect('login-loop', /larger one with your session did not/);
    await context.close();
    assert.deepEqual(problems, []);
  });
});
