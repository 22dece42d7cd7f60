import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { Gatehouse } from './harness/gatehouse.ts';
import type { GatehouseOptions } from './harness/gatehouse.ts';
import { Scene } from './harness/scene.ts';
import { Tmpfs } from './harness/tmpfs.ts';
import { eventually } from './harness/wait.ts';

const STACK = /^\s+at .*[(:]\d+:\d+\)?$/m;

/** Starts an instance that must refuse to. @returns what it said */
async function refused(options: GatehouseOptions): Promise<string> {
  const gatehouse = await Gatehouse.prepare(options);
  try {
    gatehouse.launch();
    const code = await gatehouse.exit();
    assert.notEqual(code, 0, `ended as if all were well:\n${gatehouse.log}`);
    assert.ok(code < 126, `ended by a signal (${code}):\n${gatehouse.log}`);
    assert.doesNotMatch(gatehouse.log, STACK, 'no stack trace');
    assert.notEqual(gatehouse.log.trim(), '', 'it says why');
    return gatehouse.log;
  } finally {
    await gatehouse.stop();
  }
}

describe('a start that cannot work is refused with a sentence', () => {
  let occupied: Server;
  let port: number;
  const folders: string[] = [];
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'gatehouse-data-'));
    folders.push(path);
    return path;
  };

  before(async () => {
    occupied = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => occupied.listen(0, '127.0.0.1', resolve));
    const address = occupied.address();
    assert.ok(typeof address === 'object' && address !== null);
    port = address.port;
  });
  after(() => {
    occupied.close();
    for (const path of folders) rmSync(path, { recursive: true, force: true });
  });

  it('when another program has the port', async () => {
    assert.match(await refused({ port }), new RegExp(`${port}`));
    assert.match(await refused({ metricsPort: port }), new RegExp(`${port}`));
  });

  it('when another Gatehouse has the port or the folder, which goes on undisturbed', async () => {
    const first = await Gatehouse.start();
    try {
      assert.match(await refused({ port: first.port }), new RegExp(`${first.port}`));
      assert.match(await refused({ port: first.port, workers: 0 }), new RegExp(`${first.port}`));
      assert.match(await refused({ data: first.data }), new RegExp(first.data));
      assert.equal((await fetch(`${first.origin}/-/health/ready/`)).status, 200);
    } finally {
      await first.stop();
    }
  });

  it('when the data folder is a file', async () => {
    const file = join(folder(), 'file');
    writeFileSync(file, 'not a folder');
    assert.match(await refused({ data: file }), new RegExp(file));
    assert.equal(readFileSync(file, 'utf8'), 'not a folder');
  });

  it('when the data folder cannot be written', async () => {
    const disk = new Tmpfs('ro,size=1m');
    try {
      assert.match(await refused({ data: disk.path }), new RegExp(disk.path));
    } finally {
      disk.remove();
    }
  });

  it('when settings are wrong or unknown: all of them at once, by name, without secrets', async () => {
    const said = await refused({
      env: {
        GATEHOUSE_LISTEN__METRICS: 'nowhere:at:all',
        AUTHENTIK_LOG_LEVEL: 'shouting',
        AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS: '10.0.0.0/99',
        AUTHENTIK_SECRET_KEY: 'file:///no/such/file',
        GATEHOUSE_BOOTSTRAP_PASSWORT: 'hunter2-hunter2',
      },
    });
    for (const name of [
      'LISTEN__METRICS',
      'AUTHENTIK_LOG_LEVEL',
      'AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS',
      'AUTHENTIK_SECRET_KEY',
      'GATEHOUSE_BOOTSTRAP_PASSWORT',
    ]) {
      assert.ok(said.includes(name), `${name} is not named:\n${said}`);
    }
    assert.ok(!said.includes('hunter2'), 'no secret is repeated');
  });

  it('when a newer program has written the database, which stays as it was', async () => {
    const data = folder();
    const first = await Gatehouse.start({ data });
    await first.stop();
    const file = join(data, 'gatehouse.db');
    const database = new DatabaseSync(file);
    database.exec('PRAGMA journal_mode = DELETE; PRAGMA user_version = 9999');
    database.close();
    const before = digest(file);
    assert.match(await refused({ data }), /newer/i);
    assert.equal(digest(file), before);
  });

  it('when the database is damaged', async () => {
    const data = folder();
    writeFileSync(join(data, 'gatehouse.db'), 'this is no database, '.repeat(1000));
    assert.match(await refused({ data }), /database|gatehouse\.db/i);
  });

  it('when the secret key is another one', async () => {
    const data = folder();
    const first = await Gatehouse.start({ data, env: { AUTHENTIK_SECRET_KEY: 'k'.repeat(50) } });
    await first.stop();
    assert.match(await refused({ data, env: { AUTHENTIK_SECRET_KEY: 'x'.repeat(50) } }), /secret/i);
    const again = await Gatehouse.start({ data, env: { AUTHENTIK_SECRET_KEY: 'k'.repeat(50) } });
    await again.stop();
  });

  it('when the disk is full', async () => {
    const disk = new Tmpfs('size=4m');
    try {
      disk.fill();
      assert.match(await refused({ data: disk.path }), /full|space/i);
    } finally {
      disk.remove();
    }
  });
});

describe('a disk that fills up while running', () => {
  it('makes changes fail with a sentence, lets people work on, and damages nothing', async (t) => {
    const disk = new Tmpfs('size=16m');
    const scene = await Scene.start({ gatehouse: { data: disk.path, workers: 1 } });
    try {
      const alice = await scene.provision.user('alice');
      await scene.application('wiki');
      const visitor = scene.visitor();
      await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
      const free = disk.fill();
      const { api } = scene.gatehouse;
      const { value: answer } = await eventually('a change is refused', 20_000, async () => {
        const fields = { name: `group ${Math.random()}`, attributes: { note: 'x'.repeat(5_000) } };
        const got = await api.raw('POST', 'core/groups/', fields);
        assert.ok(got.status >= 500, `answer ${got.status}`);
        return got;
      });
      assert.match(answer.text, /full|space/i);
      assert.equal((await visitor.open(`${scene.address('wiki')}/`)).status, 200, 'signed-in people work on');
      free();
      await eventually('changes work again', 20_000, async () => {
        await scene.provision.group(`after ${Math.random()}`);
      });
      await scene.gatehouse.end();
      const database = new DatabaseSync(join(disk.path, 'gatehouse.db'), { readOnly: true });
      assert.deepEqual({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
      database.close();
      scene.gatehouse.launch();
      await scene.gatehouse.ready();
      await scene.provision.served(scene.gatehouse.origin, scene.address('wiki'));
      const page = await visitor.open(`${scene.address('wiki')}/after`);
      assert.equal(page.hops.length, 1, 'still signed in');
      t.diagnostic(`refused with ${answer.status} ${answer.text}`);
    } catch (error) {
      console.error(scene.gatehouse.tail());
      throw error;
    } finally {
      await scene.stop();
      disk.remove();
    }
  });
});

const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
