import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { accessibilityProblems, arrival, person, pictures, signIn, startBrowser } from './harness/browser.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

/** The real browser in front of real nginx and of proxy mode. */
describe('in Chromium', { timeout: 600_000 }, () => {
  let scene: Scene;
  let browser: Browser;
  let alice: Person;
  let bob: Person;
  const contexts: BrowserContext[] = [];

  before(async () => {
    scene = await Scene.start({ nginx: { wiki: 'outpost' } });
    alice = await scene.provision.user('alice');
    bob = await scene.provision.user('bob');
    const writers = await scene.provision.group('writers', [alice.pk]);
    await scene.application('wiki', { name: 'Team Wiki', groups: [writers] });
    await scene.application('forge', { groups: [writers] });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await scene?.stop();
  });
  afterEach(async (t) => {
    scene?.explain(t);
    for (const context of contexts.splice(0)) await context.close();
  });

  const visitor = async (options: Parameters<typeof person>[1] = {}): Promise<BrowserContext> => {
    const context = await person(browser, options);
    contexts.push(context);
    return context;
  };
  const wiki = () => scene.address('wiki');
  const forge = () => scene.address('forge');
  const at = (href: string) => (url: URL) => url.href === href;
  const echo = async (page: Page) => JSON.parse(await page.innerText('body')) as Received;
  const hasPassword = (page: Page) => page.locator('input[type=password][name=password]').count();

  it('signs in with password and arrives at the page first asked for', async () => {
    const page = await (await visitor()).newPage();
    const target = `${wiki()}/a%20b?x=1&y=%2F%26#part`;
    await page.goto(target);
    assert.equal(new URL(page.url()).origin, scene.server);
    assert.match(await page.innerText('body'), /Team Wiki/, 'the login names the application');
    await signIn(page, 'alice', alice.password, (url) => url.origin === wiki());
    assert.equal(page.url(), target);
    const received = await echo(page);
    assert.equal(received.url, '/a%20b?x=1&y=%2F%26');
    assert.deepEqual(valuesOf(received.rawHeaders, 'x-authentik-username'), ['alice']);
    assert.doesNotMatch(valuesOf(received.rawHeaders, 'cookie').join(), /authentik_proxy/);
  });

  it('ten tabs opened at once all end on their own address; a sign-out in one ends them all', async (t) => {
    const context = await visitor();
    const tabs = await Promise.all(Array.from({ length: 10 }, () => context.newPage()));
    const targets = tabs.map((_, i) =>
      i % 2 === 0 ? `${wiki()}/tab?number=${i}&of=ten` : `${forge()}/tab?number=${i}`,
    );
    await Promise.all(tabs.map((tab, i) => tab.goto(targets[i]!)));
    for (const tab of tabs) assert.equal(await hasPassword(tab), 1, tab.url());

    await signIn(tabs[0]!, 'alice', alice.password, at(targets[0]!));
    // The other tabs go on by themselves, or their form does when it is sent.
    let byThemselves = 0;
    await Promise.all(
      tabs.slice(1).map(async (tab, i) => {
        const target = targets[i + 1]!;
        try {
          await arrival(tab, at(target), 30_000);
          byThemselves++;
        } catch {
          await signIn(tab, 'alice', alice.password, at(target));
        }
      }),
    );
    t.diagnostic(`${byThemselves} of the nine other tabs went on by themselves`);
    for (const [i, tab] of tabs.entries())
      assert.equal((await echo(tab)).url, new URL(targets[i]!).pathname + new URL(targets[i]!).search);

    await tabs[0]!.goto(`${wiki()}/outpost.goauthentik.io/sign_out`);
    assert.equal(await hasPassword(tabs[0]!), 0, 'a page that says so, no new login');
    // the worker that is asked may hear of it a moment later than the one that signed out
    await Promise.all(
      tabs.slice(1).map((tab) =>
        eventually(`after sign-out: ${tab.url()}`, 30_000, async () => {
          await tab.reload();
          assert.equal(await hasPassword(tab), 1, tab.url());
        }),
      ),
    );
    await eventually('the second application asks for the password too', 30_000, async () => {
      await tabs[0]!.goto(`${forge()}/second`);
      assert.equal(await hasPassword(tabs[0]!), 1);
    });
  });

  it('ten tabs, each sent by hand, still end on their own address', async () => {
    const context = await visitor();
    const tabs = await Promise.all(Array.from({ length: 10 }, () => context.newPage()));
    const targets = tabs.map((_, i) => `${wiki()}/own?number=${i}`);
    await context.addInitScript('delete globalThis.BroadcastChannel');
    await Promise.all(tabs.map((tab, i) => tab.goto(targets[i]!)));
    for (const [i, tab] of tabs.entries()) await signIn(tab, 'alice', alice.password, at(targets[i]!));
    for (const [i, tab] of tabs.entries()) assert.equal(tab.url(), targets[i]);
  });

  it('works without JavaScript', async () => {
    const context = await visitor({ javaScript: false });
    for (const address of [wiki(), forge()]) {
      const page = await context.newPage();
      await page.goto(`${address}/plain?x=1`);
      if ((await hasPassword(page)) === 1) await signIn(page, 'alice', alice.password, at(`${address}/plain?x=1`));
      assert.equal(page.url(), `${address}/plain?x=1`);
    }
  });

  it('login, error, denial and signed-out pages: no side scrolling, axe finds nothing, pictures kept', async () => {
    const page = await (await visitor()).newPage();
    const problems: string[] = [];
    const inspect = async (name: string): Promise<void> => {
      problems.push(...(await pictures(page, name)));
      problems.push(...(await accessibilityProblems(page)).map((problem) => `${name}: ${problem}`));
    };
    await page.goto(`${wiki()}/`);
    await inspect('login');
    await page.fill('input[name=username]', 'bob');
    await page.fill('input[name=password]', 'wrong');
    await page.press('input[name=password]', 'Enter');
    await page.waitForSelector('[role=alert]');
    await inspect('login-wrong-password');
    await signIn(page, 'bob', bob.password, (url) => !url.pathname.includes('default-authentication-flow'));
    await inspect('denied-nginx');
    await page.goto(`${forge()}/`);
    await inspect('denied-proxy');
    await page.goto(`${scene.server}/if/user/`);
    await inspect('portal');
    await page.goto(`${scene.server}/no/such/page`);
    await inspect('not-found');
    await page.goto(`${wiki()}/outpost.goauthentik.io/callback?code=x&state=y`);
    await inspect('outpost-error');
    await page.goto(`${scene.server}/if/flow/default-invalidation-flow/`);
    await inspect('sign-out-question');
    assert.deepEqual(problems, []);
  });

  it('everything works with the keyboard alone, with visible focus', async () => {
    const page = await (await visitor()).newPage();
    await page.goto(`${forge()}/keys`);
    await reach(page, 'input[name=username]');
    await page.keyboard.type('bob');
    await page.keyboard.press('Tab');
    await reach(page, 'input[name=password]');
    await page.keyboard.type(bob.password);
    await page.keyboard.press('Enter');
    await arrival(page, (url) => !url.pathname.includes('default-authentication-flow'));
    await page.waitForLoadState();
    assert.match(await page.innerText('body'), /bob/, 'denied, and says who one is');
    // Switching account is reachable with Tab and works with Enter.
    await reachText(page, /switch|another account|not you/i);
    await page.keyboard.press('Enter');
    await page.waitForSelector('input[name=password]');
    await signIn(page, 'alice', alice.password, at(`${forge()}/keys`));
  });

  it('a page inside another page does not start a login', async () => {
    const context = await visitor();
    const page = await context.newPage();
    await page.goto(`${scene.server}/if/flow/default-authentication-flow/`);
    await page.setContent(`<iframe src="${forge()}/framed"></iframe>`);
    await page.waitForTimeout(800);
    const cookies = await context.cookies(forge());
    assert.deepEqual(cookies, []);
  });

  it('the login page is small and asks for at most one more file', async () => {
    const page = await (await visitor()).newPage();
    const bodies: Promise<Buffer>[] = [];
    page.on('response', (response) => {
      if (new URL(response.url()).origin !== scene.server || response.status() !== 200) return;
      bodies.push(response.body());
    });
    await page.goto(`${wiki()}/`);
    await page.waitForLoadState('networkidle');
    const sizes = (await Promise.all(bodies)).map(({ length }) => length);
    const total = sizes.reduce((a, b) => a + b, 0);
    assert.ok(total > 0 && total < 30_000, `${total} bytes`);
    assert.ok(sizes.length <= 2, `${sizes.length} requests`);
  });
});

/** Presses Tab until the element has the focus, and checks that one can see it. */
async function reach(page: Page, selector: string): Promise<void> {
  const focused = () => page.evaluate<boolean>(`document.activeElement?.matches(${JSON.stringify(selector)}) ?? false`);
  for (let i = 0; i < 15 && !(await focused()); i++) await page.keyboard.press('Tab');
  assert.ok(await focused(), `${selector} is reachable with Tab`);
  await assertVisibleFocus(page);
}

async function reachText(page: Page, text: RegExp): Promise<void> {
  const focused = async () => text.test(await page.evaluate<string>('document.activeElement?.textContent ?? ""'));
  await page.evaluate('document.activeElement?.blur()');
  for (let i = 0; i < 15; i++) {
    await page.keyboard.press('Tab');
    const isBody = await page.evaluate<boolean>('document.activeElement === document.body');
    if (!isBody && (await focused())) break;
  }
  assert.ok(await focused(), `${text} is reachable with Tab`);
  await assertVisibleFocus(page);
}

async function assertVisibleFocus(page: Page): Promise<void> {
  const visible = await page.evaluate<boolean>(`(() => {
    const style = getComputedStyle(document.activeElement);
    return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
  })()`);
  assert.ok(visible, 'the focus is visible');
}
