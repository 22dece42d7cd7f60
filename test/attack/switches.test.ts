/**
 * The test of the attack suite: each switch breaks one protection in a copy of the sources; the cases of its rule must
 * notice. Nothing of this exists in what is shipped.
 */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { cases } from './cases.ts';
import { startEnv } from './support/env.ts';
import { brokenCopy, removeCopies } from './support/mutate.ts';
import { switches } from './switches.ts';

describe('switches', { concurrency: 2 }, () => {
  after(removeCopies);

  for (const { rule, title, edits, noticed } of switches) {
    it(`${rule}: ${title}`, async (context) => {
      const copy = brokenCopy(edits);
      try {
        const env = await startEnv(copy.root, { workers: 1 });
        try {
          const chosen = cases.filter((c) => noticed.includes(c.id));
          assert.equal(chosen.length, noticed.length, `unknown case among ${noticed.join(', ')}`);
          const failures: string[] = [];
          for (const attack of chosen) {
            assert.equal(attack.rule, rule, `${attack.id} belongs to another rule`);
            const failure = await attack.run(env).then(
              () => undefined,
              (error: unknown) => String(error),
            );
            if (failure !== undefined) failures.push(`${attack.id}: ${failure.slice(0, 300)}`);
          }
          for (const failure of failures) context.diagnostic(failure);
          assert.ok(failures.length > 0, `${noticed.join(', ')} did not notice\n${env.gatehouse.tail(15)}`);
        } finally {
          await env.close();
        }
      } finally {
        copy.mend();
      }
    });
  }

  it('every rule has a switch', () => {
    const rules = new Set(cases.map((c) => c.rule));
    const broken = new Set<string>(switches.map((s) => s.rule));
    assert.deepEqual(
      [...rules].filter((rule) => !broken.has(rule)),
      [],
    );
  });
});
