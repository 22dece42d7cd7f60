import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WINDOW_MS } from '../../rules/failure-limit.ts';
import { ACCOUNT_ATTEMPTS, ADDRESS_ATTEMPTS, AttemptLimiter, BROWSER_ATTEMPTS } from './limiter.ts';

function limiter() {
  let ms = 1_000_000;
  const attempts = new AttemptLimiter(() => ms);
  /** @returns the seconds to wait; 0: it was looked at */
  const attempt = async (account: string, address: string, right: boolean, browser?: string) => {
    const one = { account, address, browser };
    const refusal = await attempts.enter(one);
    if (refusal === undefined) attempts.leave(one, right);
    return refusal?.seconds ?? 0;
  };
  const guess = (account: string, address: string) => attempt(account, address, false);
  return { attempts, attempt, guess, pass: (by: number) => (ms += by) };
}

describe('AttemptLimiter', () => {
  it('stops an account after its failures, whatever the address, and lets it go on after the window', async () => {
    const { attempt, guess, pass } = limiter();
    for (let i = 0; i < ACCOUNT_ATTEMPTS; i++) assert.equal(await guess('eve', `10.0.0.${i}`), 0);
    assert.equal(await attempt('eve', '10.0.1.1', true), WINDOW_MS / 1000, 'also with the right password');
    assert.equal(await guess('adam', '10.0.1.1'), 0);
    pass(WINDOW_MS);
    assert.equal(await guess('eve', '10.0.1.1'), 0);
  });

  it('stops an address after its failures, whatever the account; an IPv6 network counts as one address', async () => {
    const { guess } = limiter();
    for (let i = 0; i < ADDRESS_ATTEMPTS; i++) {
      assert.equal(await guess(`user${i}`, `2001:db8:1:2::${i.toString(16)}`), 0);
    }
    assert.ok((await guess('another', '2001:db8:1:2:ffff::1')) > 0);
    assert.ok((await guess('another', '2001:0db8:0001:0002::9')) > 0);
    assert.equal(await guess('another', '2001:db8:1:3::1'), 0);
  });

  it('forgets the failures of the account on success, not those of the address', async () => {
    const { attempt, guess } = limiter();
    for (let round = 0; round < ADDRESS_ATTEMPTS / 6; round++) {
      for (let i = 0; i < 6; i++) assert.equal(await guess('eve', '10.0.0.1'), 0);
      if (round < ADDRESS_ATTEMPTS / 6 - 1) assert.equal(await attempt('eve', '10.0.0.1', true), 0);
    }
    assert.ok((await guess('last', '10.0.0.1')) > 0);
    assert.equal(await guess('eve', '10.0.0.2'), 0);
  });

  it('counts a known browser for itself, in both directions', async () => {
    const { attempt, guess } = limiter();
    for (let i = 0; i < ADDRESS_ATTEMPTS; i++) await guess(i < ACCOUNT_ATTEMPTS ? 'eve' : `u${i}`, '10.0.0.1');
    assert.ok((await guess('eve', '10.0.0.2')) > 0, 'the account waits');
    assert.ok((await guess('new', '10.0.0.1')) > 0, 'the address waits');
    assert.equal(await attempt('eve', '10.0.0.1', true, 'browser eve'), 0);
    assert.ok((await guess('eve', '10.0.0.2')) > 0, 'strangers wait on');
    for (let i = 0; i < BROWSER_ATTEMPTS; i++) {
      assert.equal(await attempt('adam', `10.0.1.${i}`, false, 'browser adam'), 0);
    }
    assert.ok((await attempt('adam', '10.0.2.1', true, 'browser adam')) > 0);
    assert.equal(await attempt('adam', '10.0.2.1', true, 'other adam'), 0);
    assert.equal(await attempt('adam', '10.0.1.1', true), 0);
    assert.ok((await attempt('adam', '10.0.2.1', true, 'browser adam')) > 0);
  });

  it('bounds the checks at work, whoever asks for them, and those that wait', async () => {
    const { attempts } = limiter();
    let atWork = 0;
    let most = 0;
    const answers = await Promise.all(
      Array.from({ length: 150 }, async (_, i) => {
        const one = { account: `u${i}`, address: `10.0.0.${i}`, browser: undefined };
        const refusal = await attempts.enter(one);
        if (refusal !== undefined) return refusal.reason;
        most = Math.max(most, ++atWork);
        await new Promise((resolve) => setImmediate(resolve));
        atWork--;
        attempts.leave(one, i % 2 === 0);
        return 'checked';
      }),
    );
    assert.equal(most, 24);
    assert.equal(answers.filter((answer) => answer === 'checked').length, 24 + 100);
    assert.equal(answers.filter((answer) => answer === 'busy').length, 26);
  });
});
