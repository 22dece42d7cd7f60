import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readBatch } from './live-events.ts';

describe('readBatch', () => {
  const read = (event: object) =>
    readBatch({ epoch: 'a', snapshot: false, n: 1, events: [{ n: 1, until: 9, ...event }] })?.events[0];

  it('knows the end of a login at one application, whole only', () => {
    const ended = { kind: 'application-ended', sid: 's', provider: 7 };
    assert.deepEqual(read(ended), { n: 1, until: 9, ...ended });
    for (const half of [{ sid: 's' }, { provider: 7 }, { sid: 7, provider: 's' }]) {
      assert.equal(read({ kind: 'application-ended', ...half })?.kind, 'everybody');
    }
  });

  it('knows the end of a credential, whole only', () => {
    const ended = { kind: 'credential-ended', credential: 'c' };
    assert.deepEqual(read(ended), { n: 1, until: 9, ...ended });
    assert.equal(read({ kind: 'credential-ended', credential: 7 })?.kind, 'everybody');
  });
});
