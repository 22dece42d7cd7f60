/** What every configuration begins with, as lines of a comment. */
import type { ConfigValues } from './values.ts';

const MODE_NAMES = {
  forward_single: 'Forward auth, single application',
  forward_domain: 'Forward auth, domain level',
  proxy: 'Proxy',
} as const satisfies Record<ConfigValues['mode'], string>;

/**
 * @param proxy the reverse proxy as people call it
 * @param where where the text goes: a sentence that begins in lower case and has no full stop
 * @returns lines beginning with `#`, and an empty one
 */
export function intro(values: ConfigValues, proxy: string, where: string): string[] {
  const { application, login, upstream, outpost, mode } = values;
  const places: [string, string][] = [[application.authority, 'the application, as people type it']];
  if (mode === 'forward_domain') places.push([login.authority, 'the login: external host of the provider']);
  if (mode !== 'proxy') places.push([upstream.authority, `the application, as ${proxy} reaches it`]);
  places.push([outpost.authority, 'Gatehouse']);
  const width = Math.max(...places.map(([place]) => place.length)) + 3;
  return [
    `# Gatehouse behind ${proxy}. Provider: ${values.title} (mode "${MODE_NAMES[mode]}").`,
    `# To use it: ${where}.`,
    '# Check what it names:',
    ...places.map(([place, meaning]) => `#   ${place.padEnd(width)}${meaning}`),
    '',
  ];
}
