/** What `gatehouse config` writes, in the real programs, in front of the product. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { foldHeaderName, IDENTITY_HEADERS } from '../src/contract/headers.ts';
import { person, signIn, startBrowser } from './harness/browser.ts';
import { Client, trace } from './harness/client.ts';
import { EchoUpstream } from './harness/echo-upstream.ts';
import { FRONTS, startFront } from './harness/fronts.ts';
import type { Front, FrontKind } from './harness/fronts.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { configText, firstEvent, throughWebSocket } from './harness/live.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import type { Application, Person } from './harness/provision.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, failed, within } from './harness/wait.ts';

const PREFIX = '/outpost.goauthentik.io';
const TARGETS = ['/', '/search?q=a&lang=en', '/a%20b/c?x=1&y=%2Fpath%26more&z=%C3%A4&empty=&flag', '/plus?q=a+b%2Bc'];

/** Spellings some application takes for ours. */
const FORGED: Readonly<Record<string, string>> = {
  'x-authentik-username': 'akadmin',
  X_Authentik_Username: 'akadmin',
  'x.authentik.username': 'akadmin',
  'X-Authentik_Groups': 'admins',
  'x-authentik-jwt': 'forged',
  'x-auth-username': 'akadmin',
  'x-forwarded-user': 'akadmin',
  'X-Auth_Username': 'akadmin',
  'x_auth-groups': 'admins',
  'X.Forwarded.User': 'akadmin',
  'X-Forwarded-Preferred_Username': 'akadmin',
  'x-original-url': '/admin',
  X_Original_URI: '/admin',
  'X-Rewrite_URL': '/admin',
};

let gatehouse: Gatehouse;
let provision: Provision;
let upstream: EchoUpstream;
let alice: Person;
let bob: Person;
let carol: Person;
let group: string;
let browser: Browser;
const MANY_GROUPS = 120;
/** What is held back until a buffer is full, or the stream ends by itself, takes longer. */
const BUFFERED_MS = 30_000;

before(async () => {
  gatehouse = await Gatehouse.start({ workers: 1 });
  provision = new Provision(gatehouse.api);
  upstream = await EchoUpstream.start();
  alice = await provision.user('alice');
  bob = await provision.user('bob');
  carol = await provision.user('carol');
  group = await provision.group('writers', [alice.pk, carol.pk]);
  for (let i = 0; i < MANY_GROUPS; i++) {
    await provision.group(`department ${i} of the whole company`, [carol.pk]);
  }
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await upstream?.stop();
  await gatehouse?.stop();
});

/** What the command writes. */
const generated = (kind: FrontKind, provider: string, more: string[]) =>
  configText(gatehouse, [kind, '--provider', provider, '--upstream', upstream.origin, ...more]);

for (const kind of FRONTS) {
  for (const mode of ['forward_single', 'forward_domain'] as const) {
    describe(`behind ${kind}, ${mode}`, () => {
      let front: Front;
      let port: number;
      let app: string;
      let server: string;
      let made: Application;
      const clients: Client[] = [];
      const provider = `${kind} ${mode}`;

      before(async () => {
        port = await freePort();
        const domain = mode === 'forward_domain';
        app = domain ? `https://app.${kind}corp.test:${port}` : `https://${kind}.test:${port}`;
        server = domain ? `https://login.${kind}corp.test:${port}` : `http://auth.test:${gatehouse.port}`;
        await provision.serverAddress(server);
        made = await provision.application({
          slug: `${kind}-${mode.replace('_', '-')}`,
          name: provider,
          mode,
          externalHost: domain ? server : app,
          groups: [group],
          provider: domain
            ? { skip_path_regex: '^https://[^/]+/public/', cookie_domain: `${kind}corp.test` }
            : { skip_path_regex: '^/public/' },
        });
        await provision.served(gatehouse.origin, domain ? server : app);
        const host = domain ? ['--host', new URL(app).host] : [];
        const text = await generated(kind, provider, ['--outpost-url', gatehouse.origin, ...host]);
        front = await startFront(kind, text, port);
      });
      after(async () => {
        await Promise.all(clients.map((client) => client.close()));
        await front?.stop();
      });
      afterEach((t) => {
        gatehouse.explain(t);
        if (failed(t)) console.error(front?.log());
      });

      const visitor = () => {
        const client = new Client();
        clients.push(client);
        return client;
      };
      const entered = async () => {
        const client = visitor();
        const page = await client.enter(`${app}/`, 'alice', alice.password);
        assert.equal(page.status, 200, trace(page));
        return client;
      };

      it('leads to the login and back to the very address, with every managed header', async () => {
        for (const target of TARGETS) {
          const client = visitor();
          const login = await client.open(app + target);
          assert.equal(login.url.origin, server, trace(login));
          const page = await client.login(login, 'alice', alice.password);
          assert.equal(page.url.href, app + target, trace(page));
          const { url, rawHeaders } = JSON.parse(page.text) as Received;
          assert.equal(url, target);
          for (const [name, value] of Object.entries(expectedHeaders(provider))) {
            const values = valuesOf(rawHeaders, name.toLowerCase());
            // these two send no empty header on: it is removed
            if (kind !== 'haproxy' && value === '') assert.ok(values.join('') === '', name);
            else assert.deepEqual(values.length, 1, `${name}: ${values.join(' ')}`);
            if (typeof value === 'string') assert.equal(values.join(''), value, name);
            else assert.match(values.join(''), value, name);
          }
          const missing = IDENTITY_HEADERS.filter((name) => !Object.hasOwn(expectedHeaders(provider), name));
          assert.deepEqual(missing, []);
        }
      });

      it('lets no visitor set a managed header, in whatever spelling', async () => {
        const client = await entered();
        for (const path of ['/x', '/public/x']) {
          const page = await client.background('GET', app + path, { headers: FORGED });
          assert.equal(page.status, 200, page.text);
          const { rawHeaders } = JSON.parse(page.text) as Received;
          assert.doesNotMatch(rawHeaders.join('\n'), /akadmin|admins|forged|^\/admin$/m, path);
        }
        const anonymous = await visitor().background('GET', `${app}/public/x`, { headers: FORGED });
        assert.equal(anonymous.status, 200, anonymous.text);
        const { rawHeaders } = JSON.parse(anonymous.text) as Received;
        for (let i = 0; i < rawHeaders.length; i += 2) {
          if (foldHeaderName(rawHeaders[i]!).startsWith('x-authentik-meta-')) continue;
          assert.doesNotMatch(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`, /authentik.*: .|akadmin|admins|forged/i);
        }
      });

      it('lets no script of a page read what the question says', async () => {
        const client = await entered();
        for (const path of [
          ...['', '/nginx', '/nginx/with-method', '/traefik', '/caddy', '/envoy/x', '/', '/%6eginx', '//nginx'].map(
            (rest) => `/auth${rest}`,
          ),
          ...['/%61uth/nginx', '//auth/nginx', '/./auth/nginx', '/start/../auth/nginx', '/AUTH/nginx'],
        ]) {
          // named as the proxy would: a script may set such headers
          const target = `${app}${PREFIX}${path}`;
          const headers = { 'x-original-url': target, 'x-forwarded-uri': '/' };
          const page = await client.background('GET', target, { headers });
          assert.ok(page.status >= 400, `${path}: ${page.status} ${page.text}`);
          for (const name of ['x-authentik-jwt', 'authorization']) assert.equal(page.headers[name], undefined, path);
        }
      });

      it('does not take a path from a visitor', async () => {
        for (const headers of [
          { 'x-forwarded-uri': '/public/x' },
          { 'x-original-url': `${app}/public/x` },
          { 'x-original-uri': '/public/x' },
          { 'x-forwarded-method': 'OPTIONS', 'x-original-method': 'OPTIONS' },
        ] as Record<string, string>[]) {
          const page = await visitor().background('GET', `${app}/x`, { headers });
          assert.ok(page.status === 401 || page.status === 302 || page.status === 403, `${page.status} ${page.text}`);
        }
      });

      it('answers an address that servers read differently with an error', async () => {
        const client = await entered();
        const before = upstream.received.length;
        for (const path of ['/public%2f..%2fadmin', '/public/..;/admin', '/public/%252e%252e/admin']) {
          const page = await visitor().open(app + path);
          assert.equal(page.status, kind === 'nginx' ? 403 : 400, `${path}: ${trace(page)}`);
        }
        const malformed = await client.open(`${app}/x/%2e%2e%5cadmin`);
        assert.equal(malformed.status, kind === 'nginx' ? 403 : 400, trace(malformed));
        assert.equal(upstream.received.length, before);
      });

      it('keeps our cookies from the application, and no others', async () => {
        const client = visitor();
        await client.open(`${app}/left-alone`); // an attempt that is never finished
        client.jar.store(new URL(app), 'first=1; Path=/');
        await client.enter(`${app}/`, 'alice', alice.password);
        for (const name of ['authentik_session', 'authentik_csrf', 'second']) {
          client.jar.store(new URL(app), `${name}=2; Path=/`);
        }
        const page = await client.open(`${app}/`);
        const cookie = valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'cookie').join();
        assert.match(cookie, /^(?:first|second)=[12]; (?:first|second)=[12]$/);
      });

      it('carries a body', async () => {
        const client = await entered();
        const body = 'x'.repeat(100_000);
        const page = await client.background('POST', `${app}/save`, { body });
        assert.equal((JSON.parse(page.text) as Received).bodyBytes, body.length);
      });

      it('shows a person without access why, and lets them no further', async () => {
        const client = visitor();
        const page = await client.enter(`${app}/secret`, 'bob', bob.password);
        assert.equal(page.status, 403, trace(page));
        assert.match(page.text, /<html/);
        const again = await client.open(`${app}/secret`);
        assert.notEqual(again.status, 200, trace(again));
        assert.ok(!upstream.received.some(({ url }) => url === '/secret'));
      });

      it('tells a script that it has to sign in', async () => {
        const page = await visitor().background('GET', `${app}/api`);
        if (kind === 'nginx') assert.equal(page.status, 302, 'nginx knows nothing but its redirect');
        else {
          assert.equal(page.status, 401, page.text);
          assert.match(page.text, /login_url/);
        }
        assert.ok(!upstream.received.some(({ url }) => url === '/api'));
      });

      it('carries a WebSocket for who is signed in, and for nobody else', async () => {
        const client = await entered();
        const { hello, echo } = await throughWebSocket(app, client.jar.header(new URL(app)));
        assert.equal(echo, 'ping');
        assert.equal(valuesOf(hello.rawHeaders, 'x-authentik-username').join(), 'alice');
        assert.doesNotMatch(valuesOf(hello.rawHeaders, 'cookie').join(), /authentik_/);
        await assert.rejects(throughWebSocket(app, ''), /Unexpected server response: (?:401|302)/);
      });

      it('hands an event on at once, and while the stream stays open', async () => {
        const client = await entered();
        const event = await within(BUFFERED_MS, firstEvent(`${app}/events`, client.jar.header(new URL(app))));
        assert.equal(event, 'data: first\n\n');
      });

      it('has room for a person of many groups', async () => {
        const client = visitor();
        const page = await client.enter(`${app}/`, 'carol', carol.password);
        assert.equal(page.status, 200, trace(page));
        const { rawHeaders } = JSON.parse(page.text) as Received;
        assert.equal(valuesOf(rawHeaders, 'x-authentik-groups').join('').split('|').length, 1 + MANY_GROUPS);
        assert.ok(valuesOf(rawHeaders, 'x-authentik-jwt').join('').length > 4_000);
      });

      it('takes Chromium through the login, and lets it open WebSockets and event streams', async () => {
        const context = await person(browser);
        try {
          const page = await context.newPage();
          await page.goto(`${app}/a%20b?x=1&y=%2F%26`);
          assert.equal(new URL(page.url()).origin, server);
          await signIn(page, 'alice', alice.password, (url) => url.origin === app);
          assert.equal(page.url(), `${app}/a%20b?x=1&y=%2F%26`);
          const { rawHeaders } = JSON.parse(await page.innerText('body')) as Received;
          assert.equal(valuesOf(rawHeaders, 'x-authentik-username').join(), 'alice');
          assert.doesNotMatch(valuesOf(rawHeaders, 'cookie').join(), /authentik_/);
          assert.equal(await page.evaluate(LIVE), 'first ping');
          await page.goto(`${app}${PREFIX}/sign_out`);
          await page.goto(`${app}/`);
          assert.equal(new URL(page.url()).origin, server);
        } finally {
          await context.close();
        }
      });

      if (mode === 'forward_domain') {
        it('opens an application on a path of the host to its own people only', async () => {
          const office = await provision.group(`${kind} office`, [bob.pk]);
          const host = new URL(app).hostname;
          const bound = { slug: `${kind}-office`, name: 'The Office', host, path: '/office', groups: [office] };
          await provision.boundApplication(made.provider, bound);
          const [writer, clerk] = [await entered(), visitor()];
          await eventually('the office is closed to others', 30_000, async () => {
            const page = await writer.open(`${app}/office/x`);
            assert.equal(page.status, 403, trace(page));
            assert.match(page.text, /You may not open The Office/);
          });
          assert.equal((await writer.open(`${app}/officer`)).status, 200);
          const inside = await clerk.enter(`${app}/office/x?a=1`, 'bob', bob.password);
          assert.equal(inside.url.href, `${app}/office/x?a=1`, trace(inside));
          const { rawHeaders } = JSON.parse(inside.text) as Received;
          assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-meta-app'), [bound.slug]);
          assert.equal((await clerk.open(`${app}/officer`)).status, 403);
        });
      }

      it('signs out: the next request asks for the password', async () => {
        const client = await entered();
        const out = await client.open(`${app}${PREFIX}/sign_out`);
        assert.ok(out.status < 400, trace(out));
        const again = await client.open(`${app}/`);
        assert.equal(again.url.origin, server, trace(again));
        await client.login(again, 'alice', alice.password); // throws unless the page has a password field
      });

      it('lets nothing through while the outpost is away', async () => {
        const client = await entered();
        const other = await freePort();
        const deaf = await generated(kind, provider, ['--outpost-url', `http://127.0.0.1:${await freePort()}`]);
        // the same host on another port
        const alone = await startFront(kind, deaf.replaceAll(`${port}`, `${other}`), other);
        try {
          const before = upstream.received.length;
          const url = new URL(app);
          url.port = String(other);
          for (const path of ['/x', '/public/x']) {
            const page = await client.background('GET', new URL(path, url));
            assert.ok(page.status >= 500, `${page.status} ${page.text}`);
          }
          assert.equal(upstream.received.length, before);
        } finally {
          await alone.stop();
        }
      });
    });
  }
}

function expectedHeaders(provider: string): Record<(typeof IDENTITY_HEADERS)[number], string | RegExp> {
  return {
    'X-Authentik-Username': 'alice',
    'X-Authentik-Groups': 'writers',
    'X-Authentik-Entitlements': '',
    'X-Authentik-Email': 'alice@example.test',
    'X-Authentik-Name': 'Alice Example',
    'X-Authentik-Uid': alice.uid,
    'X-Authentik-Jwt': /^ey[\w-]+\.[\w-]+\.[\w-]+$/,
    'X-Authentik-Meta-Jwks': /^https?:.*\/jwks\/$/,
    'X-Authentik-Meta-Outpost': 'authentik Embedded Outpost',
    'X-Authentik-Meta-Provider': provider,
    'X-Authentik-Meta-App': provider.replaceAll(/[ _]/g, '-'),
    'X-Authentik-Meta-Version': /^goauthentik\.io\/outpost\//,
  };
}

/** In a page: the first event of a stream and the echo of a WebSocket. */
const LIVE = `new Promise((resolve, reject) => {
  const stream = new EventSource('/events');
  stream.onerror = () => reject(new Error('no event stream'));
  stream.onmessage = ({ data }) => {
    stream.close();
    const socket = new WebSocket('wss://' + location.host + '/live');
    socket.onerror = () => reject(new Error('no WebSocket'));
    let first = true;
    socket.onmessage = (message) => {
      if (first) socket.send('ping');
      else resolve(data + ' ' + message.data);
      first = false;
    };
  };
})`;
