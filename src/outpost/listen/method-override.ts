/**
 * Headers by which many frameworks take another method than the request's own. Rules for methods would see the one and
 * the application act on the other.
 */
import { foldHeaderName } from '../../contract/headers.ts';

/** Folded names. */
export const METHOD_OVERRIDES: readonly string[] = ['x-http-method', 'x-http-method-override', 'x-method-override'];

/** The only lengths there are: most headers are told apart by that. */
const LENGTHS: ReadonlySet<number> = new Set(METHOD_OVERRIDES.map((name) => name.length));

/** @param rawHeaders name, value, … as received */
export function overridesMethod(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (LENGTHS.has(name.length) && METHOD_OVERRIDES.includes(foldHeaderName(name))) return true;
  }
  return false;
}
