/**
 * Runs the tests: `test.ts <quick|long|attack> [filter ...]`. A filter is part of a file's path. Real programs the
 * whole-system tests need are installed first (scripts/lib/debian.ts).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { provideDebianPackages } from './lib/debian.ts';

const MINUTE_MS = 60_000;

/** Which files a kind of run takes, and how long one file may take. */
const KINDS: Readonly<Record<string, { files: string[]; exclude: string[]; timeoutMs: number }>> = {
  quick: {
    files: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/*.long.test.ts'],
    timeoutMs: 10 * MINUTE_MS,
  },
  long: { files: ['src/**/*.long.test.ts', 'test/**/*.long.test.ts'], exclude: [], timeoutMs: 120 * MINUTE_MS },
  attack: { files: ['test/attack/**/*.test.ts'], exclude: ['**/*.long.test.ts'], timeoutMs: 10 * MINUTE_MS },
};

async function main(kindName = '', filters: string[] = []): Promise<number> {
  const kind = KINDS[kindName];
  if (kind === undefined) throw new TypeError(`kind of test run: ${Object.keys(KINDS).join(', ')}`);
  const files = globSync(kind.files, { exclude: kind.exclude })
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort();
  if (files.length === 0) {
    console.error(`gatehouse: no ${kindName} test file matches ${filters.join(' ') || 'at all'}`);
    return 1;
  }
  if (files.some((file) => file.startsWith('test/')) && !provideDebianPackages(process.env['CI'] === 'true')) return 1;

  // Two at a time: whole-system tests start several processes each, and the smallest machine we know has two cores.
  const options = ['--test', '--test-reporter=spec', '--test-concurrency=2', `--test-timeout=${kind.timeoutMs}`];
  // Some thousand processes of a run read the same sources: each is compiled once.
  const compiled = mkdtempSync(join(tmpdir(), 'gatehouse-compiled-'));
  try {
    const env = { ...process.env, NODE_COMPILE_CACHE: compiled };
    const run = spawn(process.execPath, [...options, ...files], { stdio: 'inherit', env });
    // Told to stop, the runner must end its tests, and with them the servers they started.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => run.kill(signal));
    const [code] = (await once(run, 'exit')) as [number | null];
    return code ?? 1;
  } finally {
    rmSync(compiled, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv[2], process.argv.slice(3));
