/**
 * `npm run bench`: the budgets of docs/performance.md, measured side by side in one run on one core, the load on the
 * other. `--quick` takes short rounds, `--only NAME` one section, `--write` puts the table into docs/performance.md.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { LOAD_CORE } from './lib/load.ts';
import { ROOT } from './lib/processes.ts';
import { Product } from './lib/product.ts';
import type { Row } from './lib/row.ts';
import { credentials } from './credentials.ts';
import { expressions } from './expressions.ts';
import { forwardAuth } from './forward-auth.ts';
import { growth } from './growth.ts';
import { memory } from './memory.ts';
import { outposts } from './outposts.ts';
import { proxyMode } from './proxy-mode.ts';
import { standalone } from './standalone.ts';
import { startTimes } from './start.ts';
import { streams } from './streams.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const effort = values.quick ? { rounds: 3, seconds: 2 } : { rounds: 7, seconds: 5 };

if (cpus().length < 2) throw new Error('the benchmark needs two cores: one for what is measured, one for the load');
execFileSync('taskset', ['-cp', LOAD_CORE, String(process.pid)], { stdio: 'ignore' });

const rows: Row[] = [];
const sections = {
  'forward-auth': forwardAuth,
  'proxy-mode': proxyMode,
  credentials,
  expressions,
  streams,
  growth,
  outposts,
  start: startTimes,
  memory,
  standalone,
};
for (const [name, section] of Object.entries(sections)) {
  if (values.only !== undefined && values.only !== name) continue;
  const product = await Product.create();
  try {
    for (const row of await section(product, effort)) {
      rows.push(row);
      console.log(`${row.what}: ${row.measured} (budget ${row.budget}) ${row.kept ? '' : 'OVER BUDGET'}`);
    }
  } finally {
    await product.stop();
    product.remove();
  }
}

const table = [
  '| what | budget | measured | spread of the rounds | kept |',
  '|---|---|---|---|---|',
  ...rows.map((r) => `| ${r.what} | ${r.budget} | ${r.measured} | ${r.spread} | ${r.kept ? 'yes' : '**no**'} |`),
].join('\n');
console.log(`\n${table}`);

if (values.write && values.only === undefined) {
  const file = join(ROOT, 'docs/performance.md');
  const text = readFileSync(file, 'utf8');
  const [before, rest] = text.split('<!-- table -->\n');
  const after = rest?.split('<!-- end of table -->')[1];
  if (before === undefined || after === undefined) throw new Error('docs/performance.md has lost its table marks');
  const stamp = `Measured on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.versions.node}, ${effort.rounds} rounds of ${effort.seconds} s.`;
  const written = `${before}<!-- table -->\n${stamp}\n\n${table}\n<!-- end of table -->${after}`;
  writeFileSync(file, await format(written, { ...(await resolveConfig(file)), filepath: file }));
}
process.exitCode = rows.every((r) => r.kept) ? 0 : 1;
