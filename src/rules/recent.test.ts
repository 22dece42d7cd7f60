import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Recent } from './recent.ts';

describe('what was found lately', () => {
  it('is remembered while it is asked for, and no more than so many', () => {
    const recent = new Recent<number>(8);
    recent.set('kept', -1);
    for (let i = 0; i < 1000; i++) {
      recent.set(`x${i}`, i);
      assert.equal(recent.get('kept'), -1);
      assert.equal(recent.get(`x${i}`), i);
    }
    const left = Array.from({ length: 1000 }, (_, i) => recent.get(`x${i}`)).filter((found) => found !== undefined);
    assert.ok(left.length <= 8, `${left.length}`);
    assert.equal(recent.get('never'), undefined);
  });
});
