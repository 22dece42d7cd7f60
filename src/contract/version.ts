/**
 * Versions we answer as.
 *
 * `PUBLISHED_VERSION` is the release of the published contract whose objects and messages we speak
 * (spec/server.md 7 and 9); peers compare it with their own. `GATEHOUSE_VERSION` is our own release.
 */
export const PUBLISHED_VERSION = '2026.5.0';
export const GATEHOUSE_VERSION = '0.1.0';

/** User-Agent of every call an outpost makes (spec/outpost.md 16.1). */
export const OUTPOST_USER_AGENT = `goauthentik.io/outpost/${PUBLISHED_VERSION}`;
