/**
 * Adds to package-lock.json the entries npm leaves out: optional packages for other platforms that the registry in
 * use does not offer. Without them `npm ci` calls the lock file incomplete and installs nothing. The entries carry no
 * checksum (there is nothing to take it from); they are for platforms other than the one that wrote the lock file.
 *
 * Run after changing dependencies: `node_modules/.bin/node scripts/complete-lock.ts`. `npm run check` tells when it is needed.
 */
import { readFileSync, writeFileSync } from 'node:fs';

export interface LockEntry {
  version?: string;
  dev?: boolean;
  license?: string;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
  cpu?: string[];
  libc?: string[];
  os?: string[];
}

/** Entries that are named as optional dependencies but have none of their own, by their place in the tree. */
export function missingEntries(packages: Readonly<Record<string, LockEntry>>): Record<string, LockEntry> {
  const present = new Set(Object.keys(packages).map((where) => where.slice(where.lastIndexOf('node_modules/') + 13)));
  const missing: Record<string, LockEntry> = {};
  for (const parent of Object.values(packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      if (!present.has(name)) missing[`node_modules/${name}`] = entryFor(name, version, parent);
    }
  }
  return missing;
}

const PLATFORM =
  /(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|ia32|ppc64|riscv64|s390x|x64)(?:-(\w+))?$/;

function entryFor(name: string, version: string, parent: LockEntry): LockEntry {
  const [, os, cpu, abi] = PLATFORM.exec(name) ?? [];
  if (os === undefined || cpu === undefined) throw new TypeError(`${name}: no platform can be read from this name`);
  return {
    version,
    cpu: [cpu],
    ...(parent.dev === true && { dev: true }),
    ...(os === 'linux' && abi !== undefined && { libc: [abi.includes('musl') ? 'musl' : 'glibc'] }),
    ...(parent.license !== undefined && { license: parent.license }),
    optional: true,
    os: [os],
  };
}

/** The packages of the lock file at this path, by their place in the tree. */
export function readLock(file: string): { packages: Record<string, LockEntry> } {
  return JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, LockEntry> };
}

if (import.meta.main) {
  const file = new URL('../package-lock.json', import.meta.url).pathname;
  const lock = readLock(file);
  const missing = missingEntries(lock.packages);
  const sorted = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => a.localeCompare(b, 'en'));
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
  console.log(`${Object.keys(missing).length} entries added`);
}
