import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { Client, trace } from './harness/client.ts';
import { hs256, OfficialServer } from './harness/official-server.ts';
import type { OfficialPerson, OfficialProvider } from './harness/official-server.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import { Upstream, valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

const ALICE: OfficialPerson = {
  username: 'alice',
  groups: ['staff', 'wiki editors'],
  attributes: { additionalHeaders: { 'X-Team': 'red' }, wiki_user: 'al', wiki_password: 'pw' },
  appPassword: 'an app password of alice',
};

describe('our outpost at an official server', () => {
  let server: OfficialServer;
  let upstream: Upstream;
  let outpost: StandaloneOutpost;
  let app: OfficialProvider;
  const clients: Client[] = [];

  before(async () => {
    server = await OfficialServer.start();
    upstream = await Upstream.start();
    outpost = await StandaloneOutpost.prepare({ server: server.origin, token: server.token, workers: 2 });
    app = {
      pk: 1,
      slug: 'app',
      mode: 'proxy',
      external_host: `http://app.test:${outpost.port}`,
      internal_host: upstream.origin,
      more: {
        basic_auth_enabled: true,
        basic_auth_user_attribute: 'wiki_user',
        basic_auth_password_attribute: 'wiki_password',
      },
    };
    server.providers.push(app);
    for (let pk = 2; pk <= 130; pk++) {
      server.providers.push({
        pk,
        slug: `app${pk}`,
        mode: 'forward_single',
        external_host: `http://app${pk}.test:${outpost.port}`,
      });
    }
    outpost.launch();
    await outpost.configured();
    await outpost.connected();
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await outpost?.stop();
    await server?.stop();
    await upstream?.stop();
  });
  beforeEach(() => {
    server.person = ALICE;
    server.claims = {};
    server.sign = undefined;
  });
  afterEach((t) => outpost?.explain(t));

  const address = (path = '/') => `http://app.test:${outpost.port}${path}`;
  const visitor = () => {
    const client = new Client();
    clients.push(client);
    return client;
  };
  const signedIn = async () => {
    const client = visitor();
    const page = await client.open(address('/?a=1'));
    assert.equal(page.status, 200, trace(page));
    return { client, received: JSON.parse(page.text) as Received };
  };
  const isIn = async (client: Client) => (await client.background('GET', address())).status === 200;
  /** Whether any worker lets in who has these cookies, on connections of their own. */
  const isInAnywhere = async ({ jar }: Client) => {
    for (let i = 0; i < 8; i++) {
      const once = new Client(undefined, jar.clone());
      try {
        if (await isIn(once)) return true;
      } finally {
        await once.close();
      }
    }
    return false;
  };

  it('signs people in, and hands on who they are', async () => {
    const { received } = await signedIn();
    const header = (name: string) => valuesOf(received.rawHeaders, name);
    assert.equal(received.url, '/?a=1');
    assert.deepEqual(header('x-authentik-username'), ['alice']);
    assert.deepEqual(header('x-authentik-groups'), ['staff|wiki editors']);
    assert.deepEqual(header('x-team'), ['red'], 'attributes come within the token');
    assert.deepEqual(header('authorization'), [`Basic ${btoa('al:pw')}`]);
    const [jwt = ''] = header('x-authentik-jwt');
    assert.equal(decodeProtectedHeader(jwt).alg, 'HS256');
    assert.equal(decodeJwt(jwt).sid, server.sid(ALICE));
    const token = server.requests.findLast(({ path }) => path === '/application/o/token/');
    assert.ok(token?.form.has('code_verifier'), 'PKCE always');
    assert.match(token?.headers['user-agent'] ?? '', /^goauthentik\.io\/outpost\/\S+ \(provider=app\)$/);
  });

  it('takes all pages of providers', async () => {
    const page = await visitor().open(`http://app130.test:${outpost.port}/outpost.goauthentik.io/start`);
    assert.match(page.hops[0]?.location ?? '', /client_id=client-130/, trace(page));
  });

  for (const instruction of [4, 3] as const) {
    it(`ends sessions as told by instruction ${instruction}, of this person and only those there are`, async () => {
      const ended = await signedIn();
      server.person = { username: 'bob' };
      const other = await signedIn();
      server.endSession(server.sid(ALICE), instruction);
      await eventually('ended', 10_000, async () => assert.equal(await isInAnywhere(ended.client), false));
      assert.equal(await isIn(other.client), true, 'nobody else');
      // such a server may go on with the same session: whoever signs in again is in, and goes round in no circle
      server.person = ALICE;
      assert.equal(await isIn((await signedIn()).client), true);
      assert.equal(await isIn(ended.client), false, 'what was before stays ended');
    });
  }

  it('knows an end also in a worker that starts later, and after a restart', async () => {
    const { client } = await signedIn();
    server.endSession(server.sid(ALICE));
    await eventually('ended', 10_000, async () => assert.equal(await isInAnywhere(client), false));
    const killed = outpost.kill('worker');
    await eventually('another worker', 30_000, () => {
      const pids = outpost.pids('worker');
      assert.ok(pids.length === 2 && !pids.includes(killed), String(pids));
    });
    await outpost.configured();
    assert.equal(await isInAnywhere(client), false, 'each worker');
    await outpost.restart();
    assert.equal(await isInAnywhere(client), false);
    await outpost.connected();
  });

  it('follows updates', async () => {
    const added = {
      pk: 900,
      slug: 'late',
      mode: 'forward_single' as const,
      external_host: `http://late.test:${outpost.port}`,
    };
    server.providers.push(added);
    server.update();
    await eventually('the new provider is served', 15_000, async () => {
      const page = await visitor().send('GET', `${added.external_host}/outpost.goauthentik.io/start`);
      assert.match(page.hops[0]?.location ?? '', /client_id=client-900/);
    });
  });

  it('signs out, and sends on to the server\u2019s own sign-out', async () => {
    const { client } = await signedIn();
    const page = await client.open(address('/outpost.goauthentik.io/sign_out'));
    assert.match(page.url.href, /\/application\/o\/app\/end-session\//, trace(page));
    assert.equal(page.text, 'You are signed out.');
    server.person = undefined;
    assert.equal(await isIn(client), false);
  });

  it('lets machines in with app passwords', async () => {
    const ask = (password: string) =>
      visitor().send('GET', address(), { headers: { authorization: `Basic ${btoa(`alice:${password}`)}` } });
    const page = await ask(ALICE.appPassword ?? '');
    assert.deepEqual(valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'x-authentik-username'), ['alice']);
    assert.equal((await ask('wrong')).status, 401);
  });

  it('believes no token but the one the published list promises', async () => {
    const forged: [string, typeof server.sign][] = [
      ['another secret', (claims) => hs256(claims, Buffer.from('another secret of any length'))],
      ['an empty secret', (claims) => hs256(claims, Buffer.from(''))],
      ['no signature', async (claims) => `${encoded({ alg: 'none' })}.${encoded(claims)}.`],
      ['RS256 without a key', async (claims) => `${encoded({ alg: 'RS256' })}.${encoded(claims)}.AAAA`],
    ];
    for (const [what, sign] of forged) {
      server.sign = sign;
      const client = visitor();
      const page = await client.open(address());
      assert.equal(page.status, 502, `${what}: ${trace(page)}`);
      assert.equal(await isIn(client), false, what);
    }
    server.sign = undefined;
    for (const claims of [{ iss: 'http://evil.test/' }, { aud: 'client-2' }, { exp: 1 }, { nonce: 'other' }]) {
      server.claims = claims;
      assert.equal((await visitor().open(address())).status, 502, JSON.stringify(claims));
    }
  });

  for (const algorithms of [['HS256', 'RS256'], ['RS256'], [], ['hs256'], ['HS512']]) {
    it(`takes no HS256 where the list says ${JSON.stringify(algorithms)}`, async () => {
      app.algorithms = algorithms;
      server.update();
      await eventually('the list took effect', 15_000, async () => {
        assert.equal((await visitor().open(address())).status, 502);
      });
      app.algorithms = ['HS256'];
      server.update();
      await eventually('and back', 15_000, async () => assert.equal((await visitor().open(address())).status, 200));
    });
  }

  it('speaks of the server as browsers do, where they know it by another name', async () => {
    const browser = `http://id.test:${server.port}`;
    const other = await StandaloneOutpost.prepare({
      server: server.origin,
      token: server.token,
      workers: 1,
      env: { AUTHENTIK_HOST_BROWSER: browser },
    });
    const external_host = `http://named.test:${other.port}`;
    server.providers.push({ pk: 950, slug: 'named', mode: 'proxy', external_host, internal_host: upstream.origin });
    try {
      other.launch();
      await other.configured();
      const page = await visitor().open(`${external_host}/`);
      assert.equal(page.status, 200, trace(page));
      const [jwt = ''] = valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'x-authentik-jwt');
      assert.equal(decodeJwt(jwt).iss, `${browser}/application/o/named/`);
      assert.ok(page.hops.some(({ url }) => url.startsWith(`${browser}/application/o/authorize/`)));
    } finally {
      await other.stop();
    }
  });

  it('asks nothing an official server does not know', () => {
    const known =
      /^\/(api\/v3\/(root\/config|outposts\/(instances|proxy)|events\/events)|ws\/outpost\/[\w-]+|application\/o\/[^/]+(\/(jwks|end-session))?)\/$/;
    const strange = server.requests
      .filter(({ path }) => !known.test(path))
      .map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual([...new Set(strange)], []);
    const keys = [
      'version',
      'buildHash',
      'uuid',
      'hostname',
      'golangVersion',
      'opensslEnabled',
      'opensslVersion',
      'fipsEnabled',
    ];
    for (const hello of server.hellos) assert.deepEqual(Object.keys(hello).sort(), keys.sort());
  });
});

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
