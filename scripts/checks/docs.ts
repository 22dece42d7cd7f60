/** Generated pages say what the code says, and links between pages lead somewhere. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SETTINGS_PAGE, settingsPage } from '../settings-page.ts';

export function checkDocs(): string[] {
  const problems: string[] = [];
  if (!existsSync(SETTINGS_PAGE) || readFileSync(SETTINGS_PAGE, 'utf8') !== settingsPage()) {
    problems.push(`${SETTINGS_PAGE} is out of date: run node scripts/settings-page.ts`);
  }
  const pages = globSync(['*.md', 'docs/**/*.md']);
  for (const page of pages) {
    for (const [, target = ''] of readFileSync(page, 'utf8').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      if (!existsSync(path.join(path.dirname(page), target)))
        problems.push(`${page}: the link to ${target} leads nowhere`);
    }
  }
  return problems;
}
