/** Finds the name that somebody probably meant. */

/** A name further away than this is no slip of the keyboard. */
const MOST_EDITS = 4;

/**
 * @param name what was written
 * @param known the names there are
 * @returns the one that takes the fewest edits; `undefined` if none is near. A forgotten or doubled `_`, another
 *   prefix and lower case count little.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((candidate) => {
      const written = distance(name.toUpperCase(), candidate);
      return { candidate, written, edits: Math.min(written, 1 + distance(bare(name), bare(candidate))) };
    })
    .sort((a, b) => a.edits - b.edits || a.written - b.written);
  return best !== undefined && best.edits <= MOST_EDITS ? best.candidate : undefined;
}

const bare = (name: string) =>
  name
    .toUpperCase()
    .replace(/^(AUTHENTIK|GATEHOUSE)_/, '')
    .replaceAll('_', '');

/** Levenshtein distance: insertions, deletions and replacements, one each. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
