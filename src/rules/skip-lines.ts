/** `skip_path_regex`: addresses anybody may open (spec/outpost.md 13). */
import { regexProblem } from './patterns.ts';

export interface SkipLine {
  /** counted from 1 */
  number: number;
  /** RE2 */
  pattern: string;
}

/**
 * Reads the field, one RE2 per line. White space around a line is none of it; a blank line is no rule.
 * @returns the lines that can be used, and a sentence for each other one: what it was meant for stays protected
 */
export function readSkipLines(field: string): { lines: SkipLine[]; problems: string[] } {
  const lines: SkipLine[] = [];
  const problems: string[] = [];
  for (const [index, raw] of field.split('\n').entries()) {
    const pattern = raw.trim();
    if (pattern === '') continue;
    const problem = regexProblem(pattern);
    if (problem === undefined) lines.push({ number: index + 1, pattern });
    else problems.push(`Line ${index + 1}: ${problem}.`);
  }
  return { lines, problems };
}

/** What is wrong with the field, a sentence per line; also what can be read but would never match. */
export function skipLineProblems(field: string): string[] {
  const { lines, problems } = readSkipLines(field);
  for (const { number, pattern } of lines) {
    if (pattern.includes('\\?')) {
      problems.push(`Line ${number}: rules see the path only, never the query. Leave out what follows \\?.`);
    }
  }
  return problems;
}
