/**
 * Globs for paths. `*` stands for anything within a segment, `**` for anything across segments; everything else is
 * itself. The whole path has to match, and a slash at its end makes no difference, as for most applications.
 */

/** What people write who expect more of a glob than there is, and what to write instead. */
const UNKNOWN: readonly (readonly [RegExp, string])[] = [
  [/\?/, 'rules see the path only, never the query, and only * and ** stand for something else. Leave out the ?'],
  [/[[\]{}\\]/, 'only * and ** stand for something else. For more, use a regular expression (match: regex)'],
  [/\*{3}/, 'three stars mean nothing: * stands for a part of one segment, ** for any number of segments'],
  [/%[0-9a-f]{2}/i, 'rules see the path decoded. Write the character itself instead of its %-code'],
  [/#/, 'a path ends before the #. Leave it out'],
  [/(?:^|\/)\.{1,2}(?:\/|$)/, 'no path that is let through has a segment . or ..'],
];

/** @returns why the text is no glob, without a full stop; undefined = it is one */
export function globProblem(pattern: string): string | undefined {
  if (!pattern.startsWith('/') && !pattern.startsWith('**')) return 'a glob is for the whole path: begin it with /';
  return UNKNOWN.find(([sign]) => sign.test(pattern))?.[1];
}

/**
 * The same as RE2, so that every pattern is matched by one machine in linear time.
 *
 * A segment `*` is one segment that is not empty. A segment `**` is any number of segments, none included: so
 * `/admin/**` is `/admin`, too.
 */
export function globToRegex(pattern: string): string {
  const segments = pattern.replace(/\/$/, '').split('/');
  const parts = segments.map((segment, i) => {
    if (segment === '**') return i === 0 ? '.*' : '(?:/.*)?';
    const text = segment === '*' ? '[^/]+' : segment.replace(/\*\*|\*|[^*]+/g, piece);
    return i === 0 ? text : `/${text}`;
  });
  return `(?s)^${parts.join('')}/?$`;
}

function piece(text: string): string {
  if (text === '**') return '.*';
  return text === '*' ? '[^/]*' : text.replace(/[.+^$()|[\]{}\\?*]/g, '\\$&');
}
