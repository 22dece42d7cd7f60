/** Real programs for the whole-system tests, from Debian's own packages. */
import { spawnSync, type SpawnSyncOptions } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

/** What the tests run for real, by Debian package; the file tells that it is there on a system without dpkg. */
const NEEDED: Readonly<Record<string, string>> = {
  nginx: '/usr/sbin/nginx',
  caddy: '/usr/bin/caddy',
  haproxy: '/usr/sbin/haproxy',
  chromium: '/usr/bin/chromium',
  wrk: '/usr/bin/wrk',
  iproute2: '/usr/bin/ip',
  openssl: '/usr/bin/openssl',
  systemd: '/usr/bin/systemd-analyze',
  'fonts-dejavu-core': '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf',
};

/** Debian asks this before a package starts its service; 101 means "do not". */
const POLICY_FILE = '/usr/sbin/policy-rc.d';

/**
 * Installs the missing packages when run as root on Debian; otherwise names them.
 * @param strict a missing package is a failure (CI), not just a note
 * @returns whether the tests may go on
 */
export function provideDebianPackages(strict: boolean): boolean {
  let missing = missingPackages();
  if (missing.length === 0) return true;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.error(`gatehouse: installing Debian packages for the tests: ${missing.join(' ')} ...`);
    install(missing);
    missing = missingPackages();
    if (missing.length === 0) return true;
  }
  console.error(
    `gatehouse: missing for the whole-system tests: ${missing.join(' ')}. As root: apt-get install ${missing.join(' ')}`,
  );
  return !strict;
}

function missingPackages(): string[] {
  return Object.entries(NEEDED).flatMap(([name, file]) => (existsSync(file) || isInstalled(name) ? [] : [name]));
}

function isInstalled(name: string): boolean {
  const query = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
  return query.status === 0 && query.stdout === 'installed';
}

/** nginx and caddy would start a service on port 80 when installed; nobody asked for that. */
function install(names: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet: SpawnSyncOptions = { env, stdio: ['ignore', 2, 2] }; // npm test's own output stays the tests'
  const ours = !existsSync(POLICY_FILE);
  if (ours) writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    spawnSync('apt-get', ['update', '-qq'], quiet);
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], quiet);
  } finally {
    if (ours) rmSync(POLICY_FILE, { force: true });
  }
}
