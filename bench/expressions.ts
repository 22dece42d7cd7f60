/** Python for expressions: its start, a call, its memory. Nothing of it exists while nobody wrote an expression. */
import { pino } from 'pino';
import { openExpressions } from '../src/server/expressions/expressions.ts';
import type { ExpressionCall } from '../src/server/expressions/types.ts';
import { median } from './lib/load.ts';
import { pss } from './lib/memory.ts';
import type { Section } from './lib/row.ts';

const CALLS = 500;

/** Seed 001's expression. */
const CALL: ExpressionCall = {
  name: 'backend',
  expression: 'return {"ak_proxy": {"backend_override": f"http://foo.bar.baz/{request.user.username}"}}',
  context: {
    user: {
      pk: 1,
      uuid: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
      uid: 'f'.repeat(64),
      username: 'alice',
      name: 'Alice',
      email: 'alice@example.com',
      is_active: true,
      is_superuser: false,
      type: 'internal',
      path: 'users',
      attributes: {},
      group_attributes: {},
      groups: [],
      all_groups: [],
    },
  },
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

export const expressions: Section = async (_product, { rounds }) => {
  const first: number[] = [];
  const anew: number[] = [];
  const calls: number[] = [];
  const memory: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const python = openExpressions({ log: pino({ level: 'silent' }) });
    try {
      const call = async () => {
        const result = await python.evaluate(CALL);
        if (!result.ok) throw new Error(result.error.message);
      };
      first.push(await timed(call));
      for (let count = 0; count < CALLS; count += 1) calls.push(await timed(call));
      memory.push(pss(python.pid ?? 0));
      // it ends itself; the next call waits for another one
      await python.evaluate({ ...CALL, expression: 'import os\nos._exit(0)' });
      anew.push(await timed(call));
    } finally {
      await python.close();
    }
  }
  const sorted = calls.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  return [
    row('expressions: first call, with the start of Python', first, 5000, 'ms'),
    row('expressions: first call after Python had to be replaced', anew, 1500, 'ms'),
    { ...row('expressions: a call', calls, 20, 'ms'), spread: `p99 ${p99.toFixed(1)} ms` },
    row('expressions: memory of Python (PSS), not started without expressions', memory, 250, 'MiB'),
  ];
};

function row(what: string, values: readonly number[], budget: number, unit: string) {
  const digits = median([...values]) < 100 ? 1 : 0;
  return {
    what,
    budget: `<= ${String(budget)} ${unit}`,
    measured: `${median([...values]).toFixed(digits)} ${unit}`,
    spread: `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)} ${unit}`,
    kept: median([...values]) <= budget,
  };
}
