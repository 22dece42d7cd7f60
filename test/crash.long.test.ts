import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { assertNothingLost, crashScene, killAndAwaitReturn, share, trafficOf } from './harness/crash.ts';
import type { CrashScene } from './harness/crash.ts';
import type { Part } from './harness/processes.ts';
import { sleep } from './harness/wait.ts';

const ROUNDS = 12;
const CALM_MS = 6_000;

describe('kill -9 under traffic, again and again', () => {
  let crash: CrashScene;

  before(async () => {
    crash = await crashScene();
  });
  after(() => crash?.scene.stop());
  afterEach((t) => crash?.scene.explain(t));

  for (const part of ['control-plane', 'worker'] as const satisfies Part[]) {
    it(
      `of the ${part}: under 0.1 % of requests fail, nothing gets through wrongly`,
      { timeout: 600_000 },
      async (t) => {
        const traffic = trafficOf(crash);
        const times: number[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          await sleep(CALM_MS);
          times.push(await killAndAwaitReturn(crash, part));
        }
        await sleep(CALM_MS);
        const result = await traffic.stop();
        t.diagnostic(`back after ${times.join(', ')} ms; ${share(result)}`);
        assert.equal(result.wronglyAllowed, 0);
        assert.ok(result.failed * 1000 < result.total, share(result));
        await assertNothingLost(crash);
      },
    );
  }
});
