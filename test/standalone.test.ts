import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { request } from 'undici';
import { trace } from './harness/client.ts';
import { hasPasswordField } from './harness/forms.ts';
import { ROOT } from './harness/gatehouse.ts';
import { freePort } from './harness/ports.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import type { OutpostOptions } from './harness/outpost.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

/** Runs a command of the program. @returns exit code and all it said */
const command = (name: string, env: Readonly<Record<string, string | undefined>>) =>
  node([join(ROOT, 'src/main.ts'), name], env);

function node(args: string[], env: Readonly<Record<string, string | undefined>>) {
  const { promise, resolve } = Promise.withResolvers<{ code: number; said: string }>();
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
  const child = execFile(
    process.execPath,
    args,
    { cwd: ROOT, env: { PATH: process.env['PATH'], ...given }, timeout: 180_000 },
    (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, said: stdout + stderr }),
  );
  return promise;
}

describe('an outpost of its own beside a Gatehouse', () => {
  let scene: Scene;
  let outpost: StandaloneOutpost;
  let alice: Person;
  let bob: Person;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 } });
    alice = await scene.provision.user('alice');
    bob = await scene.provision.user('bob');
    // all of this with nothing of the server, nor of its packages
    const env = { NODE_OPTIONS: `--import=${join(ROOT, 'test/harness/outpost-only.ts')}` };
    const server = scene.gatehouse.origin;
    outpost = await StandaloneOutpost.prepare({ server, workers: 2, securePort: await freePort(), env });
    const { provider } = await scene.provision.application({
      slug: 'far',
      mode: 'proxy',
      externalHost: `http://far.test:${outpost.port}`,
      internalHost: scene.upstream.origin,
      embedded: false,
    });
    outpost.token = (await scene.provision.outpost('branch office', [provider])).token;
    outpost.launch();
    await outpost.configured();
  });
  after(async () => {
    await outpost?.stop();
    await scene?.stop();
  });
  afterEach((t) => {
    scene?.explain(t);
    outpost?.explain(t);
  });

  const address = (path = '/') => `http://far.test:${outpost.port}${path}`;
  const enter = async (person: Person) => {
    const visitor = scene.visitor();
    const page = await visitor.enter(address(), person.username, person.password);
    assert.equal(page.status, 200, trace(page));
    return visitor;
  };
  /** status for a script that shows these cookies, at every worker */
  const statusWith = async (cookie: string) => {
    const found = new Set<number>();
    for (let i = 0; i < 8; i += 1) {
      const once = scene.visitor();
      found.add((await once.background('GET', address('/data'), { headers: { cookie } })).status);
      await once.close();
    }
    return [...found];
  };

  it('signs people in and out, and hands on who they are', async () => {
    const visitor = scene.visitor();
    const page = await visitor.enter(address('/?a=1'), 'alice', alice.password);
    const { url, rawHeaders } = JSON.parse(page.text) as Received;
    assert.equal(url, '/?a=1', trace(page));
    assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-username'), ['alice']);
    assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-meta-outpost'), ['branch office']);
    await visitor.open(address('/outpost.goauthentik.io/sign_out'));
    assert.equal((await visitor.background('GET', address())).status, 401);
    for (const missing of ['./src/server/control-plane.ts', 'fastify']) {
      const { said } = await node(['--input-type=module', '-e', `await import('${missing}')`], outpost.environment);
      assert.match(said, /an outpost has no/, `${missing} is really not to be had there`);
    }
  });

  it('says how it is, on the command line too', async () => {
    await outpost.connected();
    const { code, said } = await command('healthcheck', outpost.environment);
    assert.deepEqual([code, said], [0, 'It is connected to the identity server, configured, and serving.\n']);
    assert.equal((await fetch(`${outpost.metricsOrigin}/outpost.goauthentik.io/ping`)).status, 204);
    assert.equal((await fetch(`${outpost.metricsOrigin}/-/health/live/`)).status, 200);
    await eventually('it says so', 30_000, () => {
      assert.match(
        outpost.log,
        /gatehouse: connected to http:\/\/127\.0\.0\.1:\d+\/ as "branch office"; applications: 1/,
      );
    });
    const server = scene.gatehouse;
    await eventually('the same for a server', 30_000, async () => {
      const there = await command('healthcheck', {
        GATEHOUSE_LISTEN__HTTP: `127.0.0.1:${server.port}`,
        GATEHOUSE_LISTEN__METRICS: `127.0.0.1:${server.metricsPort}`,
      });
      assert.deepEqual([there.code, there.said], [0, said], 'the same for a server');
    });
  });

  it('keeps what it holds from other users of the machine, and no secret readable', () => {
    const folder = join(outpost.data, 'outpost');
    assert.ok(readdirSync(folder).includes('last-known-good.jwe'));
    for (const name of readdirSync(folder).filter((file) => !file.endsWith('.key'))) {
      const text = readFileSync(join(folder, name), 'utf8');
      assert.doesNotMatch(text, /client_secret|cookie_secret|branch office/);
    }
  });

  it('logs as the server says', async () => {
    const { pk, config } = await scene.gatehouse.api.first('outposts/instances/?name__iexact=branch%20office');
    await scene.gatehouse.api.patch(`outposts/instances/${String(pk)}/`, {
      config: { ...(config as object), log_level: 'error' },
    });
    const lines = () => outpost.log.split('"part":"worker"').length;
    await eventually('no access lines any more', 15_000, async () => {
      const before = lines();
      await statusWith('');
      await new Promise((resolve) => setTimeout(resolve, 500)); // lines leave in batches
      assert.equal(lines(), before);
    });
    await scene.gatehouse.api.patch(`outposts/instances/${String(pk)}/`, { config: config! });
  });

  it('restarts while the server is away, and tells of a sign-out when it is back, after another restart', async (t) => {
    const [leaving, staying] = [await enter(alice), await enter(bob)];
    const old = leaving.jar.header(new URL(address()));
    await scene.gatehouse.end();

    await outpost.restart();
    for (const visitor of [leaving, staying]) {
      const page = await visitor.open(address('/still?x=1'));
      assert.deepEqual([page.status, page.hops.length], [200, 1], trace(page));
    }
    await eventually('it says how it is', 30_000, async () => {
      const { code, said } = await command('healthcheck', outpost.environment);
      assert.equal(code, 0);
      assert.match(
        said,
        /without the identity server: whoever is signed in notices nothing.*Nothing listens at 127\.0\.0\.1/,
      );
    });

    await leaving.send('GET', address('/outpost.goauthentik.io/sign_out'));
    await eventually('signed out at every worker', 10_000, async () => assert.deepEqual(await statusWith(old), [401]));
    await outpost.restart();
    assert.deepEqual(await statusWith(old), [401], 'the second restart remembers the sign-out');
    const page = await staying.open(address('/still'));
    assert.deepEqual([page.status, page.hops.length], [200, 1], trace(page));

    scene.gatehouse.launch();
    await scene.gatehouse.ready();
    const back = performance.now();
    await outpost.connected();
    t.diagnostic(`connected ${Math.round(performance.now() - back)} ms after the server was ready`);
    await eventually('it said what it waited for', 20_000, () => {
      assert.match(
        outpost.log,
        /waiting for the identity server: Nothing listens at 127\.0\.0\.1:\d+\. Start the identity/,
      );
    });
    await eventually('the server knows of the sign-out', 30_000, async () => {
      const asked = await leaving.open(address());
      assert.ok(hasPasswordField(asked.text), `still signed in at the server:\n${trace(asked)}`);
    });
    assert.equal((await staying.open(address())).hops.length, 1, 'nobody else was signed out');
  });

  it('stops in order: says first that nobody should come, serves who does, and lets requests end', async () => {
    await outpost.end();
    const stopping = await StandaloneOutpost.prepare({
      server: scene.gatehouse.origin,
      token: outpost.token,
      port: outpost.port,
      workers: 2,
      // nothing is read of the download for as long as all the questions take
      env: { GATEHOUSE_STOP_DELAY: '10m', GATEHOUSE_WEB__TIMEOUT_HTTP_WRITE: '10m' },
    });
    try {
      stopping.launch();
      await stopping.configured();
      const visitor = await enter(bob);
      const cookie = visitor.jar.header(new URL(address()));
      const bytes = 40_000_000;
      const download = await request(`${stopping.origin}/download?bytes=${bytes}`, {
        headers: { host: `far.test:${stopping.port}`, cookie },
      });
      assert.equal(download.statusCode, 200);
      process.kill(stopping.pid, 'SIGTERM');
      for (const place of [stopping.metricsOrigin, stopping.origin]) {
        await eventually(`${place} tells nobody to come`, 15_000, async () => {
          for (let i = 0; i < 6; i += 1) {
            const ping = await fetch(`${place}/outpost.goauthentik.io/ping`, { headers: { connection: 'close' } });
            assert.equal(ping.status, 503);
          }
        });
      }
      const { code, said } = await command('healthcheck', stopping.environment);
      assert.deepEqual([code, said.slice(0, 15)], [1, 'It is stopping:']);
      assert.deepEqual(await statusWith(cookie), [200], 'who comes is still served');
      process.kill(stopping.pid, 'SIGINT'); // a person does not want to wait
      await eventually('nothing listens any more', 15_000, () => assert.rejects(fetch(stopping.origin)));
      let read = 0;
      for await (const part of download.body) read += (part as Buffer).length;
      assert.equal(read, bytes);
      assert.equal(await stopping.exit(), 0);
    } finally {
      await stopping.stop();
    }
    const { code, said } = await command('healthcheck', stopping.environment);
    assert.equal(code, 1);
    assert.match(said, /^Nothing answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)/);
  });
});

describe('an outpost of its own and the address of its server', () => {
  let scene: Scene;
  let alice: Person;
  let securePort: number;
  const outposts: StandaloneOutpost[] = [];

  before(async () => {
    securePort = await freePort();
    scene = await Scene.start({ gatehouse: { workers: 0, webPath: '/auth/', securePort } });
    alice = await scene.provision.user('alice');
  });
  after(async () => {
    for (const outpost of outposts) await outpost.stop();
    await scene?.stop();
  });
  afterEach((t) => {
    scene?.explain(t);
    outposts.at(-1)?.explain(t);
  });

  const outpostFor = async (name: string, options: OutpostOptions) => {
    const outpost = await StandaloneOutpost.prepare({ workers: 0, ...options });
    outposts.push(outpost);
    const { provider } = await scene.provision.application({
      slug: name,
      mode: 'proxy',
      externalHost: `http://${name}.test:${outpost.port}`,
      internalHost: scene.upstream.origin,
      embedded: false,
    });
    outpost.token = (await scene.provision.outpost(name, [provider])).token;
    return outpost;
  };

  /** Signs in, and sees a change of groups, which needs the back channel again. */
  const works = async (name: string, outpost: StandaloneOutpost) => {
    const visitor = scene.visitor();
    const place = `http://${name}.test:${outpost.port}/`;
    const page = await visitor.enter(place, 'alice', alice.password);
    assert.equal(page.status, 200, trace(page));
    const group = await scene.provision.group(`${name} readers`);
    await scene.provision.addMember(group, alice.pk);
    await eventually('the new group is seen', 15_000, async () => {
      const answer = await visitor.open(place);
      assert.equal(answer.status, 200, trace(answer));
      assert.equal(answer.hops.length, 1, trace(answer));
      const [groups] = valuesOf((JSON.parse(answer.text) as Received).rawHeaders, 'x-authentik-groups');
      assert.match(groups ?? '', new RegExp(`${name} readers`));
    });
  };

  it('with a path, without a slash at its end, and another address for browsers', async () => {
    const server = `http://localhost:${scene.gatehouse.port}/auth`;
    const browsers = `http://auth.test:${scene.gatehouse.port}/auth/`;
    const outpost = await outpostFor('near', { server, env: { AUTHENTIK_HOST_BROWSER: browsers } });
    outpost.launch();
    await outpost.configured();
    await outpost.connected();
    await works('near', outpost);
  });

  it('over TLS, verified unless told otherwise, at an address that browsers cannot reach', async () => {
    const server = `https://localhost:${securePort}/auth/`;
    const careful = await outpostFor('careful', { server });
    careful.launch();
    await eventually('it says what to do', 30_000, () => {
      assert.match(
        careful.log,
        /waiting for the identity server: The certificate of localhost:\d+ is from an authority/,
      );
      assert.match(careful.log, /NODE_EXTRA_CA_CERTS; or, .* AUTHENTIK_INSECURE=true/);
    });
    await careful.end();
    const trusting = await outpostFor('trusting', { server, env: { AUTHENTIK_INSECURE: 'True' } });
    trusting.launch();
    await trusting.configured();
    await trusting.connected();
    await works('trusting', trusting);
  });
});

describe('an outpost of its own without a server', () => {
  let outpost: StandaloneOutpost;
  let nowhere: string;
  before(async () => {
    nowhere = `http://127.0.0.1:${await freePort()}`;
  });
  afterEach(async (t) => {
    outpost?.explain(t);
    await outpost?.stop();
  });

  it('answers at once that it knows nothing yet, to each as it understands', async () => {
    outpost = await StandaloneOutpost.prepare({ server: nowhere, token: 'x', workers: 1 });
    outpost.launch();
    await outpost.answers();
    const asked = (path: string, headers: Record<string, string>) => request(outpost.origin + path, { headers });
    await eventually('it listens', 30_000, () => asked('/', {}));
    const page = await asked('/', { accept: 'text/html', 'sec-fetch-mode': 'navigate' });
    assert.equal(page.statusCode, 503);
    assert.match(await page.body.text(), /<!doctype html>/i);
    const json = await asked('/', { accept: 'application/json' });
    assert.deepEqual([json.statusCode, ((await json.body.json()) as { code: string }).code], [503, 'not-ready']);
    assert.equal((await asked('/outpost.goauthentik.io/auth/nginx', {})).statusCode, 403);
    assert.equal((await asked('/outpost.goauthentik.io/ping', {})).statusCode, 503);
    assert.equal((await request(`${outpost.metricsOrigin}/-/health/live/`)).statusCode, 200);
    await eventually('it says how it is', 30_000, async () => {
      const { code, said } = await command('healthcheck', outpost.environment);
      assert.equal(code, 1);
      assert.match(
        said,
        /^It is waiting for its configuration and serves nobody yet\. Nothing listens at 127\.0\.0\.1:\d+\./,
      );
    });
  });

  it('names every wrong or missing setting at once', async () => {
    const { code, said } = await command('outpost', {
      AUTHENTIK_INSECURE: 'perhaps',
      GATEHOUSE_LISTEN__HTTP: 'here',
      GATEHOUSE_WROKERS: '2',
    });
    assert.equal(code, 1);
    for (const name of [
      'GATEHOUSE_HOST',
      'GATEHOUSE_TOKEN',
      'AUTHENTIK_INSECURE',
      'GATEHOUSE_LISTEN__HTTP',
      'GATEHOUSE_WROKERS',
    ]) {
      assert.match(said, new RegExp(`^ {2}${name}: `, 'm'));
    }
    assert.match(said, /GATEHOUSE_HOST: is missing \(AUTHENTIK_HOST does as well\)/);
  });

  it('runs where nothing can be written, and says so; another one on the same folder is refused', async () => {
    outpost = await StandaloneOutpost.prepare({ server: nowhere, token: 'x', workers: 0 });
    const file = join(outpost.data, 'file');
    writeFileSync(file, '');
    const homeless = await StandaloneOutpost.prepare({
      server: nowhere,
      token: 'x',
      workers: 0,
      data: join(file, 'data'),
    });
    const second = await StandaloneOutpost.prepare({ server: nowhere, token: 'x', workers: 0, data: outpost.data });
    try {
      homeless.launch();
      await homeless.answers();
      await eventually('it says so', 20_000, () => {
        assert.match(
          homeless.log,
          /Until then nothing is kept: a restart while the identity server is away serves nobody\./,
        );
      });
      outpost.launch();
      await outpost.answers();
      second.launch();
      assert.equal(await second.exit(), 1);
      assert.match(second.log, /data-folder-in-use/);
    } finally {
      await homeless.stop();
      await second.stop();
    }
  });

  it('asks for its configuration anew on SIGUSR1', async () => {
    let asked = 0;
    const server = createServer((req, res) => {
      if (req.url?.includes('/instances/')) asked += 1;
      const one = { pk: 'p', name: 'one', refresh_interval_s: 300, managed: null, config: {} };
      const results = req.url?.includes('/instances/') ? [one] : [];
      res.writeHead(req.url?.startsWith('/api/v3/') ? 200 : 404, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ pagination: { next: 0 }, results }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      outpost = await StandaloneOutpost.prepare({ server: `http://127.0.0.1:${port}`, token: 'x', workers: 0 });
      outpost.launch();
      await outpost.configured();
      await eventually('it says that the link does not work', 30_000, () => {
        assert.match(outpost.log, /lets no WebSocket through \(404\)/);
      });
      const before = asked;
      process.kill(outpost.pid, 'SIGUSR1');
      await eventually('asked anew', 15_000, () => assert.ok(asked > before));
    } finally {
      server.close().closeAllConnections();
    }
  });
});
