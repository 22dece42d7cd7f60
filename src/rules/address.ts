/** Addresses as rules see them. */

/** An absolute address, byte for byte: a URL parser would already resolve what rules must see. */
export interface Address {
  scheme: 'http' | 'https';
  /** lower case */
  authority: string;
  /** path without query */
  rawPath: string;
  /** without `?` */
  query: string;
}

const ABSOLUTE = /^(https?):\/\/([^/?#\\\s@]+)(\/[^?#]*)?(?:\?([^#]*))?(?:#.*)?$/is;

/** @returns undefined when the text is no http or https address; a fragment is left out, no client sends it */
export function readAddress(text: string): Address | undefined {
  const match = ABSOLUTE.exec(text);
  if (match === null) return undefined;
  const [, scheme = '', authority = '', path = '', query = ''] = match;
  if (!URL.canParse(`http://${authority}/`)) return undefined;
  return {
    scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http',
    authority: authority.toLowerCase(),
    rawPath: path === '' ? '/' : path,
    query,
  };
}

const DEFAULT_PORT = { http: /:80$/, https: /:443$/ } as const;

/**
 * Scheme, host and port as `skip_path_regex` of a domain sees them: lower case, without the default port and without
 * a dot at the end of the host.
 */
export function canonicalOrigin(scheme: 'http' | 'https', authority: string): string {
  const host = authority.toLowerCase().replace(DEFAULT_PORT[scheme], '');
  return `${scheme}://${host.replace(/\.(?=:\d+$|$)/, '')}`;
}

/** @param authority host, with or without port; an IPv6 address is below no domain and stays as it is */
export function hostName(authority: string): string {
  const colon = authority.endsWith(']') ? -1 : authority.lastIndexOf(':');
  const name = colon < 0 ? authority : authority.slice(0, colon);
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
