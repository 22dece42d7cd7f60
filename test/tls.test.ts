import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from 'node:http2';
import { after, afterEach, before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { WebSocket } from 'ws';
import { person, signIn, startBrowser } from './harness/browser.ts';
import { Client, trace } from './harness/client.ts';
import { EchoUpstream } from './harness/echo-upstream.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { Upstream, valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, sleep } from './harness/wait.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
/** Limit of everybody's silence, where it is their turn, in the one test about it: no machine stands still for so long. */
const SILENCE_MS = 3000;
const PAIRS = 'crypto/certificatekeypairs/';

describe('HTTPS', () => {
  let gatehouse: Gatehouse;
  let upstream: Upstream;
  let chat: EchoUpstream;
  let provision: Provision;
  let browser: Browser;
  let alice: Person;
  let port: number;
  const clients: Client[] = [];
  const sessions: ClientHttp2Session[] = [];
  const certificates: Record<string, string> = {};
  const providers: Record<string, number> = {};

  before(async () => {
    port = await freePort();
    gatehouse = await Gatehouse.start({ workers: 2, securePort: port });
    upstream = await Upstream.start();
    chat = await EchoUpstream.start();
    provision = new Provision(gatehouse.api);
    await provision.serverAddress(`https://auth.test:${port}`);
    alice = await provision.user('alice');
    certificates['wiki'] = await generate('wiki', 'wiki.test');
    certificates['corp'] = await generate('corp', '*.corp.test');
    certificates['domain'] = await generate('domain', 'login.wide.test');
    await application('wiki', `https://wiki.test:${port}`, certificates['wiki']);
    await application('forge', `https://forge.corp.test:${port}`, certificates['corp']);
    await application('chat', `https://chat.test:${port}`, certificates['wiki'], chat.origin);
    await application('plain', `https://plain.test:${port}`, null);
    await provision.application({
      slug: 'wide',
      mode: 'forward_domain',
      externalHost: `https://login.wide.test:${port}`,
      provider: { cookie_domain: 'wide.test', certificate: certificates['domain'] },
    });
    await provision.served(gatehouse.origin, `https://plain.test:${port}`);
    browser = await startBrowser();
  });
  after(async () => {
    for (const session of sessions) session.destroy();
    await Promise.all(clients.map((client) => client.close()));
    await browser?.close();
    await upstream?.stop();
    await chat?.stop();
    await gatehouse?.stop();
  });
  afterEach((t) => gatehouse?.explain(t));

  const generate = async (common_name: string, subject_alt_name: string) =>
    String((await gatehouse.api.post(`${PAIRS}generate/`, { common_name, subject_alt_name, validity_days: 5, alg: 'ecdsa' }))['pk']); // prettier-ignore
  const application = async (
    slug: string,
    externalHost: string,
    certificate: string | null,
    internalHost = upstream.origin,
  ) => {
    const made = await provision.application({
      slug,
      mode: 'proxy',
      externalHost,
      internalHost,
      provider: { certificate },
    });
    providers[slug] = made.provider;
  };
  /** Common name of the certificate shown for a name. */
  const shown = async (servername?: string) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...(servername && { servername }) });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return CN;
  };
  /** The same from every worker: each try is a new connection. */
  const shows = (servername: string, name: string) =>
    eventually(`${servername} shows ${name}`, 20_000, async () => {
      for (let i = 0; i < 8; i++) assert.equal(await shown(servername), name);
    });
  const visitor = () => {
    const client = new Client();
    clients.push(client);
    return client;
  };
  /** A visitor who is signed in at an application, with an HTTP/2 connection to it. */
  const signedIn = async (name = 'wiki') => {
    const client = visitor();
    const page = await client.enter(`https://${name}.test:${port}/`, 'alice', alice.password);
    assert.equal(page.status, 200, trace(page));
    const session = http2To(`https://${name}.test:${port}`);
    sessions.push(session);
    const cookie = client.jar.header(new URL(`https://${name}.test:${port}/`));
    const request = (headers: OutgoingHttpHeaders, body?: Buffer) => ask(session, { cookie, ...headers }, body);
    return { client, session, cookie, request };
  };

  it('shows each name its certificate: its provider’s, one made out for it, its domain’s, else the self-signed one', async () => {
    await shows('wiki.test', 'wiki');
    await shows('forge.corp.test', 'corp');
    await shows('another.corp.test', 'corp');
    await shows('deep.another.corp.test', 'authentik default certificate');
    await shows('login.wide.test', 'domain');
    await shows('app.wide.test', 'domain');
    await shows('plain.test', 'authentik default certificate');
    assert.equal(await shown(), 'authentik default certificate');
  });

  it('leads through the login and back over HTTPS, with cookies for HTTPS only', async () => {
    const client = visitor();
    const target = `https://wiki.test:${port}/a%20b?x=1`;
    const page = await client.enter(target, 'alice', alice.password);
    assert.equal(page.url.href, target, trace(page));
    const received = JSON.parse(page.text) as Received;
    assert.equal(received.url, '/a%20b?x=1');
    assert.deepEqual(valuesOf(received.rawHeaders, 'x-forwarded-proto'), ['https']);
    assert.deepEqual(valuesOf(received.rawHeaders, 'x-forwarded-host'), [`wiki.test:${port}`]);
    const set = page.hops.flatMap(({ setCookies }) => setCookies);
    assert.ok(set.length >= 2);
    for (const line of set) assert.match(line, /; *Secure/i);
  });

  it('serves a browser over HTTP/2', async () => {
    const context = await person(browser);
    const page = await context.newPage();
    const target = `https://wiki.test:${port}/start?x=1`;
    await page.goto(target);
    assert.equal(await page.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol'), 'h2');
    await signIn(page, 'alice', alice.password, (url) => url.href === target);
    assert.match(await page.innerText('body'), /"x-authentik-username","alice"/i);
    assert.equal(await page.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol'), 'h2');
    for (const cookie of await context.cookies()) assert.equal(cookie.secure, true, cookie.name);
    await context.close();
  });

  it('carries requests of an HTTP/2 client: headers, uploads, downloads, many at once', async () => {
    const { request } = await signedIn();
    const { text, headers } = await request({ ':path': '/x?y=1', 'x-y': 'z', 'x-authentik-username': 'admin' });
    const received = JSON.parse(text) as Received;
    assert.equal(received.httpVersion, '1.1');
    assert.deepEqual(valuesOf(received.rawHeaders, 'x-y'), ['z']);
    assert.deepEqual(valuesOf(received.rawHeaders, 'x-authentik-username'), ['alice']);
    assert.ok(received.rawHeaders.every((part, i) => i % 2 === 1 || !part.startsWith(':')));
    assert.deepEqual(valuesOf(received.rawHeaders, 'host'), [`127.0.0.1:${upstream.port}`]);
    for (const name of Object.keys(headers)) assert.doesNotMatch(name, /^(connection|keep-alive|transfer-encoding)$/);

    const body = randomBytes(8 * MIB);
    const uploads = await Promise.all(
      Array.from({ length: 4 }, (_, i) => request({ ':method': 'POST', ':path': `/up/${i}` }, body)),
    );
    for (const { text: told } of uploads) {
      const { bodyBytes, bodySha256 } = JSON.parse(told) as Received;
      assert.equal(bodyBytes, body.length);
      assert.equal(bodySha256, createHash('sha256').update(body).digest('hex'));
    }
    const downloads = await Promise.all(
      Array.from({ length: 20 }, () => request({ ':path': `/download?bytes=${MIB}` })),
    );
    for (const { bytes, code } of downloads) assert.deepEqual([bytes, code], [MIB, 0]);
    const head = await request({ ':method': 'HEAD', ':path': '/' });
    assert.deepEqual([head.status, head.bytes], [200, 0]);
  });

  it('carries WebSockets over HTTP/1.1', async () => {
    const { cookie } = await signedIn('chat');
    const socket = new WebSocket(`wss://127.0.0.1:${port}/socket`, [], {
      rejectUnauthorized: false,
      headers: { host: `chat.test:${port}`, origin: `https://chat.test:${port}`, cookie },
    });
    const [first] = (await once(socket, 'message')) as [Buffer];
    const { rawHeaders } = JSON.parse(String(first)) as Received;
    assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-username'), ['alice']);
    assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-proto'), ['https']);
    socket.send('hello');
    assert.equal(String(((await once(socket, 'message')) as [Buffer])[0]), 'hello');
    socket.close();
    await once(socket, 'close');
  });

  it('never lets half an answer look like a whole one', async () => {
    const { request, client, session, cookie } = await signedIn();
    assert.notEqual((await request({ ':path': `/abort?bytes=${MIB}` })).code, 0);

    const stream = session.request({ ':path': `/download?bytes=${500 * MIB}`, cookie });
    const closed = once(stream, 'close').catch(() => undefined);
    await once(stream, 'response');
    await client.open(`https://wiki.test:${port}/outpost.goauthentik.io/sign_out`);
    takeSlowly(stream);
    await closed;
    assert.notEqual(stream.rstCode, 0, 'a download of a session that is over');
  });

  it('asks a stranger over HTTP/2 to sign in, and refuses two hosts', async () => {
    const { session } = await signedIn();
    const navigation = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    const login = await ask(session, { ':path': '/', ...navigation });
    assert.equal(login.status, 302);
    assert.match(String(login.headers.location), /\/application\/o\/authorize\//);
    assert.equal((await ask(session, { ':path': '/', accept: 'application/json' })).status, 401);
    const two = await ask(session, { ':path': '/', ':authority': `wiki.test:${port}`, host: `plain.test:${port}` });
    assert.equal(two.status, 400);
  });

  it('takes a new certificate into use without a restart and without breaking a download', async () => {
    const { session, cookie } = await signedIn();
    const pids = new Set(gatehouse.pids('worker'));
    const stream = session.request({ ':path': `/download?bytes=${40 * MIB}`, cookie });
    await once(stream, 'response');
    const taken = takeSlowly(stream);

    const next = await generate('renewed', 'wiki.test');
    const view = (half: string) => gatehouse.api.get(`${PAIRS}${next}/view_${half}/`);
    await gatehouse.api.patch(`${PAIRS}${certificates['wiki']!}/`, {
      certificate_data: (await view('certificate'))['data'],
      key_data: (await view('private_key'))['data'],
    });
    await shows('wiki.test', 'renewed');
    await gatehouse.api.patch(`providers/proxy/${providers['plain']!}/`, {
      internal_host: upstream.origin,
      certificate: certificates['corp'],
    });
    await shows('plain.test', 'corp');
    await gatehouse.api.delete(`${PAIRS}${certificates['corp']!}/`);
    await shows('plain.test', 'authentik default certificate');

    assert.ok(taken.bytes > 0 && taken.bytes < 40 * MIB, 'the download is under way');
    const end = once(stream, 'end');
    taken.slowly = false;
    await end;
    assert.equal(taken.bytes, 40 * MIB);
    assert.deepEqual(new Set(gatehouse.pids('worker')), pids);
  });

  it('shows an intermediate certificate that joins, and looks at no key for the others', async () => {
    const seen = async () =>
      (await gatehouse.api.list('events/events/?action=secret_view')).filter(
        ({ context }) => (context as { type?: string }).type === 'private_key',
      ).length;
    const own = `${PAIRS}${certificates['wiki']!}/`;
    const chain = async (pk: string) => String((await gatehouse.api.get(`${PAIRS}${pk}/view_certificate/`))['data']);
    const issuer = await generate('issuer', 'issuer.test');
    const longer = (await chain(certificates['wiki']!)) + (await chain(issuer));
    const before = await seen();
    await gatehouse.api.patch(own, { certificate_data: longer });
    await eventually('wiki.test shows both', 20_000, async () => {
      const line = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'wiki.test', '-showcerts'];
      const told = run('openssl', line);
      told.child.stdin?.end();
      assert.equal((await told).stdout.match(/BEGIN CERTIFICATE/g)?.length, 2);
    });
    assert.equal((await seen()) - before, 1);
  });

  it('shows its certificates right after a start, before the server was asked', async () => {
    const before = new X509Certificate(await rawCertificate('unknown.test'));
    await gatehouse.restart();
    assert.equal(await shown('wiki.test'), 'renewed');
    assert.equal(new X509Certificate(await rawCertificate('unknown.test')).fingerprint256, before.fingerprint256);
  });

  const rawCertificate = async (servername: string) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername });
    await once(socket, 'secureConnect');
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    return raw;
  };

  it('offers a certificate as a file', async () => {
    const made = await gatehouse.api.first(`${PAIRS}?name=renewed`);
    const answer = await fetch(`${gatehouse.origin}${String(made['certificate_download_url'])}`, {
      headers: { authorization: `Bearer ${gatehouse.api.token}` },
    });
    assert.equal(answer.headers.get('content-type'), 'application/x-pem-file');
    assert.match(answer.headers.get('content-disposition') ?? '', /filename="renewed_certificate\.pem"/);
    assert.match(await answer.text(), /^-----BEGIN CERTIFICATE-----\n/);
  });

  it('is refused to a second instance, in a sentence', async () => {
    const second = await Gatehouse.prepare({ securePort: port });
    second.launch();
    assert.equal(await second.exit(), 1);
    assert.match(second.log, new RegExp(`127\\.0\\.0\\.1:${port} is in use.*GATEHOUSE_LISTEN__HTTPS`));
    await second.stop();
  });
});

describe('HTTPS with short limits', () => {
  it('lets an event stream over HTTP/2 be silent, and ends a client that takes nothing', async () => {
    const port = await freePort();
    const limits = ['READ', 'WRITE', 'IDLE'].map((what) => [`GATEHOUSE_WEB__TIMEOUT_HTTP_${what}`, `${SILENCE_MS}ms`]);
    const scene = await Scene.start({ gatehouse: { workers: 1, securePort: port, env: Object.fromEntries(limits) } });
    const chat = await EchoUpstream.start();
    try {
      const alice = await scene.provision.user('alice');
      const ask = async (name: string, internalHost: string, path: string) => {
        const externalHost = `https://${name}.test:${port}`;
        await scene.application(name, { externalHost, internalHost });
        const client = scene.visitor();
        const page = await client.enter(`${externalHost}/`, 'alice', alice.password);
        assert.equal(page.status, 200, trace(page));
        return http2To(externalHost).request({ ':path': path, cookie: client.jar.header(page.url) });
      };
      const events = await ask('chat', chat.origin, '/events');
      const ended = once(events, 'close').then(() => 'ended');
      const [first] = (await once(events, 'data')) as [Buffer];
      assert.equal(String(first), 'data: first\n\n');
      assert.equal(await Promise.race([ended, sleep(2 * SILENCE_MS)]), undefined);
      events.session?.destroy();

      const stream = await ask('wiki', scene.upstream.origin, `/download?bytes=${20 * MIB}`);
      stream.on('error', () => undefined);
      await once(stream, 'close').catch(() => undefined); // never read from
      assert.notEqual(stream.rstCode, 0);
      stream.session?.destroy();
    } catch (error) {
      scene.explain({ passed: false });
      throw error;
    } finally {
      await scene.stop();
      await chat.stop();
    }
  });
});

/** An HTTP/2 connection to a name that leads to this machine. */
function http2To(origin: string): ClientHttp2Session {
  const session = connectHttp2(origin, {
    rejectUnauthorized: false,
    lookup: (_name, options, done) =>
      options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
  });
  session.on('error', () => undefined);
  return session;
}

/** Reads an answer with pauses, so that it lasts, for as long as `slowly` stands. */
function takeSlowly(stream: ClientHttp2Stream): { bytes: number; slowly: boolean } {
  const taken = { bytes: 0, slowly: true };
  stream.on('data', (part: Buffer) => {
    taken.bytes += part.length;
    if (!taken.slowly) return;
    stream.pause();
    setTimeout(() => stream.resume(), 20);
  });
  return taken;
}

/** One HTTP/2 request. */
async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: Buffer) {
  const stream = session.request(headers, { endStream: body === undefined });
  stream.on('error', () => undefined);
  if (body !== undefined) stream.end(body);
  let answer: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  stream.on('response', (head) => (answer = head));
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  await once(stream, 'close').catch(() => undefined);
  const all = Buffer.concat(parts);
  return { status: answer[':status'], headers: answer, text: all.toString(), bytes: all.length, code: stream.rstCode };
}
