import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { accessibilityProblems, arrival, person, pictures, signIn, startBrowser } from './harness/browser.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

/** The address asked for survives the login: with its query, its length, and what stands behind the `#`. */
describe('the address asked for', { timeout: 400_000 }, () => {
  let scene: Scene;
  let browser: Browser;
  let alice: Person;
  const contexts: BrowserContext[] = [];

  before(async () => {
    scene = await Scene.start({ nginx: { wiki: 'outpost' } });
    alice = await scene.provision.user('alice');
    await scene.application('wiki');
    await scene.application('forge');
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

  const visitor = async (): Promise<BrowserContext> => {
    const context = await person(browser);
    contexts.push(context);
    return context;
  };
  const at = (href: string) => (url: URL) => url.href === href;
  const echo = async (page: Page) => JSON.parse(await page.innerText('body')) as Received;

  for (const name of ['wiki', 'forge']) {
    const where = name === 'wiki' ? 'behind nginx' : 'in proxy mode';

    it(`keeps its fragment ${where}, over a wrong password too`, async () => {
      const page = await (await visitor()).newPage();
      const target = `${scene.address(name)}/page?x=1&y=%2F#part/2?z`;
      await page.goto(target);
      await page.fill('input[name=username]', 'alice');
      await page.fill('input[name=password]', 'wrong');
      await page.press('input[name=password]', 'Enter');
      await page.waitForSelector('[role=alert]');
      await signIn(page, 'alice', alice.password, at(target));
      assert.equal((await echo(page)).url, '/page?x=1&y=%2F');
    });

    it(`keeps its fragment ${where} when another tab signs in, and when the server knows the person`, async () => {
      const context = await visitor();
      const [first, second] = [await context.newPage(), await context.newPage()];
      await first.goto(`${scene.address(name)}/first#1`);
      await second.goto(`${scene.address(name)}/second#2`);
      await signIn(first, 'alice', alice.password, at(`${scene.address(name)}/first#1`));
      await arrival(second, at(`${scene.address(name)}/second#2`));
      assert.equal((await echo(second)).url, '/second');
      const other = name === 'wiki' ? 'forge' : 'wiki';
      await first.goto(`${scene.address(other)}/third#3`);
      assert.equal(first.url(), `${scene.address(other)}/third#3`);
    });

    it(`keeps 6 kB ${where}`, async () => {
      const page = await (await visitor()).newPage();
      const panels = Array.from({ length: 76 }, (_, id) => ({ id, expr: `sum(rate(http_${id * 7919}_total[5m]))` }));
      const target = `${scene.address(name)}/x?q=${encodeURIComponent(JSON.stringify(panels))}#end`;
      assert.ok(target.length > 5500 && target.length < 7500, String(target.length));
      await page.goto(target);
      await signIn(page, 'alice', alice.password, at(target));
      assert.equal(`${scene.address(name)}${(await echo(page)).url}#end`, target);
    });

    it(`what is longer waits for the login in a page of its own ${where}`, async () => {
      const context = await visitor();
      const page = await context.newPage();
      const path = `/x?q=${randomBytes(3500).toString('base64url')}`;
      await page.goto(`${scene.address(name)}${path}`);
      assert.match(await page.innerText('main'), /too long/);
      const problems = await pictures(page, `too-long-${name}`);
      problems.push(...(await accessibilityProblems(page)));
      assert.deepEqual(problems, []);
      const [login] = await Promise.all([context.waitForEvent('page'), page.click('a.button')]);
      await signIn(login, 'alice', alice.password, (url) => url.origin === scene.address(name));
      await login.close();
      await page.bringToFront();
      // what the browser says when the person comes back to this page, unless it has said so by itself
      await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))').catch(() => undefined);
      await eventually('the page asked for', 60_000, async () => assert.equal((await echo(page)).url, path));
    });
  }
});
