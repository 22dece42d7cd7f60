/** Names every configuration is about. */
import { foldHeaderName, IDENTITY_HEADERS, LEGACY_HEADERS } from '../../contract/headers.ts';
import type { ConfigValues } from './values.ts';

/** In the spelling of the published documentation. */
export const COPIED: readonly string[] = IDENTITY_HEADERS.map((name) => name.toLowerCase().replace('x-', 'X-'));

/**
 * What nobody may send, though these configurations do not set it: identity headers of the older generation, and
 * addresses that some frameworks open instead of the one in the request line, past any rule about paths.
 */
export const REMOVED: readonly string[] = [...LEGACY_HEADERS, 'X-Original-URL', 'X-Original-URI', 'X-Rewrite-URL'];

/** @returns the same without the headers the provider sends: these are replaced instead */
export function removedHeaders({ headers }: Pick<ConfigValues, 'headers'>): string[] {
  const sent = new Set(headers.map(foldHeaderName));
  return REMOVED.filter((name) => !sent.has(foldHeaderName(name)));
}

/** A header name as programs spell it in variables; names are letters, digits and `-`. */
export const asVariable = (name: string): string => name.toLowerCase().replaceAll('-', '_');

/** Our cookies by name, for engines with (?:...): the outpost's, and the two of the identity server. */
export const OWN_COOKIE = 'authentik_(?:proxy_|session=|csrf=)[^;]*';
