import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ACCOUNT_ATTEMPTS, ADDRESS_ATTEMPTS, AttemptLimiter, WINDOW_MS } from './limiter.ts';

function clock() {
  let now = 1_000_000;
  return { now: () => now, pass: (ms: number) => (now += ms) };
}

describe('AttemptLimiter', () => {
  it('stops an account after its attempts, whatever the address, and lets it go on after the window', () => {
    const time = clock();
    const limiter = new AttemptLimiter(time.now);
    for (let i = 0; i < ACCOUNT_ATTEMPTS; i++) assert.equal(limiter.take('eve', `10.0.0.${i}`), 0);
    assert.equal(limiter.take('eve', '10.0.1.1'), WINDOW_MS / 1000);
    assert.equal(limiter.take('adam', '10.0.1.1'), 0);
    time.pass(WINDOW_MS - 1500);
    assert.equal(limiter.take('eve', '10.0.1.1'), 2);
    time.pass(1500);
    assert.equal(limiter.take('eve', '10.0.1.1'), 0);
  });

  it('stops an address after its attempts, whatever the account; an IPv6 network counts as one address', () => {
    const limiter = new AttemptLimiter(clock().now);
    for (let i = 0; i < ADDRESS_ATTEMPTS; i++)
      assert.equal(limiter.take(`user${i}`, `2001:db8:1:2::${i.toString(16)}`), 0);
    assert.ok(limiter.take('another', '2001:db8:1:2:ffff::1') > 0);
    assert.ok(limiter.take('another', '2001:0db8:0001:0002::9') > 0);
    assert.equal(limiter.take('another', '2001:db8:1:3::1'), 0);
  });

  it('forgets the account on success, and gives the address back only that one attempt', () => {
    const limiter = new AttemptLimiter(clock().now);
    for (let i = 0; i < ACCOUNT_ATTEMPTS - 1; i++) limiter.take('eve', '10.0.0.1');
    limiter.take('eve', '10.0.0.1');
    limiter.succeeded('eve', '10.0.0.1');
    assert.equal(limiter.take('eve', '10.0.0.1'), 0);
    for (let i = 0; i < ADDRESS_ATTEMPTS - ACCOUNT_ATTEMPTS; i++) assert.equal(limiter.take(`u${i}`, '10.0.0.1'), 0);
    assert.ok(limiter.take('last', '10.0.0.1') > 0);
  });

  it('stays bounded however many names are tried', () => {
    const limiter = new AttemptLimiter(clock().now);
    for (let i = 0; i < 60_000; i++) limiter.take(`name${i}`, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    assert.ok(limiter.size <= 50_000);
  });
});
