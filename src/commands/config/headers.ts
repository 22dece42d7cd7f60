/** Names every configuration is about. */
import { IDENTITY_HEADERS, LEGACY_HEADERS } from '../../contract/headers.ts';

/** In the spelling of the published documentation. */
export const COPIED: readonly string[] = IDENTITY_HEADERS.map((name) => name.toLowerCase().replace('x-', 'X-'));

/** Headers of the older generation: not set by these configurations, so nobody may send them either. */
export const REMOVED: readonly string[] = LEGACY_HEADERS;

/** A regular expression for the names of our cookies: the outpost's, and the two of the identity server. */
export const OWN_COOKIE = 'authentik_(?:proxy_|session=|csrf=)[^;]*';
