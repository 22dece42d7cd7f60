import type { Env } from './env.ts';

/** The rules of the security model, by letter. */
export type Rule = 'A' | 'B' | 'C' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K' | 'L' | 'M';

/** One attack: passes when the product withstands it, throws a sentence naming request and answer when it does not. */
export interface Case {
  /** rule letter and number, unique */
  id: string;
  rule: Rule;
  title: string;
  run(env: Env): Promise<void>;
}
