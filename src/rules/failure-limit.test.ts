import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FailureLimit, networkOf, WINDOW_MS } from './failure-limit.ts';
import type { Limit, Refusal } from './failure-limit.ts';

const told = (refusal: Refusal | undefined) => (refusal?.reason === 'busy' ? 'busy' : (refusal?.seconds ?? 0));

const EVE: Limit[] = [{ key: 'eve', most: 3 }];

function limits(options: { keys?: number; waiting?: number } = {}) {
  let ms = 1_000_000;
  const limit = new FailureLimit({ now: () => ms, keys: options.keys ?? 1000, waiting: options.waiting ?? 100 });
  /** One attempt after the other. @returns 0 when it began; else the seconds to wait, or why else it was refused */
  const attempt = async (which: readonly Limit[], failed: boolean) => {
    const refusal = await limit.enter(which);
    if (refusal === undefined) limit.leave(which, failed);
    return told(refusal);
  };
  /** So many at once, each of which lasts a turn. @returns the same of each, and how many were under way at most */
  const burst = async (count: number, which: readonly Limit[], failed: boolean) => {
    let underWay = 0;
    let most = 0;
    const said = await Promise.all(
      Array.from({ length: count }, async () => {
        const refusal = await limit.enter(which);
        if (refusal !== undefined) return told(refusal);
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
        limit.leave(which, failed);
        return 0;
      }),
    );
    return { began: said.filter((one) => one === 0).length, said, most };
  };
  return { limit, attempt, burst, pass: (by: number) => (ms += by) };
}

describe('FailureLimit', () => {
  it('stops a key after its failures until the window is over, and says how long that is', async () => {
    const { attempt, pass } = limits();
    for (let i = 0; i < 3; i++) assert.equal(await attempt(EVE, true), 0);
    assert.equal(await attempt(EVE, true), WINDOW_MS / 1000);
    assert.equal(await attempt([{ key: 'adam', most: 3 }], true), 0);
    pass(WINDOW_MS - 1500);
    assert.equal(await attempt(EVE, true), 2);
    pass(1500);
    for (let i = 0; i < 3; i++) assert.equal(await attempt(EVE, true), 0);
    assert.equal(await attempt(EVE, true), WINDOW_MS / 1000);
  });

  it('stops an attempt where one of its keys is full, and counts it for none', async () => {
    const { attempt } = limits();
    const both = [...EVE, { key: 'home', most: 4 }];
    for (let i = 0; i < 3; i++) await attempt(EVE, true);
    for (let i = 0; i < 10; i++) assert.notEqual(await attempt(both, true), 0);
    for (let i = 0; i < 4; i++) assert.equal(await attempt([{ key: 'home', most: 4 }], true), 0);
  });

  it('counts no success, and begins afresh when told', async () => {
    const { limit, attempt } = limits();
    for (let i = 0; i < 100; i++) assert.equal(await attempt(EVE, false), 0);
    for (let i = 0; i < 3; i++) assert.equal(await attempt(EVE, true), 0);
    limit.forget('eve');
    for (let i = 0; i < 3; i++) assert.equal(await attempt(EVE, true), 0);
    assert.notEqual(await attempt(EVE, true), 0);
  });

  it('lets a burst of successes through, never more at once than might still fail', async () => {
    const { attempt, burst } = limits();
    await attempt(EVE, true);
    const { began, most } = await burst(30, EVE, false);
    assert.deepEqual({ began, most }, { began: 30, most: 2 });
  });

  it('lets of a burst of failures as many begin as may fail; the rest is refused', async () => {
    const { burst } = limits();
    const { began, said } = await burst(30, EVE, true);
    assert.equal(began, 3);
    assert.deepEqual(new Set(said), new Set([0, WINDOW_MS / 1000]));
  });

  it('lets no more than the limit fail where successes come in between', async () => {
    const { limit } = limits();
    let underWay = 0;
    let failed = 0;
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        if ((await limit.enter(EVE)) !== undefined) return;
        underWay++;
        assert.ok(underWay + failed <= 3, `${underWay} under way, ${failed} failed`);
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
        if (i % 2 === 1) failed++;
        limit.leave(EVE, i % 2 === 1);
      }),
    );
    assert.equal(failed, 3);
  });

  it('bounds what is under way at once, whatever becomes of it', async () => {
    const { burst } = limits();
    const work = [{ key: 'work', most: 4, atOnce: true }];
    for (const failed of [true, false]) {
      const { began, most } = await burst(50, work, failed);
      assert.deepEqual({ began, most }, { began: 50, most: 4 });
    }
  });

  it('lets no more wait than told, and asks the others to come again; who need not wait goes on', async () => {
    const { limit, attempt, burst } = limits({ waiting: 5 });
    const { began, said } = await burst(30, EVE, false);
    assert.equal(began, 3 + 5);
    assert.deepEqual(
      said.filter((one) => one !== 0),
      Array(22).fill('busy'),
    );
    assert.equal((await burst(8, EVE, false)).began, 8, 'there is room again');

    for (let i = 0; i < 3; i++) await limit.enter(EVE);
    const waiting = Array.from({ length: 5 }, () => attempt(EVE, false));
    assert.equal(await attempt(EVE, false), 'busy');
    assert.equal(await attempt([{ key: 'adam', most: 1 }], false), 0);
    for (let i = 0; i < 3; i++) limit.leave(EVE, false);
    assert.deepEqual(await Promise.all(waiting), [0, 0, 0, 0, 0]);
  });

  it('remembers about as many keys as told, and of those under way each', async () => {
    const { limit, attempt } = limits({ keys: 100 });
    for (let i = 0; i < 3; i++) await limit.enter(EVE);
    for (let i = 0; i < 3; i++) await attempt([{ key: 'adam', most: 3 }], true);
    for (let i = 0; i < 200; i++) await attempt([{ key: `name${i}`, most: 3 }], true);
    assert.equal(await attempt([{ key: 'adam', most: 3 }], true), 0, 'forgotten');
    for (let i = 0; i < 3; i++) limit.leave(EVE, true);
    assert.notEqual(await attempt(EVE, true), 0);
  });

  it('takes no end without a beginning', () => {
    assert.throws(() => limits().limit.leave(EVE, true), TypeError);
  });
});

describe('networkOf', () => {
  it('takes an IPv6 network for one address, in every spelling', () => {
    for (const address of ['2001:db8:1:2::9', '2001:0db8:0001:0002:ffff:0:0:1', '2001:DB8:1:2::']) {
      assert.equal(networkOf(address), '2001:db8:1:2');
    }
    assert.equal(networkOf('2001:db8:1:3::1'), '2001:db8:1:3');
    assert.equal(networkOf('::1'), '0:0:0:0');
    assert.equal(networkOf('192.0.2.1'), '192.0.2.1');
    assert.equal(networkOf('::ffff:192.0.2.1'), '::ffff:192.0.2.1');
  });
});
