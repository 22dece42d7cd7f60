/** Rules of this repository that no linter knows. */
import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const LONGEST_MODULE = 500;

/** Unfinished or silenced places. Written so that this file does not find itself. */
const SILENCED = new RegExp(
  [
    String.raw`\b(TO` + String.raw`DO|FIX` + String.raw`ME|XX` + String.raw`X|HA` + String.raw`CK)\b`,
    String.raw`\b(it|test|describe)\.(only|skip|todo)\b`,
    String.raw`@ts-(ignore|nocheck|expect-error)`,
    String.raw`\bas ` + String.raw`any\b`,
    String.raw`(eslint|oxlint)-disable`,
  ].join('|'),
);

export function checkSources(): string[] {
  const files = globSync(['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.{ts,mjs}']).filter(
    (file) => file !== 'scripts/checks/sources.ts',
  );
  if (files.length === 0) return ['no source file found'];
  // a clone in the folder for temporary files has neighbours that tests name rightly
  const above = path.dirname(process.cwd());
  const here = (above === tmpdir() ? process.cwd() : above) + path.sep;
  return files.flatMap((file) => {
    const lines = readFileSync(file, 'utf8').split('\n');
    return [
      ...(lines.length > LONGEST_MODULE ? [`${file}: ${lines.length} lines; which two subjects live in it?`] : []),
      ...lines.flatMap((line, at) =>
        SILENCED.test(line) ? [`${file}:${at + 1}: unfinished or silenced: ${line.trim()}`] : [],
      ),
      ...lines.flatMap((line, at) =>
        here.length > 2 && line.includes(here) ? [`${file}:${at + 1}: a path of this machine`] : [],
      ),
    ];
  });
}
