import type { Settings } from '../settings/settings.ts';

export interface Announcement {
  settings: Pick<Settings, 'webPath'>;
  port: number;
  /** port of the first HTTPS address; undefined = none */
  securePort?: number | undefined;
  /** one-time token of the set-up page */
  setupToken?: string;
  /** further lines, e.g. of the demo */
  more?: readonly string[];
}

/** Path of the set-up page below the web path; its token is the query parameter `token`. */
const SETUP_PATH = 'if/flow/initial-setup/';

/** What a person at the terminal reads when everything is up: what to open, and what to do there first. */
export function announcement({ settings, port, securePort, setupToken, more = [] }: Announcement): string {
  const base = `http://localhost:${port}${settings.webPath}`;
  const lines = ['', 'Gatehouse is ready.', ''];
  if (setupToken === undefined) lines.push(`  Open   ${base}`);
  else {
    lines.push(`  Open   ${base}${SETUP_PATH}?token=${setupToken}`);
    lines.push('         to choose the password of the administrator akadmin. This link works once.');
    lines.push(`         From another machine, write its name or address instead of localhost.`);
  }
  if (securePort !== undefined) {
    lines.push(`  HTTPS  https://localhost:${securePort}${settings.webPath} (certificates: docs/guides/tls.md)`);
  }
  for (const line of more) lines.push(line === '' ? '' : `  ${line}`);
  lines.push('', '  Stop with Ctrl+C. Settings: docs/reference/settings.md', '');
  return `${lines.join('\n')}\n`;
}
