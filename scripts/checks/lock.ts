/** The lock file installs anywhere, and says nothing about the machine that wrote it. */
import { readFileSync } from 'node:fs';
import { missingEntries, readLock } from '../complete-lock.ts';

export function checkLock(): string[] {
  const problems: string[] = [];
  const missing = Object.keys(missingEntries(readLock('package-lock.json').packages));
  if (missing.length > 0) {
    problems.push(`${missing.length} entries missing (${missing[0]}, ...): run node scripts/complete-lock.ts`);
  }
  if (/"resolved": "http/.test(readFileSync('package-lock.json', 'utf8'))) {
    problems.push('it names the addresses of a registry: install with omit-lockfile-registry-resolved=true (.npmrc)');
  }
  return problems;
}
