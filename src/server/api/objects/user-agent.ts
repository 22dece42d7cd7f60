/**
 * The published breakdown of a browser's User-Agent text, for lists of sessions. Only for people to recognise their
 * browser by: nothing is decided by it.
 */
import { z } from 'zod';

const nullableText = z.string().nullable();

export const UserAgent = z.strictObject({
  device: z.strictObject({ brand: nullableText, family: z.string(), model: nullableText }),
  os: z.strictObject({
    family: z.string(),
    major: nullableText,
    minor: nullableText,
    patch: nullableText,
    patch_minor: nullableText,
  }),
  user_agent: z.strictObject({ family: z.string(), major: z.string(), minor: z.string(), patch: z.string() }),
  string: z.string(),
});

/** First match names the family; more specific names come first, since browsers claim to be their ancestors. */
const BROWSERS: readonly (readonly [string, RegExp])[] = [
  ['Edge', /Edg(?:e|A|iOS)?\/([\d.]+)/],
  ['Opera', /OPR\/([\d.]+)/],
  ['Firefox', /(?:Firefox|FxiOS)\/([\d.]+)/],
  ['Chrome', /(?:Chrome|CriOS)\/([\d.]+)/],
  ['Safari', /Version\/([\d.]+).*Safari\//],
  ['curl', /^curl\/([\d.]+)/],
];

const SYSTEMS: readonly (readonly [string, RegExp])[] = [
  ['Windows', /Windows NT ([\d.]+)/],
  ['iOS', /(?:iPhone|CPU) OS ([\d_]+)/],
  ['Android', /Android ([\d.]+)/],
  ['Mac OS X', /Mac OS X ([\d_.]+)/],
  ['Linux', /Linux()/],
];

function first(list: readonly (readonly [string, RegExp])[], text: string): [family: string, version: string[]] {
  for (const [family, pattern] of list) {
    const match = pattern.exec(text);
    if (match) return [family, (match[1] ?? '').split(/[._]/).filter(Boolean)];
  }
  return ['Other', []];
}

export function userAgent(text: string): z.output<typeof UserAgent> {
  const [browser, version] = first(BROWSERS, text);
  const [system, systemVersion] = first(SYSTEMS, text);
  return {
    device: { brand: null, family: /Mobile|iPhone/.test(text) ? 'Mobile' : 'Other', model: null },
    os: {
      family: system,
      major: systemVersion[0] ?? null,
      minor: systemVersion[1] ?? null,
      patch: systemVersion[2] ?? null,
      patch_minor: systemVersion[3] ?? null,
    },
    user_agent: { family: browser, major: version[0] ?? '', minor: version[1] ?? '', patch: version[2] ?? '' },
    string: text,
  };
}
