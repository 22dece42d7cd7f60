import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { WebSocket } from 'ws';
import { person, signIn, startBrowser } from './harness/browser.ts';
import { Client, trace } from './harness/client.ts';
import { outpostConfiguration } from './harness/configurations.ts';
import { hasPasswordField, links } from './harness/forms.ts';
import { ADMIN_PASSWORD, ROOT } from './harness/gatehouse.ts';
import { PASSWORD } from './harness/provision.ts';
import type { OutpostAccount } from './harness/provision.ts';
import { Hosts } from './harness/hosts.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import { ServerSite } from './harness/server-site.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

const TRIGGER_UPDATE = 2;

/** The published text in front of the identity server, which lives at the root or below a path. */
for (const webPath of ['/', '/auth/']) {
  describe(`the identity server at ${webPath} behind the published nginx text`, { timeout: 600_000 }, () => {
    let site: ServerSite;
    let browser: Browser;
    /** "Location can be set to a subpath if desired" */
    const atPath = (text: string) => text.replace('location / {', `location ${webPath} {`);

    before(async () => {
      site = new ServerSite({
        index: webPath === '/' ? 0 : 1,
        webPath,
        change: atPath,
      });
      await site.start();
      await site.provision.user('alice');
      browser = await startBrowser(site.net.webForTest);
    });
    after(async () => {
      await browser?.close();
      await site?.stop();
    });
    afterEach((t) => site?.explain(t));

    it('leads plain http to https, and a visitor to the login', async () => {
      const page = await site.visitor().open(`http://sso.test${webPath}`);
      assert.equal(page.hops[0]?.status, 301, trace(page));
      assert.equal(
        page.url.href,
        `${site.server}if/flow/default-authentication-flow/?next=${encodeURIComponent(`${webPath}if/user/`)}`,
      );
    });

    it('signs a person in: secure cookies below its path, the visitor’s own address in the events', async () => {
      const visitor = site.visitor();
      const forged = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'evil.test' };
      const login = await visitor.open(site.server, { headers: forged });
      const page = await visitor.login(login, 'akadmin', ADMIN_PASSWORD);
      assert.equal(page.url.href, `${site.server}if/user/`, trace(page));
      const set = [...login.hops, ...page.hops].flatMap((hop) => hop.setCookies);
      assert.ok(
        set.some((line) => line.startsWith('authentik_session=')),
        set.join('\n'),
      );
      for (const line of set) {
        assert.match(line, /; Secure/, line);
        // one is for the login page alone
        const path = /; Path=([^;]+)/.exec(line)?.[1] ?? '';
        assert.ok([webPath, `${webPath}if/flow/default-authentication-flow/`].includes(path), line);
      }
      const [event] = await site.gatehouse.api.list('events/events/?action=login&username=akadmin&ordering=-created');
      assert.equal(event?.['client_ip'], site.net.testForWeb);
    });

    it('believes nothing of it from anybody but nginx', async () => {
      const headers = {
        'x-forwarded-for': '203.0.113.9',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'sso.test',
      };
      const visitor = site.visitor();
      const page = await visitor.send('GET', `${site.gatehouse.server}/if/flow/default-authentication-flow/`, {
        headers,
      });
      assert.equal(page.status, 200);
      const cookies = page.hops[0]?.setCookies ?? [];
      assert.ok(cookies.length > 0);
      for (const line of cookies) assert.doesNotMatch(line, /Secure/);
      assert.doesNotMatch(page.text, /sso\.test/);
    });

    it('speaks of itself under the address browsers use, once an administrator came that way', async () => {
      await site.provision.application({ slug: 'wiki', mode: 'forward_single', externalHost: 'https://wiki.test' });
      const answer = await site
        .visitor()
        .send('GET', `${site.server}application/o/wiki/.well-known/openid-configuration`);
      assert.equal(answer.status, 200, answer.text);
      const discovery = JSON.parse(answer.text) as Record<string, unknown>;
      assert.equal(discovery['issuer'], `${site.server}application/o/wiki/`);
      for (const [name, value] of Object.entries(discovery)) {
        if (/_(endpoint|uri)$/.test(name))
          assert.ok(String(value).startsWith(`${site.server}application/o/`), `${name} ${String(value)}`);
      }
      const keys = await site.visitor().send('GET', String(discovery['jwks_uri']));
      assert.equal(keys.status, 200);
    });

    it('answers health, API and its style sheet there', async () => {
      const visitor = site.visitor();
      for (const path of ['-/health/live/', '-/health/ready/', 'api/v3/root/config/', 'api/v3/schema/']) {
        assert.equal((await visitor.send('GET', site.server + path)).status, 200, path);
      }
      const page = await visitor.open(site.server);
      const style = /<link rel="stylesheet" href="([^"]+)"/.exec(page.text)?.[1] ?? '';
      assert.ok(style.startsWith(`${webPath}static/`), style);
      const sheet = await visitor.send('GET', new URL(style, page.url));
      assert.match(String(sheet.headers['content-type']), /^text\/css/);
    });

    it('holds the WebSocket of an outpost, which hears of changes', async () => {
      const outpost = await makeOutpost(site, 'remote');
      const socket = outpostSocket(site, outpost);
      const frames: { instruction: number }[] = [];
      socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as { instruction: number }));
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      await site.gatehouse.api.patch(`outposts/instances/${outpost.pk}/`, { name: 'renamed' });
      await eventually('the outpost hears of it', 10_000, () => {
        assert.ok(
          frames.some(({ instruction }) => instruction === TRIGGER_UPDATE),
          JSON.stringify(frames),
        );
      });
      socket.terminate();
    });

    it('serves an outpost of its own, which signs people in over it and hears of a sign-out', async () => {
      const hosts = new Hosts({ 'sso.test': site.net.webForTest });
      const far = await StandaloneOutpost.prepare({
        server: site.server,
        workers: 1,
        env: { AUTHENTIK_INSECURE: 'true' },
        prefix: hosts.prefix,
      });
      const visitor = new Client((name) => (name === 'far.test' ? '127.0.0.1' : site.net.webForTest));
      try {
        const address = `http://far.test:${far.port}`;
        const { provider } = await site.provision.application({
          slug: 'far',
          mode: 'proxy',
          externalHost: address,
          internalHost: `http://127.0.0.1:${site.upstream.port}`,
          embedded: false,
        });
        far.token = (await site.provision.outpost('far', [provider])).token;
        far.launch();
        await far.configured();
        await far.connected();
        const login = await visitor.open(`${address}/page`);
        assert.ok(login.url.href.startsWith(`${site.server}if/flow/`), trace(login));
        const page = await visitor.login(login, 'alice', PASSWORD);
        assert.equal(page.url.href, `${address}/page`, trace(page));
        assert.deepEqual(valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'x-authentik-username'), ['alice']);
        // the last session of hers is this one; the server ends it, and the outpost hears over its WebSocket
        const sessions = await site.gatehouse.api.list('core/authenticated_sessions/?user__username=alice');
        for (const session of sessions)
          await site.gatehouse.api.delete(`core/authenticated_sessions/${String(session['uuid'])}/`);
        await eventually('the session is over', 10_000, async () => {
          assert.equal((await visitor.background('GET', `${address}/page`)).status, 401);
        });
      } catch (error) {
        far.explain({ passed: false });
        throw error;
      } finally {
        await visitor.close();
        await far.stop();
        hosts.remove();
      }
    });

    it('takes Chromium from login to logout', async () => {
      const context = await person(browser);
      const page = await context.newPage();
      const failures: string[] = [];
      page.on('response', (answer) => {
        if (answer.status() >= 400 && !answer.url().endsWith('/favicon.ico'))
          failures.push(`${answer.status()} ${answer.url()}`);
      });
      page.on('console', (message) => {
        if (message.type() === 'error' && !message.text().includes('favicon')) failures.push(message.text());
      });
      await page.goto(`http://sso.test${webPath}`);
      await signIn(page, 'akadmin', ADMIN_PASSWORD, (url) => url.href === `${site.server}if/user/`);
      for (const { href } of links(await page.content())) {
        if (href.startsWith('/')) assert.ok(href.startsWith(webPath), href);
      }
      await Promise.all([
        page.waitForURL((url) => url.pathname.includes('invalidation')),
        page.click('header form button'),
      ]);
      assert.equal(await page.locator('input[type=password]').count(), 0);
      await page.goto(`${site.server}if/user/`);
      assert.equal(await page.locator('input[type=password]').count(), 1, 'signed out');
      assert.deepEqual(failures, []);
      await context.close();
    });

    it('shows no name that a visitor made up, with the line the guide adds', async () => {
      const line = 'proxy_set_header X-Forwarded-Host $http_host;';
      assert.ok(readFileSync(join(ROOT, 'docs/guides/behind-a-reverse-proxy.md'), 'utf8').includes(line));
      const shown = async () => {
        const headers = { 'x-forwarded-host': 'evil.test' };
        return (await site.visitor().open(site.server, { headers })).text.includes('evil.test');
      };
      assert.equal(await shown(), true, 'with the published text alone');
      await site.nginx((text) => atPath(text).replace('proxy_http_version 1.1;', `$&\n${line}`));
      assert.equal(await shown(), false);
    });

    it('says what to set when nginx speaks HTTP/1.0 to it, and keeps its pages', async () => {
      const outpost = await makeOutpost(site, 'old');
      const set = 'proxy_http_version 1.1;\n';
      await site.nginx((text) => {
        assert.ok(text.includes(set));
        return atPath(text).replace(set, '');
      });
      const refusal = await new Promise<{ status: number; text: string }>((resolve, reject) => {
        const socket = outpostSocket(site, outpost);
        socket.once('open', () => reject(new Error('opened over HTTP/1.0')));
        socket.on('error', () => undefined);
        socket.once('unexpected-response', (_request, answer) => {
          let text = '';
          answer.on('data', (piece: Buffer) => (text += piece.toString()));
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
        });
      });
      assert.equal(refusal.status, 426);
      assert.match(refusal.text, /proxy_http_version 1\.1;/);
      const visitor = site.visitor();
      const page = await visitor.enter(site.server, 'akadmin', ADMIN_PASSWORD);
      assert.equal(page.url.href, `${site.server}if/user/`, trace(page));
    });

    if (webPath === '/') return;

    it('shares its host with an application, and the paths of outposts stay at the root', async () => {
      await site.nginx(besideTheServer);
      await site.provision.serverAddress(site.origin); // written without the path
      await site.provision.application({ slug: 'front', mode: 'forward_single', externalHost: site.origin });
      await site.provision.served(site.gatehouse.origin, site.origin);
      const visitor = site.visitor();
      const target = `${site.origin}/page?x=1&y=%2F`;
      const login = await visitor.open(target);
      assert.ok(login.url.href.startsWith(`${site.server}if/flow/`), trace(login));
      const page = await visitor.login(login, 'alice', PASSWORD);
      assert.equal(page.url.href, target, trace(page));
      const received = JSON.parse(page.text) as Received;
      assert.deepEqual(valuesOf(received.rawHeaders, 'x-authentik-username'), ['alice']);
      assert.deepEqual(valuesOf(received.rawHeaders, 'x-forwarded-for'), [site.net.testForWeb]);
      const portal = await visitor.open(site.server);
      assert.equal(portal.url.href, `${site.server}if/user/`, trace(portal));
      const out = await visitor.open(`${site.origin}/outpost.goauthentik.io/sign_out`);
      assert.equal(out.status, 200, trace(out));
      assert.ok(hasPasswordField((await visitor.open(target)).text));
      assert.ok(hasPasswordField((await visitor.open(site.server)).text));
    });
  });
}

/** The text of deploy/ for the host, with the published location for the identity server's path in it. */
function besideTheServer(published: string, { application, gatehouse }: { application: string; gatehouse: string }) {
  const [cert = '', key = ''] = ['ssl_certificate', 'ssl_certificate_key'].map(
    (name) => new RegExp(`^${name} (.*);$`, 'm').exec(published)?.[1],
  );
  const around = published.slice(0, published.indexOf('\nserver {\n'));
  const location = /^location \/ \{$[^}]*\}$/m.exec(published)?.[0].replace('location / {', 'location /auth/ {') ?? '';
  const host = outpostConfiguration({ listen: '443', name: 'sso.test', cert, key, application, outpost: gatehouse });
  return around + host.replace('    location / {', `${location}\n    location / {`);
}

async function makeOutpost({ provision }: ServerSite, name: string): Promise<OutpostAccount> {
  const externalHost = `https://${name}.test`;
  const { provider } = await provision.application({
    slug: name,
    mode: 'forward_single',
    externalHost,
    embedded: false,
  });
  return provision.outpost(name, [provider]);
}

/** As an outpost on another machine opens it. */
function outpostSocket(site: ServerSite, { pk, token }: OutpostAccount): WebSocket {
  const { host, pathname } = new URL(`${site.server}ws/outpost/${pk}/`);
  return new WebSocket(`wss://${site.net.webForTest}${pathname}?instance_uuid=${pk}`, {
    headers: { host, authorization: `Bearer ${token}` },
    agent: new Agent({ servername: host, rejectUnauthorized: false }),
  });
}
