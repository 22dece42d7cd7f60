/** A protection that can be broken in a copy of the sources. */
import type { Rule } from './case.ts';
import type { Edit } from './mutate.ts';

export interface Switch {
  rule: Rule;
  title: string;
  edits: readonly Edit[];
  /** cases of the rule, of which at least one must fail */
  noticed: readonly string[];
}

export const edit = (file: string, find: string, replace: string): Edit => ({ file, find, replace });
