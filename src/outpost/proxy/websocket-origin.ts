/**
 * Which pages may open WebSockets (spec/security.md J). Browsers send cookies along with every WebSocket, whatever page
 * opens it, and no CORS protects the answer: the only thing that tells pages apart is `Origin`.
 */

/**
 * @param rawHeaders name, value, … as received
 * @param own origin of the application, as browsers write it
 * @param allowed further origins; `*` = all
 * @returns whether every `Origin` may open one. Without any the sender is no browser, and has no cookies but its own
 */
export function originAllowed(rawHeaders: readonly string[], own: string, allowed: readonly string[]): boolean {
  if (allowed.includes('*')) return true;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== 'origin') continue;
    const origin = readOrigin(rawHeaders[i + 1]!);
    if (origin === undefined || (origin !== own && !allowed.includes(origin))) return false;
  }
  return true;
}

/** @returns scheme, host and port as browsers write them; `undefined` for `null` and whatever is more or less than these */
function readOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  return url !== null && url.href === `${url.origin}/` ? url.origin : undefined;
}
