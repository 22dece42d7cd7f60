import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core';
import type { BrowserContext, Page } from 'playwright-core';
import { arrival } from '../../../test/harness/browser.ts';
import { keepQuiet } from '../../../test/harness/quiet-network.ts';
import { eventually } from '../../../test/harness/wait.ts';
import { addClient, addUser, PASSWORD, RelyingParty, startServer } from '../oidc/oidc.test-helper.ts';
import type { TestServer } from '../oidc/oidc.test-helper.ts';

const ARGUMENTS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage'],
  '--host-resolver-rules=MAP *.test 127.0.0.1',
];
const LAUNCH = { executablePath: '/usr/bin/chromium', timeout: 120_000 };
const LOGIN = '/if/flow/default-authentication-flow/';
const LOGOUT = '/if/flow/default-invalidation-flow/';
/** where to keep pictures of every page; empty = keep none */
const PICTURES = process.env['GATEHOUSE_TEST_PICTURES'] ?? '';

describe('the pages in Chromium', { timeout: 600_000 }, () => {
  let server: TestServer;
  let application: Server;
  let rp: RelyingParty;
  let profile: string;
  let context: BrowserContext;
  let gone: (() => void) | undefined;
  const complaints: string[] = [];

  before(async () => {
    server = await startServer();
    await addUser(server.ctx, 'alice', { name: 'Alice Archer', email: 'alice@example.test' });
    await addUser(server.ctx, 'eve', { name: 'Eve Evans' });
    const alice = await server.ctx.db
      .selectFrom('user')
      .selectAll()
      .where('username', '=', 'alice')
      .executeTakeFirstOrThrow();
    // Answers its callback with a redirect to yet another host, as an application with a login of its own does
    application = createServer((request, response) => {
      const { port } = application.address() as AddressInfo;
      const elsewhere = request.url?.includes('callback') === true;
      response.writeHead(
        elsewhere ? 302 : 200,
        elsewhere ? { location: `http://other.test:${port}/home` } : { 'content-type': 'text/html' },
      );
      response.end('<title>app</title>');
    });
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
    const { port } = application.address() as AddressInfo;
    const wiki = await addClient(server.ctx, 'wiki', {
      name: 'Team Wiki',
      externalHost: `http://wiki.app.test:${port}`,
      users: [alice],
    });
    await addClient(server.ctx, 'photos', {
      name: 'Family photographs and other memories',
      externalHost: `http://photos.app.test:${port}`,
    });
    rp = await RelyingParty.discover(server.base, wiki);
    profile = mkdtempSync(join(tmpdir(), 'gatehouse-chromium-'));
    gone = await keepQuiet();
    context = await chromium.launchPersistentContext(profile, { ...LAUNCH, args: ARGUMENTS });
    context.setDefaultTimeout(60_000);
    context.on('console', (message) => {
      // 4xx pages are part of the test; a broken policy or script is not
      if (message.type() === 'error' && !message.text().includes('the server responded with a status'))
        complaints.push(message.text());
    });
  });
  after(async () => {
    await context?.close();
    gone?.();
    application?.close();
    await server?.close();
    rmSync(profile, { recursive: true, force: true });
  });

  const open = async (path: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(new URL(path, server.base).href);
    return page;
  };
  const fill = async (page: Page, username: string, password = PASSWORD) => {
    await page.fill('input[name=username]', username);
    await page.fill('input[name=password]', password);
  };
  const signIn = async (username: string) => {
    await context.clearCookies();
    const page = await open(LOGIN);
    await fill(page, username);
    await page.click('button[type=submit]');
    await page.waitForURL('**/if/user/');
    return page;
  };

  it('a sign-in that ends at another host, over a third, is not stopped by our own policy', async () => {
    await context.clearCookies();
    const page = await open((await rp.attempt()).path);
    assert.equal(await page.textContent('h1'), 'Sign in to continue to Team Wiki');
    await fill(page, 'alice');
    await page.press('input[name=password]', 'Enter');
    await page.waitForURL(/other\.test:\d+\/home/);
    await page.goBack();
    assert.ok(!page.url().includes('/callback'));
    await page.close();
  });

  it('works with the keyboard alone', async () => {
    await context.clearCookies();
    const page = await open(LOGIN);
    const focused = () =>
      page.evaluate<string>('document.activeElement.getAttribute("name") ?? document.activeElement.type');
    await eventually('the first field has the focus', 30_000, async () => assert.equal(await focused(), 'username'));
    await page.keyboard.type('alice');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'password');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'submit');
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
    assert.equal(outline, 'solid', 'the focus is visible');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/if/user/');
    await page.close();
  });

  it('works without JavaScript', async () => {
    const browser = await chromium.launch({ ...LAUNCH, args: ARGUMENTS });
    try {
      const page = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
      await page.goto(server.base + LOGIN);
      await fill(page, 'alice');
      await page.click('button[type=submit]');
      await page.waitForURL('**/if/user/');
      await page.click('header button');
      await page.waitForURL(`**${LOGOUT}`);
    } finally {
      await browser.close();
    }
  });

  it('tabs that wait on the login page go on by themselves when one signs in, and a wrong password moves none', async () => {
    await context.clearCookies();
    const tabs = await Promise.all([
      open(LOGIN),
      open(`${LOGIN}?next=/if/user/%3Fsecond`),
      open((await rp.attempt()).path),
    ]);
    const [first] = tabs;
    await fill(first, 'alice', 'wrong');
    await first.click('button[type=submit]');
    await first.waitForSelector('[role=alert]');
    await tabs[1].waitForTimeout(1500);
    assert.ok(tabs[1].url().includes(LOGIN));
    await fill(first, 'alice');
    await first.click('button[type=submit]');
    await Promise.all([
      arrival(first, ({ pathname }) => pathname.endsWith('/if/user/')),
      arrival(tabs[1], ({ pathname, search }) => pathname.endsWith('/if/user/') && search === '?second'),
      arrival(tabs[2], ({ hostname, pathname }) => hostname === 'other.test' && pathname === '/home'),
    ]);
    for (const tab of tabs) await tab.close();
  });

  it('every page is accessible and fits a small screen and a large letter', async () => {
    await context.clearCookies();
    const wrong = await open((await rp.attempt()).path);
    await fill(wrong, 'alice', 'wrong');
    await wrong.click('button[type=submit]');
    await wrong.waitForSelector('[role=alert]');
    const pages: [string, Page][] = [
      ['login', await open((await rp.attempt()).path)],
      ['login-wrong', wrong],
      ['set-up', await open(`/if/flow/initial-setup/?token=${server.setupToken}`)],
      ['set-up-closed', await open('/if/flow/initial-setup/?token=x')],
      ['client-error', await open((await rp.attempt({ client_id: 'x' })).path)],
      [
        'redirect-error',
        await open(
          (await rp.attempt({ redirect_uri: 'https://evil.test/a-very-long-address-that-goes-on-and-on/callback' }))
            .path,
        ),
      ],
      ['signed-out', await open(LOGOUT)],
    ];
    for (const [name, page] of pages) await inspect(name, page);
    await inspect('denied', await signIn('eve'), (await rp.attempt()).path);
    await inspect('portal', await signIn('alice'));
    await inspect('logout', await signIn('alice'), LOGOUT);
    await inspect('end-session', await signIn('alice'), '/application/o/wiki/end-session/');
    const last = await open('/application/o/wiki/end-session/');
    await Promise.all([last.waitForEvent('framenavigated'), last.click('form button')]);
    await last.waitForLoadState();
    await inspect('application-signed-out', last);
    assert.deepEqual(complaints, [], 'nothing in the console');
  });

  async function inspect(name: string, page: Page, path?: string): Promise<void> {
    if (path !== undefined) await page.goto(new URL(path, server.base).href);
    for (const scheme of ['light', 'dark'] as const) {
      // without motion: the background of buttons fades from one scheme to the other, and a slow machine looks midway
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      for (const [size, width, height] of [
        ['desktop', 1280, 800],
        ['phone', 375, 800],
        ['narrow', 320, 640],
      ] as const) {
        await page.setViewportSize({ width, height });
        const found = await page.evaluate<number>('document.documentElement.scrollWidth');
        assert.ok(found <= width, `${name} is ${found} px wide at ${width}`);
        if (PICTURES !== '' && size !== 'narrow')
          await page.screenshot({ path: join(PICTURES, `${name}-${size}-${scheme}.png`) });
      }
      // 200 % letters, as the browser's own setting for the font size does it
      await page.evaluate('document.documentElement.style.fontSize = "32px"');
      await page.setViewportSize({ width: 640, height: 800 });
      assert.ok(
        (await page.evaluate<number>('document.documentElement.scrollWidth')) <= 640,
        `${name} with large letters`,
      );
      await page.evaluate('document.documentElement.style.fontSize = ""');
      assert.deepEqual(await violations(page), [], `${name} ${scheme}`);
    }
    await page.close();
  }
});

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const result = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
    'axe.run(document, { resultTypes: ["violations"] })',
  );
  return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' | ')}`);
}
