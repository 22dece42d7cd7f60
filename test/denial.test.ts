import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { trace } from './harness/client.ts';
import type { Client, Page } from './harness/client.ts';
import { forms, hasPasswordField, links } from './harness/forms.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

describe('someone without access', () => {
  let scene: Scene;
  let alice: Person;
  let bob: Person;

  before(async () => {
    scene = await Scene.start({ nginx: { wiki: 'outpost', old: 'akprox' } });
    alice = await scene.provision.user('alice');
    bob = await scene.provision.user('bob');
    const writers = await scene.provision.group('writers', [alice.pk]);
    for (const name of ['wiki', 'old', 'forge']) await scene.application(name, { groups: [writers] });
    await scene.application('lobby');
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const named = { wiki: 'behind nginx', old: 'behind nginx with the older configuration', forge: 'in proxy mode' };
  for (const [name, where] of Object.entries(named)) {
    it(`gets a page that says so ${where}, not a loop`, async () => {
      const page = await scene.visitor().enter(`${scene.address(name)}/page?x=1&y=2`, 'bob', bob.password);
      assertDenied(page, 'bob');
      assert.ok(page.hops.length <= 10, trace(page));
    });

    it(`is refused ${where} too when signed in already`, async () => {
      const visitor = scene.visitor();
      await visitor.enter(`${scene.address('lobby')}/`, 'bob', bob.password);
      assertDenied(await visitor.open(`${scene.address(name)}/page`), 'bob');
      assertDenied(await visitor.open(`${scene.address(name)}/page`), 'bob');
    });

    it(`can switch to an account that may ${where}, and lands on the page first asked for`, async () => {
      const visitor = scene.visitor();
      const target = `${scene.address(name)}/page?x=1&y=2`;
      const denied = await visitor.enter(target, 'bob', bob.password);
      const login = await switchAccount(visitor, denied);
      assert.ok(hasPasswordField(login.text), `${trace(login)}\n${login.text}`);
      const page = await visitor.login(login, 'alice', alice.password);
      assert.equal(page.url.href, target, trace(page));
      assert.equal((JSON.parse(page.text) as Received).url, '/page?x=1&y=2');
    });
  }

  it('who loses the group while signed in gets the page on the next request, and gets in again with the group', async () => {
    const carol = await scene.provision.user('carol');
    const guests = await scene.provision.group('guests', [carol.pk]);
    await scene.application('annex', { groups: [guests] });
    const visitor = scene.visitor();
    await visitor.enter(`${scene.address('annex')}/`, 'carol', carol.password);
    await scene.provision.removeMember(guests, carol.pk);
    await eventually('denied', 20_000, async () =>
      assertDenied(await visitor.open(`${scene.address('annex')}/`), 'carol'),
    );
    await scene.provision.addMember(guests, carol.pk);
    await eventually('let in again', 20_000, async () => {
      assert.equal((await visitor.open(`${scene.address('annex')}/`)).status, 200);
    });
  });

  it('and a wrong password does not get in, and is not told which half was wrong', async () => {
    const messages: (string | undefined)[] = [];
    for (const name of ['alice', 'nobody-here']) {
      const visitor = scene.visitor();
      const page = await visitor.enter(`${scene.address('lobby')}/`, name, 'not the password');
      assert.ok(hasPasswordField(page.text), page.text);
      assert.equal(page.url.origin, scene.server);
      messages.push(message(page));
    }
    assert.ok(messages[0], 'there is a message');
    assert.equal(messages[0], messages[1]);
  });
});

function assertDenied(page: Page, username: string): void {
  assert.equal(page.status, 403, `${trace(page)}\n${page.text}`);
  assert.match(String(page.headers['content-type']), /^text\/html/);
  assert.match(page.text, new RegExp(username), 'the page says who one is');
}

/** Uses whatever the denial page offers for another account: a form or a link. */
function switchAccount(visitor: Client, page: Page): Promise<Page> {
  const wanted = /switch|another account|different account|not you/i;
  const link = links(page.text).find((l) => wanted.test(l.text));
  if (link !== undefined) return visitor.open(new URL(link.href, page.url));
  assert.ok(forms(page.text).length > 0 && wanted.test(page.text), `no way to switch account:\n${page.text}`);
  return visitor.submit(page, {});
}

/** The words of a page, without what differs per request. */
const message = (page: Page) =>
  /role="alert"[^>]*>([\s\S]*?)<\//
    .exec(page.text)?.[1]
    ?.replace(/<[^>]*>/g, '')
    .trim();
