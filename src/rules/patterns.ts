/** Many RE2 patterns asked at once (linear time, Go's syntax). */
import { RE2JS, RE2Set } from 're2js';

/** Bytes the machine of one set may keep; beyond, it forgets and begins anew. There may be thousands of sets. */
const MACHINE_MEMORY = 1024 * 1024;

/** @returns why the text is no RE2 pattern, without a full stop; undefined = it is one */
export function regexProblem(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Patterns found anywhere in a text. Built when first asked: most sites of a large installation are never visited. */
export class PatternSet {
  readonly #patterns: readonly string[];
  readonly #flags: number;
  #parts: readonly Part[] | undefined;

  /**
   * @param patterns each of them one that {@link regexProblem} has nothing against
   * @param letters `folded`: upper and lower case are the same
   */
  constructor(patterns: readonly string[], letters: 'exact' | 'folded' = 'exact') {
    this.#patterns = patterns;
    this.#flags = letters === 'folded' ? RE2JS.CASE_INSENSITIVE : 0;
  }

  /** @returns positions of the patterns found in the text, ascending */
  matches(text: string): readonly number[] {
    this.#parts ??= build(this.#patterns, this.#flags, 0);
    const [only, ...more] = this.#parts;
    if (only === undefined) return NONE;
    const found = only.set.match(text);
    // most texts match few patterns, and these mostly come in order
    const sorted = found.length < 2 ? found : found.sort((a, b) => a - b);
    return more.length === 0
      ? sorted
      : [...sorted, ...more.flatMap((part) => part.set.match(text).map((i) => i + part.offset).sort((a, b) => a - b))]; // prettier-ignore
  }
}

const NONE: readonly number[] = [];

interface Part {
  set: RE2Set;
  /** position of its first pattern */
  offset: number;
}

/** Patterns that are too large together are asked in two parts, and so on. */
function build(patterns: readonly string[], flags: number, offset: number): readonly Part[] {
  if (patterns.length === 0) return [];
  const set = new RE2Set(RE2Set.UNANCHORED, flags, MACHINE_MEMORY);
  for (const pattern of patterns) set.add(pattern);
  try {
    set.compile();
    return [{ set, offset }];
  } catch (error) {
    if (patterns.length === 1) throw error;
    const half = patterns.length >> 1;
    return [...build(patterns.slice(0, half), flags, offset), ...build(patterns.slice(half), flags, offset + half)];
  }
}
