/** Installs the npm packages. Runs on the machine's own Node.js (20 or newer), without packages. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';

const OLDEST_NODE = [24, 12]; // "engines" in package.json

/** A failure that a sentence explains. */
export class PrepareError extends Error {
  name = 'PrepareError';
}

/**
 * Tells whether node_modules holds exactly what package-lock.json asks for, by the record npm keeps of what it
 * installed. Packages for other platforms are missing there and may be.
 * @param {string} root folder of the clone
 * @returns {boolean}
 */
export function packagesFit(root) {
  const installed = readPackages(path.join(root, 'node_modules/.package-lock.json'));
  if (installed === undefined) return false;
  const wanted = readPackages(path.join(root, 'package-lock.json'));
  if (wanted === undefined)
    throw new PrepareError('package-lock.json is missing or damaged. Get it back with: git checkout package-lock.json');
  return (
    Object.entries(wanted).every(([where, entry]) => {
      if (where === '') return true;
      const found = installed[where];
      return found === undefined ? entry.optional === true : same(found, entry);
    }) && Object.keys(installed).every((where) => where in wanted)
  );
}

const same = (a, b) => a.version === b.version && a.integrity === b.integrity;

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/**
 * Runs `npm ci` with everything that building and testing need, and says how long it took.
 * @param {string} root folder of the clone
 */
export function install(root) {
  console.error('gatehouse: installing the npm packages of package-lock.json (npm ci, once) ...');
  const started = performance.now();
  const args = ['ci', '--include=dev', '--include=optional', '--no-progress', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const done = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
    : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (done.error)
    throw new PrepareError(`npm could not be started (${done.error.message}). Install npm, then try again.`);
  if (done.signal) throw new PrepareError(`npm ci was stopped (${done.signal}). Start again to finish.`);
  if (done.status !== 0)
    throw new PrepareError('npm ci failed; its own words stand above. When the network is back, start again.');
  console.error(`gatehouse: packages installed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/**
 * Puts the machine's own Node.js where the scripts look for one, on platforms for which no package brings it.
 * @param {string} root folder of the clone
 */
export function provideNode(root) {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = OLDEST_NODE;
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    throw new PrepareError(
      `Node.js ${OLDEST_NODE.join('.')} or newer is needed. npm brings it on Linux (x64, arm64) only; ` +
        `this is ${process.platform} ${process.arch} with Node.js ${process.versions.node}. Install a newer one, then try again.`,
    );
  }
  mkdirSync(path.join(root, 'node_modules/.bin'), { recursive: true });
  symlinkSync(process.execPath, path.join(root, 'node_modules/.bin/node'));
}
