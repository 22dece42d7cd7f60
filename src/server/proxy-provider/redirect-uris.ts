/** Where a sign-in may end: generated from the external host, never typed in (spec/server.md 3.4). */
import { AKPROX_PREFIX, CALLBACK_SIGNATURE, OUTPOST_PREFIX } from '../../contract/paths.ts';

const SIGNED = `?${CALLBACK_SIGNATURE}=true`;

/** The two URIs the published API shows; both match as exact text. */
export function redirectUris(externalHost: string): string[] {
  return [join(externalHost, OUTPOST_PREFIX) + SIGNED, externalHost + SIGNED];
}

/**
 * Every URI the OpenID Provider accepts, compared as exact text: the published ones; the callback below an external
 * host with a path but no slash at its end, as outposts name it; and the callback of the older generation
 * (`/akprox`), with and without the signature.
 */
export function acceptedRedirectUris(externalHost: string): string[] {
  const below = (prefix: string) => [join(externalHost, prefix), join(externalHost.replace(/\/?$/, '/'), prefix)];
  const older = below(AKPROX_PREFIX);
  const signed = [...below(OUTPOST_PREFIX), ...older].map((uri) => uri + SIGNED);
  return [...new Set([...redirectUris(externalHost), ...signed, ...older])];
}

/** RFC 3986 relative resolution, as published: `https://h/app` and `https://h/app/` lead to different places. */
const join = (externalHost: string, prefix: string) => new URL(`${prefix.slice(1)}/callback`, externalHost).href;
