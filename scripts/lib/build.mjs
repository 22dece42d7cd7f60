/** Compiles src/ into dist/, only when something changed. Runs on Node.js 20 or newer, without packages. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PrepareError } from './install.mjs';

/** Kept beside the compiled files: the hash of what they were made from. */
const STAMP = '.stamp';

/**
 * Brings dist/ up to date. The new files are made in a folder beside it and moved into place whole, so that a
 * failed or interrupted build leaves the earlier one as it was.
 * @param {string} root folder of the clone
 * @param {string} node the Node.js that runs the compiler
 */
export function build(root, node) {
  const sources = filesBelow(path.join(root, 'src'));
  const inputs = [
    ...sources,
    ...['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'].map((f) => path.join(root, f)),
  ];
  const hash = hashOf(root, inputs);
  const dist = path.join(root, 'dist');
  if (stampOf(dist) === hash) return;

  console.error('gatehouse: compiling the sources (once after a change) ...');
  const started = performance.now();
  const fresh = `${dist}.new-${process.pid}`; // beside it: a move must stay on one file system
  try {
    const args = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', fresh];
    const done = spawnSync(node, args, { cwd: root, stdio: ['ignore', 2, 2] });
    if (done.status !== 0)
      throw new PrepareError('the sources do not compile; the errors stand above. Nothing was changed.');
    for (const file of sources.filter((f) => !f.endsWith('.ts'))) {
      const target = path.join(fresh, path.relative(path.join(root, 'src'), file));
      mkdirSync(path.dirname(target), { recursive: true });
      copyFileSync(file, target);
    }
    writeFileSync(path.join(fresh, STAMP), hash);
    rmSync(dist, { recursive: true, force: true });
    renameSync(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  console.error(`gatehouse: compiled in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function hashOf(root, files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(path.relative(root, file)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

function stampOf(dist) {
  try {
    return readFileSync(path.join(dist, STAMP), 'utf8');
  } catch {
    return undefined;
  }
}

/** Every file below a folder except tests, in a fixed order. */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const full = path.join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(full);
      return entry.isFile() && !/\.test(-helper)?\.ts$/.test(entry.name) ? [full] : [];
    });
}
