/** `external_host` of a provider: where people reach its application. */
export interface ExternalHost {
  readonly scheme: 'http' | 'https';
  /** lower case, without port */
  readonly hostname: string;
  /** authority as browsers write it: no default port */
  readonly host: string;
  readonly origin: string;
  /** path below which the application lives, without trailing slash */
  readonly basePath: string;
  /** start page: the external host as an address */
  readonly href: string;
}

/** @returns undefined when the text is no http or https address */
export function readExternalHost(address: string): ExternalHost | undefined {
  const url = URL.parse(address);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') return undefined;
  return {
    scheme: url.protocol === 'https:' ? 'https' : 'http',
    hostname: url.hostname.replace(/\.$/, ''),
    host: url.host,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    href: url.origin + url.pathname,
  };
}
