/**
 * Puts together what an installation needs and nothing more: `image-tree.ts <server|outpost> <folder>`. Compiled code and
 * the packages it imports, each with what it depends on, as package-lock.json names them. An outpost gets no code of the
 * server. Run it where `npm ci` and the build have been.
 */
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';

/** What only a server runs. */
const SERVER_ONLY = ['server', 'demo'];

interface Locked {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}
type Lock = Readonly<Record<string, Locked>>;

export type Kind = 'server' | 'outpost';

/**
 * @param root folder of the clone, with node_modules and dist
 * @param target folder to make; must not be there
 * @returns names of the packages in it
 */
export function imageTree(kind: Kind, root: string, target: string): string[] {
  mkdirSync(target);
  const dist = path.join(root, 'dist');
  const leftOut = kind === 'server' ? [] : SERVER_ONLY.map((part) => path.join(dist, part));
  cpSync(dist, path.join(target, 'dist'), { recursive: true, filter: (from) => !leftOut.includes(from) });
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as { packages: Lock };
  const places = withDependencies(packages, importedPackages(path.join(target, 'dist')));
  for (const place of places) {
    // packages inside a package are places of their own
    const inner = path.join(root, place, 'node_modules');
    cpSync(path.join(root, place), path.join(target, place), { recursive: true, filter: (from) => from !== inner });
  }
  const { name, version, license, type, engines } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  ) as Record<string, unknown>;
  const manifest = { name, version, private: true, license, type, engines };
  writeFileSync(path.join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(path.join(root, 'LICENSE'), path.join(target, 'LICENSE'));
  return [...places].map((place) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length));
}

/** Packages that modules below a folder name, statically or when they run. */
function importedPackages(folder: string): string[] {
  const names = globSync('**/*.js', { cwd: folder }).flatMap((file) => {
    const code = readFileSync(path.join(folder, file), 'utf8');
    const specifiers = [
      ...code.matchAll(/^(?:import|export)\b[^'";]*?\bfrom ['"]([^'"]+)['"]/gm),
      ...code.matchAll(/^import ['"]([^'"]+)['"]/gm),
      ...code.matchAll(/\b(?:import|require|(?:import\.meta|require)\.resolve)\(['"]([^'"]+)['"]\)/g),
    ];
    return specifiers.map(([, specifier = '']) => specifier);
  });
  const packages = names
    .filter((name) => /^(?:@[\w.-]+\/)?[\w.-]+(?:\/|$)/.test(name) && !name.startsWith('.') && !isBuiltin(name))
    .map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
  return [...new Set(packages)].sort();
}

/** @returns places in the lock file, `node_modules/…`. @throws Error when a package is not locked */
function withDependencies(lock: Lock, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const take = (name: string, from: string, needed: boolean): void => {
    const place = placeOf(lock, name, from);
    if (place === undefined) {
      if (needed) throw new Error(`${name} is not in package-lock.json`);
      return;
    }
    if (found.has(place)) return;
    found.add(place);
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = lock[place] ?? {};
    for (const next of Object.keys(dependencies)) take(next, place, !(next in optionalDependencies));
    for (const next of Object.keys({ ...optionalDependencies, ...peerDependencies })) take(next, place, false);
  };
  for (const name of names) take(name, '', true);
  return found;
}

/** Where Node.js finds a package from a place: in it, else in those around it. */
function placeOf(lock: Lock, name: string, from: string): string | undefined {
  for (let around = from; ; around = around.slice(0, Math.max(0, around.lastIndexOf('/node_modules/')))) {
    const place = `${around === '' ? '' : `${around}/`}node_modules/${name}`;
    if (place in lock) return place;
    if (around === '') return undefined;
  }
}

if (import.meta.main) {
  const [kind, target] = process.argv.slice(2);
  if ((kind !== 'server' && kind !== 'outpost') || target === undefined) {
    console.error('usage: image-tree.ts <server|outpost> <folder>');
    process.exit(2);
  }
  console.log(imageTree(kind, process.cwd(), target).join(' '));
}
