/** Where a person goes after a step: only ever a path of this server (spec/security.md E). */

const PLACEHOLDER = 'http://this-server.invalid';

/**
 * @param raw value of `next` as received
 * @param webPath base path of the server, starts and ends with a slash
 * @returns path, query and fragment as browsers will read them, or `undefined` when the value leads elsewhere or
 *   back into a login or logout page (which would loop)
 */
export function safeNext(raw: unknown, webPath: string): string | undefined {
  if (typeof raw !== 'string' || !raw.startsWith('/') || raw.length > 8192) return undefined;
  // Browsers drop tabs and line breaks and read a backslash as a slash: refuse before anybody interprets them.
  if (/[^ -\u{10ffff}]/u.test(raw) || raw.includes('\\') || raw.includes('\u007f')) return undefined;
  const url = URL.parse(raw, PLACEHOLDER);
  if (url === null || url.origin !== PLACEHOLDER) return undefined;
  // `/.//evil.test` parses to the path `//evil.test`, which would be another host in a Location header
  if (url.pathname.startsWith('//') || !url.pathname.startsWith(webPath)) return undefined;
  if (url.pathname.startsWith(`${webPath}if/flow/`) || url.pathname.startsWith(`${webPath}flows/-/`)) return undefined;
  return url.pathname + url.search + url.hash;
}
