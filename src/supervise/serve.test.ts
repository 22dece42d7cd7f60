import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../settings/settings.ts';
import { testSettings } from '../settings/settings.test-helper.ts';
import { freePort } from '../../test/harness/ports.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-serve-'));
const helper = fileURLToPath(new URL('./serve.test-helper.ts', import.meta.url));
const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function eventually<T>(what: string, check: () => Promise<T> | T): Promise<T> {
  const end = Date.now() + 60_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw new Error(`not within 60 s: ${what}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

interface Instance {
  child: ChildProcess;
  port: number;
  metrics: number;
  data: string;
  said: () => string;
  exit: Promise<number | null>;
  ask: (target?: string) => Promise<{ pid: number; peer: string }>;
  children: () => { pid: number; part: string }[];
}

async function launch(
  more: Partial<Settings> & { port?: number; metrics?: number; env?: Record<string, string> } = {},
): Promise<Instance> {
  const { port = await freePort(), metrics = await freePort(), env = {}, ...settings } = more;
  const data = settings.data ?? mkdtempSync(path.join(folder, 'data-'));
  const listen = {
    http: [{ host: '127.0.0.1', port }],
    https: [],
    metrics: [{ host: '127.0.0.1', port: metrics }],
    trustedProxyCidrs: [],
    strictPeers: undefined,
  };
  const all = testSettings(data, { listen, workers: 2, ...settings });
  const child = spawn(process.execPath, [helper, JSON.stringify(all)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
  const exit = once(child, 'close').then(([code]) => code as number | null);
  const ask = async (target = '/') => {
    const answer = await fetch(`http://127.0.0.1:${port}${target}`, { signal: AbortSignal.timeout(20_000) });
    assert.equal(answer.status, 200, await answer.clone().text());
    return (await answer.json()) as { pid: number; peer: string };
  };
  const children = () =>
    readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map((pid) => ({
        pid: Number(pid),
        part: /worker-main|control-plane/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[0] ?? '',
      }));
  return { child, port, metrics, data, said: () => said, exit, ask, children };
}

async function ready(instance: Instance): Promise<Instance> {
  await eventually('ready', () => assert.match(instance.said(), /Gatehouse is ready/));
  return instance;
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('serve', () => {
  it('starts everything, says what to open, answers metrics and pings, and ends in order', async () => {
    const one = await ready(await launch());
    assert.match(one.said(), new RegExp(`http://localhost:${one.port}/if/flow/initial-setup/\\?token=setup-token`));
    assert.equal((await one.ask()).peer, '127.0.0.1');
    assert.deepEqual(
      one
        .children()
        .map(({ part }) => part)
        .sort(),
      ['control-plane', 'worker-main', 'worker-main'],
    );
    const metrics = await fetch(`http://127.0.0.1:${one.metrics}/metrics`);
    assert.match(await metrics.text(), /authentik_outpost_info\{outpost_name="embedded"/);
    for (const prefix of ['outpost.goauthentik.io', 'akprox']) {
      for (const port of [one.metrics, one.port]) {
        assert.equal((await fetch(`http://127.0.0.1:${port}/${prefix}/ping`)).status, 204);
      }
    }
    const slow = await fetch(`http://127.0.0.1:${one.port}/slow`); // it has begun
    one.child.kill('SIGTERM');
    assert.ok(((await slow.json()) as { pid: number }).pid > 0, 'a request under way ends');
    assert.equal(await one.exit, 0);
  });

  it('brings a killed control plane and killed workers back', async () => {
    const one = await ready(await launch());
    const { pid } = await one.ask();
    process.kill(pid, 'SIGKILL');
    await eventually('another control plane', async () => assert.notEqual((await one.ask()).pid, pid));
    const workers = one.children().filter(({ part }) => part === 'worker-main');
    for (const worker of workers) process.kill(worker.pid, 'SIGKILL');
    await eventually('other workers', async () => {
      await one.ask();
      const now = one.children().filter(({ part }) => part === 'worker-main');
      assert.equal(now.length, 2);
      assert.ok(workers.every((old) => !now.some((worker) => worker.pid === old.pid)));
    });
  });

  it('leaves nothing behind when the supervisor is killed, and can start again', async () => {
    const one = await ready(await launch());
    const children = one.children();
    one.child.kill('SIGKILL');
    await one.exit;
    await eventually('all gone', () =>
      assert.deepEqual(
        children.filter(({ pid }) => isAlive(pid)),
        [],
      ),
    );
    await ready(await launch({ port: one.port, metrics: one.metrics, data: one.data }));
  });

  it('refuses a second one on the same folder or the same port, with a sentence', async () => {
    const one = await ready(await launch());
    const cases: [Instance, RegExp][] = [
      [await launch({ data: one.data }), /already works with the data folder .* \[data-folder-in-use\]/],
      [await launch({ port: one.port }), new RegExp(`127\\.0\\.0\\.1:${one.port} is in use.*GATEHOUSE_LISTEN__HTTP`)],
      [
        await launch({ metrics: one.metrics }),
        new RegExp(`127\\.0\\.0\\.1:${one.metrics} is in use.*GATEHOUSE_LISTEN__METRICS`),
      ],
    ];
    for (const [other, sentence] of cases) {
      assert.equal(await other.exit, 1);
      assert.match(other.said(), sentence);
      assert.doesNotMatch(other.said(), /^\s+at /m);
    }
    await one.ask();
  });

  it('ends with the sentence of a control plane that cannot run', async () => {
    const one = await launch({ env: { FAKE_FATAL: '1' } });
    assert.equal(await one.exit, 1);
    assert.match(one.said(), /gatehouse: The database is newer than this program\. \[database-newer\]/);
  });

  it('runs everything in one process when asked to', async () => {
    const one = await ready(await launch({ workers: 0 }));
    assert.equal((await one.ask()).pid, one.child.pid);
    assert.match(await (await fetch(`http://127.0.0.1:${one.metrics}/metrics`)).text(), /authentik_outpost_connection/);
    one.child.kill('SIGINT');
    assert.equal(await one.exit, 0);
  });

  it('sends no setting to its children by way of their environment', async () => {
    const one = await ready(await launch({ env: { AUTHENTIK_SECRET_KEY: 'very-secret', GATEHOUSE_X: 'very-secret' } }));
    for (const { pid } of one.children()) {
      assert.ok(!readFileSync(`/proc/${pid}/environ`, 'utf8').includes('very-secret'));
    }
  });
});
