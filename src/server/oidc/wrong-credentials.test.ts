import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WINDOW_MS } from '../../rules/failure-limit.ts';
import { ACCOUNT_ATTEMPTS, ADDRESS_ATTEMPTS, PAIR_ATTEMPTS, WrongCredentials } from './wrong-credentials.ts';

const HOME = '203.0.113.9';

describe('the limit of wrong credentials', () => {
  it('stops guessing for an account from one address, and lets others go on', () => {
    const wrong = new WrongCredentials();
    for (let i = 0; i < PAIR_ATTEMPTS; i++) assert.equal(wrong.attempt('alice', HOME, `guess ${i}`).wait, 0);
    assert.ok(wrong.attempt('alice', HOME, 'one more').wait > 0);
    assert.equal(wrong.attempt('bob', HOME, 'another account').wait, 0);
    assert.equal(wrong.attempt('alice', '198.51.100.7', 'another address').wait, 0);
  });

  it('counts a credential once, however often it is sent', () => {
    const wrong = new WrongCredentials();
    assert.equal(wrong.attempt('alice', HOME, 'outdated').repeated, false);
    for (let i = 0; i < 1000; i++) {
      const { wait, repeated } = wrong.attempt('alice', HOME, 'outdated');
      assert.deepEqual([wait, repeated], [0, true]);
    }
    assert.equal(wrong.attempt('alice', HOME, 'right').wait, 0);
  });

  it('counts what was right as no attempt, also when many come at once', () => {
    const wrong = new WrongCredentials();
    for (let round = 0; round < 3; round++) {
      const many = Array.from({ length: 500 }, () => wrong.attempt('alice', HOME, 'right'));
      assert.ok(many.every(({ wait }) => wait === 0));
      for (const { right } of many) right();
    }
    for (let i = 0; i < PAIR_ATTEMPTS; i++) assert.equal(wrong.attempt('alice', HOME, `guess ${i}`).wait, 0);
    assert.ok(wrong.attempt('alice', HOME, 'one more').wait > 0);
  });

  it('limits an address over all accounts, an IPv6 network as one', () => {
    const wrong = new WrongCredentials();
    for (let i = 0; i < ADDRESS_ATTEMPTS; i++) assert.equal(wrong.attempt(`u${i}`, `2001:db8::${i}`, 'x').wait, 0);
    assert.ok(wrong.attempt('alice', '2001:db8::ffff', 'x').wait > 0);
    assert.equal(wrong.attempt('alice', '2001:db8:0:1::1', 'x').wait, 0);
  });

  it('limits an account over all addresses, and where none is known', () => {
    const wrong = new WrongCredentials();
    for (let i = 0; i < ACCOUNT_ATTEMPTS; i++) assert.equal(wrong.attempt('alice', '', `guess ${i}`).wait, 0);
    assert.ok(wrong.attempt('alice', '', 'one more').wait > 0);
    assert.ok(wrong.attempt('alice', HOME, 'one more').wait > 0);
    assert.equal(wrong.attempt('bob', '', 'one more').wait, 0);
  });

  it('forgets nothing over attempts that have to wait', () => {
    const wrong = new WrongCredentials();
    for (let i = 0; i < PAIR_ATTEMPTS; i++) wrong.attempt('alice', '198.51.100.7', `guess ${i}`);
    for (let i = 0; i < ADDRESS_ATTEMPTS; i++) wrong.attempt('', HOME, `guess ${i}`);
    for (let i = 0; i < 20_000; i++) assert.ok(wrong.attempt(`random ${i}`, HOME, 'x').wait > 0);
    assert.ok(wrong.attempt('alice', '198.51.100.7', 'one more').wait > 0);
    const { wait, right } = wrong.attempt('bob', HOME, 'right');
    right();
    assert.ok(wait > 0 && wrong.attempt('bob', HOME, 'right').wait > 0);
  });

  it('begins anew after a window, and says when', () => {
    let now = 1_000_000;
    const wrong = new WrongCredentials(() => now);
    for (let i = 0; i < PAIR_ATTEMPTS; i++) wrong.attempt('alice', HOME, `guess ${i}`);
    now += WINDOW_MS - 1500;
    assert.equal(wrong.attempt('alice', HOME, 'one more').wait, 2);
    now += 1500;
    assert.equal(wrong.attempt('alice', HOME, 'one more').wait, 0);
  });
});
