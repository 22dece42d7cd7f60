/** Memory of the whole default stack, idle after one sign-in. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { family, pss } from './lib/memory.ts';
import type { Section } from './lib/row.ts';

const BUDGET_MIB = 300;
const SETTLE_MS = 10_000;

export const memory: Section = async (product) => {
  await product.start(undefined, '0,1');
  await product.provision.user('alice');
  await sleep(SETTLE_MS);
  const parts = family(product.pid).map((pid) => ({ name: name(pid), mib: pss(pid) }));
  const total = parts.reduce((sum, p) => sum + p.mib, 0);
  return [
    {
      what: 'memory of the whole default stack, idle (PSS)',
      budget: `<= ${BUDGET_MIB} MiB`,
      measured: `${Math.round(total)} MiB`,
      spread: parts.map((p) => `${p.name} ${Math.round(p.mib)}`).join(', '),
      kept: total <= BUDGET_MIB,
    },
  ];
};

/** The file a process runs, which tells its part. */
function name(pid: number): string {
  const file = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    .split('\0')
    .find((word) => word.endsWith('.js'));
  return (
    file
      ?.split('/')
      .at(-1)
      ?.replace(/(-main)?\.js$/, '') ?? 'other'
  );
}
