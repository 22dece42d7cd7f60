import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { settleMemory } from './settled-memory.ts';

const EVERY_MS = 20;
const PATIENCE_MS = 60_000;

describe('memory of a process that has started', () => {
  it('is given back once the process is idle', async () => {
    let collections = 0;
    const observer = new PerformanceObserver((list) => (collections += list.getEntries().filter(ofEverything).length));
    observer.observe({ entryTypes: ['gc'] });
    settleMemory({ everyMs: EVERY_MS, times: Infinity });
    for (let ms = 0; ms < PATIENCE_MS && collections === 0; ms += 10) await sleep(10);
    observer.disconnect();
    assert.ok(collections > 0);
  });

  it('is given back once', async () => {
    let collections = 0;
    settleMemory({ everyMs: EVERY_MS, times: Infinity }, () => (collections += 1));
    for (let ms = 0; ms < PATIENCE_MS && collections === 0; ms += 10) await sleep(10);
    await sleep(5 * EVERY_MS);
    assert.equal(collections, 1);
  });

  it('is left alone while somebody waits for answers, and afterwards', async () => {
    let collections = 0;
    settleMemory({ everyMs: EVERY_MS, times: 3 }, () => (collections += 1));
    for (let turns = 0; turns < 6; turns++) {
      const until = performance.now() + EVERY_MS + 5;
      while (performance.now() < until);
      await turn();
    }
    await sleep(5 * EVERY_MS);
    assert.equal(collections, 0);
  });
});

/** Tests this small cause none by themselves. */
const ofEverything = (entry: object) =>
  'detail' in entry && (entry.detail as { kind?: number }).kind === constants.NODE_PERFORMANCE_GC_MAJOR;
