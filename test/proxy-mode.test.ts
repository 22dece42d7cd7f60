import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { after, afterEach, before, describe, it } from 'node:test';
import { trace } from './harness/client.ts';
import type { Client } from './harness/client.ts';
import { peakMemory } from './harness/processes.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, sleep } from './harness/wait.ts';

const MIB = 1024 * 1024;
const LARGE = 200 * MIB;

describe('proxy mode', () => {
  let scene: Scene;
  let alice: Person;
  let visitor: Client;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 } });
    alice = await scene.provision.user('alice');
    await scene.provision.group('writers', [alice.pk], {
      attributes: { additionalHeaders: { 'X-Department': 'letters' } },
    });
    await scene.application('wiki', { provider: { skip_path_regex: '^/public/' } });
    await scene.application('forge', { gatehouse: { host: 'original' } });
    visitor = scene.visitor();
    await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
    await visitor.open(`${scene.address('forge')}/`);
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const echo = async (path: string, headers: Record<string, string> = {}, name = 'wiki') => {
    const page = await visitor.open(scene.address(name) + path, { headers });
    assert.equal(page.status, 200, trace(page));
    return JSON.parse(page.text) as Received;
  };

  it('leads to the login and back to the page first asked for, with its query', async () => {
    const target = `${scene.address('wiki')}/a%20b/c%2Bd;v=1?x=1&y=%2F%26&x=2&flag`;
    const fresh = scene.visitor();
    const page = await fresh.enter(target, 'alice', alice.password);
    assert.equal(page.url.href, target, trace(page));
    assert.equal((JSON.parse(page.text) as Received).url, '/a%20b/c%2Bd;v=1?x=1&y=%2F%26&x=2&flag');
  });

  it('tells the application who it is, and who asked for what', async () => {
    const { rawHeaders } = await echo('/', { 'x-forwarded-for': '203.0.113.9' });
    assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-username'), ['alice']);
    assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-groups'), ['writers']);
    assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-uid'), [alice.uid]);
    assert.deepEqual(valuesOf(rawHeaders, 'x-department'), ['letters']);
    assert.equal(valuesOf(rawHeaders, 'x-authentik-jwt')[0]!.split('.').length, 3);
    assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-host'), [`wiki.test:${scene.gatehouse.port}`]);
    assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-proto'), ['http']);
    assert.match(valuesOf(rawHeaders, 'x-forwarded-for')[0]!, /^203\.0\.113\.9, (::ffff:)?127\.0\.0\.1$/);
  });

  it('sends the Host of the backend, or the original one, as the provider says', async () => {
    const backend = await echo('/');
    assert.deepEqual(valuesOf(backend.rawHeaders, 'host'), [`127.0.0.1:${scene.upstream.port}`]);
    const original = await echo('/', {}, 'forge');
    assert.deepEqual(valuesOf(original.rawHeaders, 'host'), [`forge.test:${scene.gatehouse.port}`]);
    assert.deepEqual(valuesOf(original.rawHeaders, 'x-forwarded-host'), [`forge.test:${scene.gatehouse.port}`]);
  });

  it('lets an application that checks Origin work with the original Host', async () => {
    const post = (name: string) =>
      visitor.background('POST', `${scene.address(name)}/origin`, {
        headers: { origin: scene.address(name) },
        body: 'a=1',
      });
    assert.equal((await post('forge')).status, 200);
    assert.equal((await post('wiki')).status, 403, 'with the Host of the backend such an application cannot work');
  });

  it('brings Location, Content-Location and cookies of the backend home', async () => {
    const answer = await visitor.send('GET', `${scene.address('wiki')}/redirect`);
    assert.equal(answer.status, 302);
    assert.equal(answer.headers['location'], `${scene.address('wiki')}/landing?from=redirect&x=%2F`);
    assert.equal(answer.headers['content-location'], `${scene.address('wiki')}/landing`);
    const app = answer.hops[0]!.setCookies.find((line) => line.startsWith('app='))!;
    assert.doesNotMatch(app, /127\.0\.0\.1/, 'a cookie for the backend would be refused by every browser');
    const { rawHeaders } = await echo('/after');
    assert.match(valuesOf(rawHeaders, 'cookie').join('; '), /app=1/);
    assert.match(valuesOf(rawHeaders, 'cookie').join('; '), /plain=2/);
  });

  it('keeps our cookies from the application, and the application from ours', async () => {
    const { rawHeaders } = await echo('/', { 'x-other': '1' });
    assert.doesNotMatch(valuesOf(rawHeaders, 'cookie').join('; '), /authentik/);
    assert.match(visitor.jar.header(new URL(scene.address('wiki'))), /authentik_proxy_/, 'there is one to keep');
    const answer = await visitor.send('GET', `${scene.address('wiki')}/cookies`);
    assert.deepEqual(
      answer.hops[0]!.setCookies.filter((line) => line.startsWith('authentik_proxy_00000000')),
      [],
    );
    assert.ok(answer.hops[0]!.setCookies.some((line) => line.startsWith('app=1')));
  });

  it('lets no forged identity header through, on public paths neither', async () => {
    const forged = {
      'X-Authentik-Username': 'akadmin',
      X_Authentik_Groups: 'authentik Admins',
      'x.authentik.email': 'akadmin@example.test',
      'X-Department': 'treasury',
      'X-Forwarded-User': 'akadmin',
    };
    const anonymous = scene.visitor();
    const open = await anonymous.open(`${scene.address('wiki')}/public/page`, { headers: forged });
    assert.equal(open.status, 200, trace(open));
    for (const headers of [(await echo('/', forged)).rawHeaders, (JSON.parse(open.text) as Received).rawHeaders]) {
      assert.doesNotMatch(headers.join('\n'), /akadmin|authentik Admins|treasury/);
    }
    const dropped = await echo('/', { connection: 'close, X-Authentik-Username' });
    assert.deepEqual(valuesOf(dropped.rawHeaders, 'x-authentik-username'), ['alice']);
  });

  it('answers a script without a login with 401 and the address of the login', async () => {
    const answer = await scene.visitor().background('GET', `${scene.address('wiki')}/api`);
    assert.equal(answer.status, 401);
    assert.ok((JSON.parse(answer.text) as { login_url?: string }).login_url, answer.text);
  });

  it('shows a page when the application is away', async () => {
    await scene.application('gone', { internalHost: 'http://127.0.0.1:9' });
    const page = await visitor.open(`${scene.address('gone')}/`);
    assert.equal(page.status, 502, trace(page));
    assert.match(page.text, /<h1/i);
  });

  it('never turns a broken answer into a complete one', async () => {
    await assert.rejects(visitor.send('GET', `${scene.address('wiki')}/abort?bytes=100000`));
  });

  it('carries 200 MB down without holding it', { timeout: 300_000 }, async () => {
    const before = scene.upstream.sent;
    const response = await download(`/download?bytes=${LARGE}`);
    response.once('readable', () => undefined); // opens the stream, takes nothing
    await sleep(1_500);
    const ahead = scene.upstream.sent - before;
    assert.ok(ahead < 64 * MIB, `the application could send ${Math.round(ahead / MIB)} MiB nobody read`);
    let bytes = 0;
    for await (const chunk of response) bytes += (chunk as Buffer).length;
    assert.equal(bytes, LARGE);
    assertModestMemory();
  });

  it('carries 200 MB up without holding it', { timeout: 300_000 }, async () => {
    const chunk = randomBytes(MIB);
    const hash = createHash('sha256');
    for (let i = 0; i < 200; i++) hash.update(chunk);
    const received = await upload('/upload', chunk, 200);
    assert.equal(received.bodyBytes, LARGE);
    assert.equal(received.bodySha256, hash.digest('hex'));
    assertModestMemory();
  });

  it('lets go of the application when the visitor leaves', async () => {
    const before = scene.upstream.aborted;
    const response = await download(`/download?bytes=${LARGE}`);
    response.destroy();
    await eventually('let go', 20_000, () => assert.equal(scene.upstream.aborted, before + 1));
  });

  const outgoing = (method: string, path: string, headers: Record<string, string | number> = {}) =>
    request(scene.gatehouse.origin + path, {
      method,
      agent: false,
      headers: {
        host: `wiki.test:${scene.gatehouse.port}`,
        cookie: visitor.jar.header(new URL(scene.address('wiki'))),
        ...headers,
      },
    });

  const download = (path: string) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const req = outgoing('GET', path);
      req.once('error', reject);
      req.once('response', (res) => {
        res.on('error', () => undefined); // an aborted download is what one test wants
        if (res.statusCode === 200) resolve(res);
        else reject(new Error(`download answers ${res.statusCode}`));
      });
      req.end();
    });

  const upload = (path: string, chunk: Buffer, times: number) =>
    new Promise<Received>((resolve, reject) => {
      const req = outgoing('POST', path, { 'content-length': chunk.length * times });
      req.once('error', reject);
      req.once('response', (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (part: string) => (text += part));
        res.once('end', () => resolve(JSON.parse(text) as Received));
      });
      let left = times;
      const more = (): void => {
        while (left-- > 0) if (!req.write(chunk)) return void req.once('drain', more);
        req.end();
      };
      more();
    });

  /** A worker that held 200 MB would have shown it: its peak stays below. */
  function assertModestMemory(): void {
    for (const pid of scene.gatehouse.pids('worker')) {
      const peak = peakMemory(pid);
      assert.ok(peak < 240 * MIB, `worker ${pid} peaked at ${Math.round(peak / MIB)} MiB`);
    }
  }
});
