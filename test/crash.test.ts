import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { assertNothingLost, crashScene, killAndAwaitReturn, share, trafficOf } from './harness/crash.ts';
import type { CrashScene } from './harness/crash.ts';
import { childrenOf } from './harness/processes.ts';
import type { Traffic } from './harness/traffic.ts';
import { eventually, isAlive, sleep } from './harness/wait.ts';

/** As many requests are under way at a time: what a worker that is killed was just answering. */
const CONNECTIONS = 2;

/** Short: each part is killed once or twice under traffic. crash.long.test.ts goes on for minutes. */
describe('kill -9 under traffic', () => {
  let crash: CrashScene;

  before(async () => {
    crash = await crashScene();
  });
  after(() => crash?.scene.stop());
  afterEach((t) => crash?.scene.explain(t));

  it('of the control plane: signed-in requests do not notice, sessions and logins survive', async (t) => {
    const traffic = trafficOf(crash);
    await answered(traffic, 100);
    const ms = await killAndAwaitReturn(crash, 'control-plane');
    await answered(traffic, 100);
    const result = await traffic.stop();
    t.diagnostic(`control plane back after ${ms} ms; ${share(result)}`);
    assert.equal(result.wronglyAllowed, 0);
    assert.ok(result.failed * 1000 <= result.total, share(result));
    await assertNothingLost(crash);
  });

  it('of a worker: at most what it was just answering is lost, another takes its place', async (t) => {
    const traffic = trafficOf(crash, CONNECTIONS);
    await answered(traffic, 100);
    const ms = await killAndAwaitReturn(crash, 'worker');
    const again = await killAndAwaitReturn(crash, 'worker');
    await answered(traffic, 100);
    const result = await traffic.stop();
    t.diagnostic(`workers back after ${ms} and ${again} ms; ${share(result)}`);
    assert.equal(result.wronglyAllowed, 0);
    assert.ok(result.failed <= Math.max(CONNECTIONS, result.total / 1000), share(result));
    await assertNothingLost(crash);
  });

  it('of the control plane leaves signed-in people working while it is frozen, too', async () => {
    const { scene, visitor } = crash;
    const pid = scene.gatehouse.pids('control-plane')[0]!;
    process.kill(pid, 'SIGSTOP');
    try {
      const traffic = trafficOf(crash, 2);
      await sleep(1_500);
      await answered(traffic, 50);
      const result = await traffic.stop();
      assert.equal(result.failed, 0, share(result));
      const page = await visitor.open(`${scene.address('wiki')}/while-frozen`);
      assert.equal(page.status, 200);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await scene.gatehouse.ready();
    await assertNothingLost(crash);
  });

  it('of the supervisor: nothing keeps running or holds a port, and after a new start all are still signed in', async (t) => {
    const { scene } = crash;
    const family = childrenOf(scene.gatehouse.pid);
    assert.ok(family.length >= 3, 'control plane and two workers');
    scene.gatehouse.kill('supervisor');
    await scene.gatehouse.exit();
    const { ms } = await eventually('all children gone', 20_000, () => {
      const left = family.filter(isAlive);
      assert.deepEqual(left, []);
    });
    t.diagnostic(`children gone after ${ms} ms`);
    for (const port of [scene.gatehouse.port, scene.gatehouse.metricsPort]) await assertFree(port);
    scene.gatehouse.launch();
    await scene.gatehouse.ready();
    await scene.provision.served(scene.gatehouse.origin, scene.address('wiki'));
    await assertNothingLost(crash);
  });
});

/** Waits until so many more requests came to their end. */
async function answered(traffic: Traffic, count: number): Promise<void> {
  const before = traffic.result.total;
  await eventually('traffic', 60_000, () => assert.ok(traffic.result.total >= before + count));
}

function assertFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve()));
  });
}
