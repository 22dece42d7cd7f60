/** Who may import whom (.dependency-cruiser.cjs). */
import { spawnSync } from 'node:child_process';

interface Cruise {
  summary: {
    totalCruised: number;
    violations: { from: string; to: string; rule: { name: string } }[];
  };
}

/**
 * Runs dependency-cruiser over src/. It ends happily after having seen no module at all when its parser does not
 * fit the TypeScript installed, so the number of modules is part of the check.
 * @param folder the clone
 */
export function checkLayers(folder = process.cwd()): string[] {
  const args = ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'];
  const run = spawnSync(process.execPath, ['node_modules/dependency-cruiser/bin/dependency-cruiser.mjs', ...args], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (!run.stdout.startsWith('{')) return [run.stderr || 'dependency-cruiser printed nothing'];
  const { summary } = JSON.parse(run.stdout) as Cruise;
  if (summary.totalCruised === 0) return ['dependency-cruiser saw no module: its parser does not fit'];
  return summary.violations.map(({ from, to, rule }) => `${from} must not import ${to} (${rule.name})`);
}
