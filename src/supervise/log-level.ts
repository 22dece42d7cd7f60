import type { OutpostInstance } from '../contract/api.ts';
import { logLevel, Unusable } from '../settings/parse.ts';

/**
 * The level an outpost of its own logs with: what the server says for it counts, as soon as it is heard
 * (spec/outpost.md 1.3).
 * @param now the level in use; it stays where the server says none we know
 */
export function levelFor(outpost: Pick<OutpostInstance, 'config'>, now: string): string {
  try {
    return logLevel(outpost.config.log_level);
  } catch (error) {
    if (error instanceof Unusable) return now;
    throw error;
  }
}
