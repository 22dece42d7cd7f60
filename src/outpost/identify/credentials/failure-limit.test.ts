import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WINDOW_MS } from '../../../rules/failure-limit.ts';
import { ACCOUNT_ATTEMPTS, ADDRESS_ATTEMPTS, CredentialsLimit, PAIR_ATTEMPTS } from './failure-limit.ts';

function limits() {
  let ms = 1_000_000;
  let secrets = 0;
  const limit = new CredentialsLimit(() => ms);
  const attempt = (account: string, address: string, secret = `secret ${++secrets}`) => ({ account, address, secret });
  /** One attempt after the other, with another secret each unless told. @returns whether it was let through */
  const guess = async (...which: Parameters<typeof attempt>) => {
    const one = attempt(...which);
    const may = await limit.enter(one);
    if (may) limit.leave(one, true);
    return may;
  };
  return { limit, attempt, guess, pass: (by: number) => (ms += by) };
}

describe('CredentialsLimit', () => {
  it('stops an address for an account, in every spelling, and lets it go on after the window', async () => {
    const { guess, pass } = limits();
    for (let i = 0; i < PAIR_ATTEMPTS; i++) assert.ok(await guess(i % 2 === 0 ? 'backup' : 'BackUp', '10.0.0.1'));
    assert.ok(!(await guess('backup', '10.0.0.1')));
    assert.ok(await guess('backup', '10.0.0.2'), 'from another address');
    assert.ok(await guess('other', '10.0.0.1'), 'another account');
    pass(WINDOW_MS - 1);
    assert.ok(!(await guess('backup', '10.0.0.1')));
    pass(1);
    assert.ok(await guess('backup', '10.0.0.1'));
  });

  it('stops an address whatever the account; an IPv6 network is one address', async () => {
    const { guess } = limits();
    for (let i = 0; i < ADDRESS_ATTEMPTS; i++) {
      const n = i.toString(16);
      assert.ok(await guess(`u${i}`, i % 2 === 0 ? `2001:db8:1:2::${n}` : `2001:db8:1:2:${n}:0:0:1`));
    }
    assert.ok(!(await guess('another', '2001:db8:1:2:ffff::1')));
    assert.ok(!(await guess('', '2001:db8:1:2::9')), 'a token');
    assert.ok(await guess('another', '2001:db8:1:3::1'));
    assert.ok(await guess('another', '::1'));
  });

  it('stops an account that is tried from everywhere', async () => {
    const { guess } = limits();
    for (let i = 0; i < ACCOUNT_ATTEMPTS; i++) assert.ok(await guess('backup', `10.0.${i >> 8}.${i & 255}`));
    assert.ok(!(await guess('backup', '10.9.9.9')));
  });

  it('counts no right credentials, and nothing it refused', async () => {
    const { limit, attempt, guess } = limits();
    for (let i = 0; i < 1000; i++) {
      const right = attempt('backup', '10.0.0.1');
      assert.ok(await limit.enter(right));
      limit.leave(right, false);
    }
    for (let i = 0; i < PAIR_ATTEMPTS; i++) await guess('backup', '10.0.0.1');
    for (let i = 0; i < 1000; i++) assert.ok(!(await guess('backup', '10.0.0.1')));
    assert.ok(await guess('other', '10.0.0.1'));
  });

  it('counts the same wrong secret once, wherever it is tried', async () => {
    const { guess, pass } = limits();
    for (let i = 0; i < 100; i++) assert.ok(await guess('backup', '10.0.0.1', 'outdated'));
    for (let i = 1; i < PAIR_ATTEMPTS; i++) assert.ok(await guess('backup', '10.0.0.1'));
    assert.ok(!(await guess('backup', '10.0.0.1')));
    assert.ok(await guess('backup', '10.0.0.1', 'outdated'), 'it may have been set right');
    pass(WINDOW_MS);
    assert.ok(await guess('backup', '10.0.0.1', 'outdated'));
  });

  it('lets many with the same secret begin at once', async () => {
    const { limit, attempt } = limits();
    const same = Array.from({ length: 50 }, () => attempt('backup', '10.0.0.1', 'right'));
    assert.deepEqual(new Set(await Promise.all(same.map((one) => limit.enter(one)))), new Set([true]));
    for (const one of same) limit.leave(one, false);
  });

  it('lets as many begin as may fail; the rest wait, and go on or are refused by what became of those', async () => {
    for (const failed of [false, true]) {
      const { limit, attempt } = limits();
      const all = Array.from({ length: 3 * PAIR_ATTEMPTS }, () => attempt('backup', '10.0.0.1'));
      let underWay = 0;
      const answers = await Promise.all(
        all.map(async (one) => {
          const may = await limit.enter(one);
          if (!may) return false;
          underWay++;
          assert.ok(underWay <= PAIR_ATTEMPTS, `${underWay} at once`);
          await new Promise((resolve) => setImmediate(resolve));
          underWay--;
          limit.leave(one, failed);
          return true;
        }),
      );
      assert.equal(answers.filter(Boolean).length, failed ? PAIR_ATTEMPTS : all.length);
    }
  });

  it('tells all with the same secret when it has to wait and is refused, and lets them try again', async () => {
    const { limit, attempt, guess, pass } = limits();
    const guesses = Array.from({ length: PAIR_ATTEMPTS }, () => attempt('backup', '10.0.0.1'));
    for (const one of guesses) assert.ok(await limit.enter(one));
    const same = Array.from({ length: 3 }, () => limit.enter(attempt('backup', '10.0.0.1', 'same')));
    for (const one of guesses) limit.leave(one, true);
    assert.deepEqual(await Promise.all(same), [false, false, false]);
    pass(WINDOW_MS);
    assert.ok(await guess('backup', '10.0.0.1', 'same'));
  });
});
