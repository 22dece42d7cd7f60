/** Generated pages say what the code says, every code is explained, and links between pages lead somewhere. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { deployFiles, GUIDES, withFiles } from '../deploy-files.ts';
import { ERROR_CODES_PAGE, errorCodesPage } from '../error-codes-page.ts';
import { SETTINGS_PAGE, settingsPage } from '../settings-page.ts';

const TROUBLESHOOTING = 'docs/troubleshooting.md';

export function checkDocs(): string[] {
  return [
    ...current(SETTINGS_PAGE, settingsPage(), 'scripts/settings-page.ts'),
    ...current(ERROR_CODES_PAGE, errorCodesPage(), 'scripts/error-codes-page.ts'),
    ...[...deployFiles()].flatMap(([file, text]) => current(file, text, 'scripts/deploy-files.ts')),
    ...GUIDES.flatMap((guide) => current(guide, withFiles(read(guide), read), 'scripts/deploy-files.ts')),
    ...unexplainedCodes(),
    ...brokenLinks(),
  ];
}

const current = (page: string, text: string, script: string) =>
  read(page) === text ? [] : [`${page} is out of date: run node_modules/.bin/node ${script}`];

function unexplainedCodes(): string[] {
  const explained = read(TROUBLESHOOTING) + read(ERROR_CODES_PAGE);
  const codes = globSync('src/**/*.ts', { exclude: ['**/*.test.ts'] }).flatMap((file) =>
    [...read(file).matchAll(/new CodedError\(\s*'([a-z-]+)'/g)].map(([, code = '']) => code),
  );
  if (codes.length === 0) return ['no error code found in src/'];
  return [...new Set(codes)]
    .filter((code) => !explained.includes(`\`${code}\``))
    .map((code) => `${TROUBLESHOOTING} does not explain the code ${code}`);
}

function brokenLinks(): string[] {
  return globSync(['*.md', 'docs/**/*.md']).flatMap((page) =>
    [...prose(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(path.join(path.dirname(page), target)))
      .map((target) => `${page}: the link to ${target} leads nowhere`),
  );
}

/** A page without its code: what looks like a link there is none. */
const prose = (page: string) => read(page).replaceAll(/^```[^]*?^```$/gm, '');

const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
