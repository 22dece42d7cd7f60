/** What we ship is permissively licensed all the way down, with the exceptions named here. */
import { readLock } from '../complete-lock.ts';

const PERMISSIVE = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
  'MIT-0',
  'MPL-2.0', // binds changes to its own files only
]);

/**
 * Packages under another licence that asks nothing of what stands beside them. MPL-2.0 is about its own files, and ours
 * are others; what is changed in the interpreter is changed while it runs.
 */
const ACCEPTED: Readonly<Record<string, string>> = { 'node_modules/pyodide': 'MPL-2.0' };

/** Licence terms such as `(MIT OR GPL-3.0)`: one permissive choice is enough; with AND all must be. */
export function isPermissive(expression: string): boolean {
  return expression
    .replace(/[()]/g, '')
    .split(/ OR /i)
    .some((choice) => choice.split(/ AND /i).every((term) => PERMISSIVE.has(term.trim())));
}

export function checkLicences(): string[] {
  const shipped = Object.entries(readLock('package-lock.json').packages).filter(
    ([where, entry]) => where !== '' && !entry.dev,
  );
  if (shipped.length === 0) return ['package-lock.json names no production package'];
  return shipped
    .filter(([where, { license = '' }]) => !isPermissive(license) && ACCEPTED[where] !== license)
    .map(([where, entry]) => `${where}: licence ${entry.license ?? 'not stated'}`);
}
