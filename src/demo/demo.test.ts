import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CodedError } from '../contract/errors.ts';
import { startApplication } from './application.ts';
import { startDemo, type Demo } from './demo.ts';

type Entry = Record<string, unknown>;

/** A REST API that remembers objects and every write; lists are not filtered, as an older server might not. */
function fakeApi() {
  const lists: Record<string, Entry[]> = {
    'core/users/': [],
    'core/groups/': [],
    'core/applications/': [],
    'providers/proxy/': [],
    'policies/bindings/': [],
    'flows/instances/': ['default-provider-authorization-implicit-consent', 'default-provider-invalidation-flow'].map(
      (slug) => ({ pk: `flow-${slug}`, slug }),
    ),
    'outposts/instances/': [{ pk: 'o1', managed: 'goauthentik.io/outposts/embedded', providers: [99] }],
  };
  const writes: string[] = [];
  let pk = 0;
  const call = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(input);
    assert.equal(new Headers(init?.headers).get('authorization'), 'Bearer key');
    const where = url.pathname.replace('/api/v3/', '');
    const list = lists[where];
    if (init?.method === 'GET') return Response.json({ results: list ?? [] });
    const body = JSON.parse(String(init?.body)) as Entry;
    writes.push(`${init?.method} ${where}`);
    if (list !== undefined) {
      const made = { pk: ++pk, ...body };
      list.push(made);
      return Response.json(made, { status: 201 });
    }
    const [, collection = '', id] = /^(\w+\/\w+\/)([^/]+)\/(\w+\/)?$/.exec(where) ?? [];
    const entry = lists[collection]?.find((one) => String(one['pk']) === id);
    if (entry === undefined) return Response.json({ detail: 'Not found.' }, { status: 404 });
    if (init?.method === 'PATCH') Object.assign(entry, body);
    return init?.method === 'PATCH' ? Response.json(entry) : new Response(null, { status: 204 });
  };
  return { fetch: call, lists, writes };
}

describe('demo', () => {
  let folder = '';
  let running: Demo[] = [];
  const start = async (call: typeof fetch): Promise<Demo> => {
    const dataFile = path.join(folder, 'demo.json');
    const demo = await startDemo({
      fetch: call,
      apiBase: 'http://server/api/v3/',
      token: 'key',
      httpPort: 9000,
      dataFile,
    });
    running.push(demo);
    return demo;
  };
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-demo-'));
  });
  afterEach(async () => {
    await Promise.all(running.map((demo) => demo.close()));
    running = [];
    rmSync(folder, { recursive: true, force: true });
  });

  it('makes two people, of whom one is in the group that may read the wiki', async () => {
    const api = fakeApi();
    const { instructions } = await start(api.fetch);
    assert.deepEqual(
      api.lists['core/users/']?.map((user) => user['username']),
      ['alice', 'bob'],
    );
    assert.deepEqual(api.writes.filter((write) => write.endsWith('add_user/')).length, 1);
    const [wiki] = api.lists['core/applications/']?.filter((one) => one['slug'] === 'wiki') ?? [];
    assert.deepEqual(
      api.lists['policies/bindings/']?.map((one) => one['target']),
      [String(wiki?.['pk'])],
    );
    assert.match(instructions.join('\n'), /http:\/\/demo\.localhost:9000\/.*\n.*http:\/\/wiki\.localhost:9000\//);
  });

  it('keeps the providers the embedded outpost already has', async () => {
    const api = fakeApi();
    await start(api.fetch);
    const providers = api.lists['outposts/instances/']?.[0]?.['providers'] as number[];
    assert.equal(providers.length, 3);
    assert.ok(providers.includes(99));
  });

  it('points the providers to the running sample application', async () => {
    const api = fakeApi();
    await start(api.fetch);
    for (const provider of api.lists['providers/proxy/'] ?? []) {
      const answer = await fetch(`${String(provider['internal_host'])}/echo`);
      assert.equal(answer.status, 200);
      assert.equal(provider['mode'], 'proxy');
    }
  });

  it('changes nothing at the second start, and tells the same passwords', async () => {
    const api = fakeApi();
    const first = await start(api.fetch);
    await first.close();
    running = [];
    api.writes.length = 0;
    const second = await start(api.fetch);
    assert.deepEqual(api.writes, []);
    assert.deepEqual(second.instructions, first.instructions);
  });

  it('keeps passwords where only their owner reads them, and makes new ones when they are lost', async () => {
    const api = fakeApi();
    const first = await start(api.fetch);
    const file = path.join(folder, 'demo.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.ok(
      first.instructions
        .join()
        .includes((JSON.parse(readFileSync(file, 'utf8')) as { passwords: { bob: string } }).passwords.bob),
    );
    writeFileSync(file, '{"port":1}');
    api.writes.length = 0;
    const second = await start(api.fetch);
    assert.equal(api.writes.filter((write) => write.endsWith('set_password/')).length, 2);
    assert.notDeepEqual(second.instructions, first.instructions);
  });

  it('fails with a sentence when the server refuses, and remembers nothing', async () => {
    const refuse = async () => Response.json({ detail: 'no' }, { status: 403 });
    await assert.rejects(start(refuse), (error) => {
      assert.ok(error instanceof CodedError);
      assert.equal(error.code, 'demo-not-configured');
      return true;
    });
    assert.throws(() => statSync(path.join(folder, 'demo.json')), { code: 'ENOENT' });
  });
});

describe('sample application', () => {
  it('greets by name in UTF-8 and escapes what it shows', async () => {
    const application = await startApplication(0);
    try {
      const latin1 = Buffer.from('Zoë <b>', 'utf8').toString('latin1');
      const headers = { 'x-authentik-username': 'zoe', 'x-authentik-name': latin1, 'x-authentik-groups': 'a|b' };
      const page = await (await fetch(`http://127.0.0.1:${application.port}/x?a=1&b=2`, { headers })).text();
      assert.match(page, /Hello, Zoë &#60;b&#62;/);
      assert.match(page, /a, b/);
      assert.match(page, /\/x\?a=1&#38;b=2/);
      const bare = await (await fetch(`http://127.0.0.1:${application.port}/`)).text();
      assert.match(bare, /Nobody is signed in/);
    } finally {
      await application.close();
    }
  });

  it('echoes every header it received', async () => {
    const application = await startApplication(0);
    try {
      const answer = await fetch(`http://127.0.0.1:${application.port}/echo?q=1`, {
        method: 'POST',
        headers: { 'X-Test': 'a' },
        body: 'x',
      });
      const echo = (await answer.json()) as { method: string; url: string; headers: [string, string][] };
      assert.equal(echo.method, 'POST');
      assert.equal(echo.url, '/echo?q=1');
      assert.ok(echo.headers.some(([name, value]) => name.toLowerCase() === 'x-test' && value === 'a'));
    } finally {
      await application.close();
    }
  });
});
