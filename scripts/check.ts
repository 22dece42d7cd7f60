/**
 * Everything that can be told without running the product: types, lint, format, layers, dead code and the rules of
 * this repository. Runs all of it, then fails if any failed: `check.ts [name ...]`.
 */
import { spawnSync } from 'node:child_process';
import { checkDocs } from './checks/docs.ts';
import { checkLayers } from './checks/layers.ts';
import { checkLicences } from './checks/licences.ts';
import { checkLock } from './checks/lock.ts';
import { checkSources } from './checks/sources.ts';

/** A check returns one line for each problem; none = passed. */
type Check = () => string[] | Promise<string[]>;

const CHECKS: Readonly<Record<string, Check>> = {
  types: () => tool('typescript/bin/tsc', ['-p', 'tsconfig.json']),
  lint: () => tool('oxlint/bin/oxlint', ['--type-aware', '--deny-warnings', 'src', 'test', 'bench', 'scripts']),
  format: () => tool('prettier/bin/prettier.cjs', ['--check', '--log-level=warn', '.']),
  layers: checkLayers,
  'dead code': () => tool('knip/bin/knip.js', ['--no-progress']),
  licences: checkLicences,
  'lock file': checkLock,
  sources: checkSources,
  docs: checkDocs,
};

/** Runs a package's program with our own Node.js. */
function tool(program: string, args: string[]): string[] {
  const run = spawnSync(process.execPath, [`node_modules/${program}`, ...args], { encoding: 'utf8' });
  if (run.error) return [run.error.message];
  return run.status === 0 ? [] : [run.stdout + run.stderr || `ended with ${run.status ?? run.signal}`];
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in CHECKS));
if (unknown.length > 0) {
  console.error(`no check named ${unknown.join(', ')}; there are: ${Object.keys(CHECKS).join(', ')}`);
  process.exit(2);
}
for (const [name, check] of Object.entries(CHECKS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const started = performance.now();
  const problems = await check();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  for (const problem of problems) console.log(problem.trimEnd().replace(/^/gm, '     '));
  if (problems.length > 0) process.exitCode = 1;
}
