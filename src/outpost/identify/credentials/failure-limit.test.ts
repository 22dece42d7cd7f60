import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ACCOUNT_ATTEMPTS, ADDRESS_ATTEMPTS, FailureLimit, PAIR_ATTEMPTS, WINDOW_MS } from './failure-limit.ts';

function limits() {
  let ms = 1_000_000;
  return { limit: new FailureLimit(() => ms), pass: (by: number) => (ms += by) };
}

describe('FailureLimit', () => {
  it('stops an address for an account, in every spelling, and lets it go on after the window', () => {
    const { limit, pass } = limits();
    for (let i = 0; i < PAIR_ATTEMPTS; i++) assert.ok(limit.take(i % 2 === 0 ? 'backup' : 'BackUp', '10.0.0.1'));
    assert.ok(!limit.take('backup', '10.0.0.1'));
    assert.ok(limit.take('backup', '10.0.0.2'), 'from another address');
    assert.ok(limit.take('other', '10.0.0.1'), 'another account');
    pass(WINDOW_MS - 1);
    assert.ok(!limit.take('backup', '10.0.0.1'));
    pass(1);
    assert.ok(limit.take('backup', '10.0.0.1'));
  });

  it('stops an address whatever the account; an IPv6 network is one address', () => {
    const { limit } = limits();
    for (let i = 0; i < ADDRESS_ATTEMPTS; i++) {
      const n = i.toString(16);
      assert.ok(limit.take(`u${i}`, i % 2 === 0 ? `2001:db8:1:2::${n}` : `2001:db8:1:2:${n}:0:0:1`));
    }
    assert.ok(!limit.take('another', '2001:db8:1:2:ffff::1'));
    assert.ok(!limit.take('', '2001:db8:1:2::9'), 'a token');
    assert.ok(limit.take('another', '2001:db8:1:3::1'));
    assert.ok(limit.take('another', '::1'));
  });

  it('stops an account that is tried from everywhere', () => {
    const { limit } = limits();
    for (let i = 0; i < ACCOUNT_ATTEMPTS; i++) assert.ok(limit.take('backup', `10.0.${i >> 8}.${i & 255}`));
    assert.ok(!limit.take('backup', '10.9.9.9'));
  });

  it('gives back what was no failure, and counts nothing it refused', () => {
    const { limit } = limits();
    for (let i = 0; i < 1000; i++) {
      assert.ok(limit.take('backup', '10.0.0.1'));
      limit.giveBack('backup', '10.0.0.1');
    }
    for (let i = 0; i < PAIR_ATTEMPTS; i++) limit.take('backup', '10.0.0.1');
    for (let i = 0; i < 1000; i++) assert.ok(!limit.take('backup', '10.0.0.1'));
    assert.ok(limit.take('other', '10.0.0.1'));
  });

  it('stays bounded however many names are tried', () => {
    const { limit } = limits();
    for (let i = 0; i < 40_000; i++) limit.take(`name${i}`, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    assert.ok(limit.size <= 30_000);
  });
});
