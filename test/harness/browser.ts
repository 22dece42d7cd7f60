import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ROOT } from './gatehouse.ts';
import { keepQuiet } from './quiet-network.ts';
import { eventually } from './wait.ts';

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const VIEWS = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 375, height: 800 },
} as const;

/** Starts the real browser; every name under `.test` leads to `address`. */
export async function startBrowser(address = '127.0.0.1'): Promise<Browser> {
  const done = await keepQuiet();
  const options = {
    timeout: 120_000,
    executablePath: '/usr/bin/chromium',
    args: [...ARGUMENTS, `--host-resolver-rules=MAP *.test ${address}`],
  };
  try {
    return (await chromium.launch(options)).once('disconnected', done);
  } catch (error) {
    done();
    throw error;
  }
}

/** A person's browser: own cookies, accepts the tests' certificates. */
export async function person(
  browser: Browser,
  options: { scheme?: 'light' | 'dark'; javaScript?: boolean } = {},
): Promise<BrowserContext> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    javaScriptEnabled: options.javaScript ?? true,
    viewport: VIEWS.desktop,
    colorScheme: options.scheme ?? 'light',
    reducedMotion: 'reduce', // a colour half way to its next value is no finding
  });
  context.setDefaultTimeout(120_000);
  return context;
}

/** Fills in the login form and waits until the browser is where `arrived` wants it. */
export async function signIn(page: Page, username: string, password: string, arrived: (url: URL) => boolean) {
  await page.fill('input[name=username]', username);
  await page.fill('input[name=password]', password);
  await page.press('input[name=password]', 'Enter');
  await arrival(page, arrived);
}

/**
 * Waits until the browser is where `arrived` wants it. Playwright's own waiting fails when one way there is given up for
 * another, as by a page that goes on by itself.
 */
export async function arrival(page: Page, arrived: (url: URL) => boolean, timeoutMs = 120_000): Promise<void> {
  await eventually('the browser arrives', timeoutMs, () => {
    if (!arrived(new URL(page.url()))) throw new Error(`it is at ${page.url()}`);
  });
  await page.waitForLoadState();
}

/**
 * Keeps pictures of the page at desktop and phone width, light and dark, in test-output/.
 * @returns the widths in which something sticks out to the side
 */
export async function pictures(page: Page, name: string): Promise<string[]> {
  const folder = join(ROOT, 'test-output/pages');
  mkdirSync(folder, { recursive: true });
  const tooWide: string[] = [];
  for (const [view, size] of Object.entries(VIEWS)) {
    await page.setViewportSize(size);
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.screenshot({ path: join(folder, `${name}-${view}-${scheme}.png`), fullPage: true });
    }
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    if (width > size.width) tooWide.push(`${name} is ${width} px wide at ${size.width}`);
  }
  await page.setViewportSize(VIEWS.desktop);
  await page.emulateMedia({ colorScheme: 'light' });
  return tooWide;
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Accessibility problems axe finds in both colour schemes, one line each. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  const problems: string[] = [];
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.evaluate(axeSource);
    const found = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })');
    for (const violation of (found as { violations: Violation[] }).violations) {
      problems.push(
        `${scheme}: ${violation.id}: ${violation.help} at ${violation.nodes.map((n) => n.html).join(' | ')}`,
      );
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  return problems;
}

interface Violation {
  id: string;
  help: string;
  nodes: { html: string }[];
}
