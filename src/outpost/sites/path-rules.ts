/** `skip_path_regex`: paths anybody may open (spec/outpost.md 13). */
import { RE2JS } from 're2js';
import type { PathReading } from './canonical-path.ts';

export interface PathRules {
  /** true when a path can be public at all */
  readonly any: boolean;
  /** whether everybody may open the path, and by which line (counted from 1) */
  publicBy(path: PathReading): number | undefined;
}

const NONE: PathRules = { any: false, publicBy: () => undefined };

/**
 * Compiles the field, one RE2 per line, found anywhere in the canonical path. White space around a line is none of it,
 * as when the field was checked; a blank line is no rule.
 * @returns the rules, and a sentence per line that is not used: the paths it was meant for stay protected
 */
export function compilePathRules(field: string): { rules: PathRules; problems: string[] } {
  const problems: string[] = [];
  const lines: { number: number; pattern: RE2JS }[] = [];
  for (const [index, raw] of field.split('\n').entries()) {
    const text = raw.trim();
    if (text === '') continue;
    try {
      lines.push({ number: index + 1, pattern: RE2JS.compile(text) });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      problems.push(`Unauthenticated paths, line ${index + 1}: ${why}. The line is not used.`);
    }
  }
  if (lines.length === 0) return { rules: NONE, problems };
  const match = (text: string) => lines.find((line) => line.pattern.matcher(text).find())?.number;
  return {
    rules: {
      any: true,
      publicBy(path) {
        if (path.kind !== 'plain') return undefined;
        let first: number | undefined;
        for (const reading of path.readings) {
          const line = match(reading);
          if (line === undefined) return undefined;
          first ??= line;
        }
        return first;
      },
    },
    problems,
  };
}
