/** Avatars: initials on a colour of their own as a data URI, so that nobody's address is told to a third party. */

/** @param name display name or user name; @param seed decides the colour */
export function avatar(name: string, seed: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  const initials = letters.map((word) => [...(word ?? '?')][0]?.toUpperCase() ?? '').join('');
  const hue = Number.parseInt(seed.slice(0, 4), 16) % 360 || 0;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">` +
    `<rect width="64" height="64" fill="hsl(${hue},45%,35%)"/>` +
    `<text x="32" y="41" text-anchor="middle" font-family="sans-serif" font-size="26" fill="#fff">${escapeXml(initials)}</text></svg>`;
  return `data:image/svg+xml;base64,${Buffer.from(svg, 'utf8').toString('base64')}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};
const escapeXml = (text: string) => text.replace(/[&<>"']/g, (c) => ENTITIES[c] ?? '');
