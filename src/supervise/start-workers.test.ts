import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import type { Running } from './keeper.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { processLog } from '../outpost/process-log.ts';
import { levelFor } from './log-level.ts';
import { WORKER_FLAGS, workersOf } from './start-workers.ts';

describe('workers that are started ahead', () => {
  const logging = processLog('error', 'test', { write: () => undefined });
  const running: Running<ToWorker, FromWorker>[] = [];
  after(() => running.forEach((worker) => worker.kill()));

  it('are taken first, with flags of their own; one that ended meanwhile is not', async () => {
    const { count, reusePort, startWorker } = workersOf(2, true);
    assert.deepEqual([count, reusePort], [2, true]);
    const first = startWorker(logging);
    running.push(first);
    const ended = new Promise<void>((resolve) => first.channel.onClose(resolve));
    first.kill();
    await ended;
    const [second, third] = [startWorker(logging), startWorker(logging)];
    running.push(second, third);
    assert.equal(new Set([first.pid, second.pid, third.pid]).size, 3);
    for (const { pid } of [second, third]) assert.ok(pid !== undefined && process.kill(pid, 0));
    const line = readFileSync(`/proc/${second.pid}/cmdline`, 'utf8').split('\0');
    for (const flag of WORKER_FLAGS) assert.ok(line.includes(flag), flag);
  });
});

describe('the level an outpost logs with', () => {
  const config = { authentik_host: '', authentik_host_browser: '', authentik_host_insecure: false };
  for (const [told, level] of [
    ['debug', 'debug'],
    ['warning', 'warn'],
    ['', 'info'],
    ['loud', 'info'],
  ] as const) {
    it(`told ${JSON.stringify(told)}: ${level}`, () => {
      assert.equal(levelFor({ config: { ...config, log_level: told } }, 'info'), level);
    });
  }
});
