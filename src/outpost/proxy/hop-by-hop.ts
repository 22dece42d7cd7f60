/**
 * Headers that belong to one connection and are never passed on (RFC 9110 7.6.1). `transfer-encoding` and
 * `content-length` framing is made anew on each side.
 */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Headers a `Connection` field cannot take away, whatever it says: framing, routing, and where a request came from. */
const KEPT = /^(host|content-(length|type|encoding)|forwarded|x-forwarded-.*|x-real-ip|keep-alive|close|)$/;

const NONE: ReadonlySet<string> = new Set();

/**
 * Names the `Connection` fields of a message declare hop-by-hop, lower case.
 * @param values all values of its `Connection` fields
 */
export function connectionNames(values: readonly string[]): ReadonlySet<string> {
  if (values.length === 0) return NONE;
  const names = new Set<string>();
  for (const value of values) {
    for (const token of value.split(',')) {
      const name = token.trim().toLowerCase();
      if (!KEPT.test(name)) names.add(name);
    }
  }
  return names;
}

/** @param lower lower-case header name */
export function isHopByHop(lower: string, named: ReadonlySet<string>): boolean {
  return HOP_BY_HOP.has(lower) || named.has(lower);
}

/** Cookies of ours: sessions and attempts of every outpost, and the identity server's, whose host an application may share. */
export function isOwnCookie(name: string): boolean {
  const lower = name.trim().toLowerCase();
  return lower.startsWith('authentik_proxy_') || lower === 'authentik_session' || lower === 'authentik_csrf';
}
