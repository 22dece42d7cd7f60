/** Names every configuration is about. */
import { IDENTITY_HEADERS, LEGACY_HEADERS } from '../../contract/headers.ts';

/** In the spelling of the published documentation. */
export const COPIED: readonly string[] = IDENTITY_HEADERS.map((name) => name.toLowerCase().replace('x-', 'X-'));

/**
 * What nobody may send, though these configurations do not set it: identity headers of the older generation, and
 * addresses that some frameworks open instead of the one in the request line, past any rule about paths.
 */
export const REMOVED: readonly string[] = [...LEGACY_HEADERS, 'X-Original-URL', 'X-Original-URI', 'X-Rewrite-URL'];

/** Our cookies by name, for engines with (?:...): the outpost's, and the two of the identity server. */
export const OWN_COOKIE = 'authentik_(?:proxy_|session=|csrf=)[^;]*';
