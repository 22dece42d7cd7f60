/**
 * undici checks each header name that is not on its own list, character by character, with every request. Of those a
 * carried request has, most are ours and always the same: undici is told them once (measured: docs/performance.md). The
 * list belongs to no public interface of it, so its version is pinned, and a test shows that the list is still asked.
 */
import constants from 'undici/lib/core/constants.js';
import { IDENTITY_HEADERS } from '../../contract/headers.ts';

const OURS = [...IDENTITY_HEADERS, 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto'];

/** To be called before requests are carried; more often does no harm. */
export function tellKnownNames(): void {
  for (const name of OURS) constants.headerNameLowerCasedRecord[name] ??= name.toLowerCase();
}
