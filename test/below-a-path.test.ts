import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Client, Page } from './harness/client.ts';
import { trace } from './harness/client.ts';
import { forms, hasPasswordField, links } from './harness/forms.ts';
import { PASSWORD } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

const PATH = '/auth/';
const ADMIN = 'the first password';

/** `WEB__PATH`, without a reverse proxy: every page of a first start and a login, and whatever they lead to. */
describe('an identity server below a path, asked directly', { timeout: 600_000 }, () => {
  let scene: Scene;
  let visitor: Client;

  before(async () => {
    scene = await Scene.start({ gatehouse: { webPath: PATH, env: { GATEHOUSE_BOOTSTRAP_PASSWORD: undefined } } });
    visitor = scene.visitor();
    await scene.provision.user('alice');
    await scene.provision.user('bob');
    const group = await scene.provision.group('readers', []);
    await scene.application('wiki', { provider: { intercept_header_auth: true } });
    await scene.application('secret', { groups: [group] });
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const at = (path: string) => `${scene.server}${PATH}${path}`;

  it('is announced and set up there', async () => {
    const { value: link } = await eventually('set-up link', 30_000, () => {
      const found = /https?:\/\/\S+initial-setup\/\?token=\S+/.exec(scene.gatehouse.log)?.[0];
      assert.ok(found !== undefined, scene.gatehouse.tail());
      return new URL(found);
    });
    assert.equal(link.pathname, `${PATH}if/flow/initial-setup/`);
    const setup = await visitor.open(at(`if/flow/initial-setup/${link.search}`));
    await assertBelow(visitor, setup);
    const portal = await visitor.submit(setup, { password: ADMIN, repeat: ADMIN });
    assert.equal(portal.url.href, at('if/user/'), trace(portal));
    await assertBelow(visitor, portal);
  });

  it('leads the root of its host there, and answers nothing else of it', async () => {
    const someone = scene.visitor();
    for (const start of ['/', PATH, PATH.slice(0, -1)]) {
      const page = await someone.open(scene.server + start);
      assert.equal(page.url.pathname, `${PATH}if/flow/default-authentication-flow/`, `${start}\n${trace(page)}`);
    }
    for (const path of ['/if/user/', '/api/v3/root/config/', '/-/health/live/', '/application/o/wiki/', '/authx/']) {
      const page = await someone.open(scene.server + path);
      assert.equal(page.status, 404, path);
      await assertBelow(someone, page);
    }
  });

  it('keeps every link, form and redirect of its pages below the path', async () => {
    const someone = scene.visitor();
    const pages = [
      'if/flow/default-authentication-flow/',
      'flows/-/default/authentication/?next=/auth/if/user/',
      'flows/-/default/invalidation/',
      'if/flow/default-invalidation-flow/',
      'nothing/here',
      'application/o/authorize/?client_id=unknown',
      'application/o/wiki/end-session/',
    ];
    for (const path of pages) await assertBelow(someone, await someone.open(at(path)));
    await someone.enter(at(''), 'alice', PASSWORD);
    for (const path of pages) await assertBelow(someone, await someone.open(at(path)));
  });

  it('takes no path of another part of the host as the way back', async () => {
    for (const next of ['/elsewhere', '/authx/', '//evil.test/auth/', '/auth/../elsewhere']) {
      const someone = scene.visitor();
      const page = await someone.enter(at(`if/flow/default-authentication-flow/?next=${next}`), 'alice', PASSWORD);
      assert.equal(page.url.href, at('if/user/'), next);
    }
  });

  it('has the embedded outpost beside it, at the paths outposts have', async () => {
    const person = scene.visitor();
    const target = `${scene.address('wiki')}/page?x=1`;
    const page = await person.enter(target, 'alice', PASSWORD);
    assert.equal(page.url.href, target, trace(page));
    assert.equal((JSON.parse(page.text) as Received).url, '/page?x=1');
    assert.ok(
      page.hops.some(({ url }) => url.includes('/outpost.goauthentik.io/callback')),
      trace(page),
    );
    for (const host of [scene.server, scene.address('wiki')]) {
      assert.equal((await person.send('GET', `${host}/outpost.goauthentik.io/ping`)).status, 204);
    }
    assert.equal((await person.send('GET', `${at('')}outpost.goauthentik.io/ping`)).status, 404);
    const out = await person.open(`${scene.address('wiki')}/outpost.goauthentik.io/sign_out`);
    assert.equal(out.status, 200, trace(out));
    await assertBelow(person, out);
    assert.ok(hasPasswordField((await person.open(target)).text));
  });

  it('shows who may not enter a page whose links work', async () => {
    const person = scene.visitor();
    const denied = await person.enter(`${scene.address('secret')}/`, 'bob', PASSWORD);
    assert.equal(denied.status, 403, trace(denied));
    await assertBelow(person, denied);
  });

  it('signs machines in: app passwords and the token endpoint are found below it', async () => {
    const { pk } = await scene.gatehouse.api.first('core/users/?username=alice');
    const key = await scene.provision.appPassword(Number(pk), 'machine');
    const authorization = `Basic ${Buffer.from(`alice:${key}`).toString('base64')}`;
    const answer = await scene.visitor().send('GET', `${scene.address('wiki')}/api`, { headers: { authorization } });
    assert.equal(answer.status, 200, answer.text);
  });
});

/**
 * Every address of this host that a page names, and every redirect on the way to it, lies below the path, and what can be
 * fetched without changing anything is there.
 */
async function assertBelow(visitor: Client, page: Page): Promise<void> {
  const host = page.url.host;
  const named = [
    ...links(page.text).map(({ href }) => href),
    ...forms(page.text).map(({ action }) => action),
    ...[...page.text.matchAll(/<(?:link|img|script)\b[^>]*?(?:href|src)="([^"]+)"/g)].map(
      ([, address = '']) => address,
    ),
    ...page.hops.flatMap(({ location }) => location ?? []),
  ];
  for (const address of named) {
    if (address === '' || address.startsWith('#') || address.startsWith('data:')) continue;
    const url = new URL(address, page.url);
    if (url.host !== host || !page.url.host.startsWith('auth.')) continue;
    if (url.pathname.startsWith('/outpost.goauthentik.io/')) continue;
    assert.ok(url.pathname.startsWith(PATH), `${page.url.href} names ${address}\n${trace(page)}`);
  }
  for (const { href } of links(page.text)) {
    const url = new URL(href, page.url);
    if (!url.host.startsWith('auth.')) continue;
    const there = await visitor.open(url);
    assert.ok(there.status < 400, `${page.url.href} links ${href}: ${there.status}\n${trace(there)}`);
  }
}
