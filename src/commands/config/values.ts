/**
 * What a configuration is made of. Everything that comes from outside is brought into an alphabet here that means
 * nothing in any of the target syntaxes (security rule K): hosts are checked, names are reduced. So no template has to
 * quote, and none can forget to.
 */
import { isIPv6 } from 'node:net';
import type { ProviderMode } from '../../contract/api.ts';
import { CodedError } from '../../contract/errors.ts';
import { canonicalCase } from '../../contract/headers.ts';

/** An address without path, made of letters, digits and `.:-_[]` only. */
export interface Address {
  scheme: 'http' | 'https';
  /** an IPv6 address stands in brackets */
  host: string;
  port: number;
  /** host, and the port where it is not the usual one of the scheme */
  authority: string;
  /** scheme and authority */
  origin: string;
}

export interface ConfigValues {
  mode: ProviderMode;
  /** name of the provider for comments */
  title: string;
  /** name of the provider for identifiers: lower-case letters, digits and single `-` */
  slug: string;
  /** where people open the application */
  application: Address;
  /** domain level: where people sign in, the provider's external host */
  login: Address;
  /** domain level: the domain of the login */
  domain: string;
  /** where the reverse proxy reaches the outpost */
  outpost: Address;
  /** where the reverse proxy reaches the application */
  upstream: Address;
  /** further headers the provider sends, in wire casing: letters, digits and `-` only */
  headers: readonly string[];
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;

const isHost = (host: string) =>
  host.length <= 253 &&
  (host.startsWith('[') ? isIPv6(host.slice(1, -1)) : host.split('.').every((label) => LABEL.test(label)));

/**
 * Reads an address.
 * @param text what was configured or typed
 * @param what names it in messages
 * @throws CodedError `config-address` when it has more than scheme, host and port, or a host that is none
 */
export function readAddress(text: string, what: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url?.protocol === 'https:' ? 'https' : 'http';
  const bare =
    url !== undefined &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username + url.password + url.search + url.hash === '' &&
    url.pathname === '/';
  if (!bare || !isHost(url.hostname)) {
    throw new CodedError(
      'config-address',
      400,
      `${what} must be http:// or https://, a host name or address, and a port where it is not the usual one.`,
    );
  }
  return {
    scheme,
    host: url.hostname,
    port: Number(url.port) || (scheme === 'https' ? 443 : 80),
    authority: url.host,
    origin: url.origin,
  };
}

/** @throws CodedError `config-address` */
export function readDomain(text: string): string {
  const domain = text.toLowerCase().replace(/^\./, '');
  if (isHost(domain) && !domain.startsWith('[')) return domain;
  throw new CodedError('config-address', 400, 'The cookie domain of the provider must be a domain name.');
}

/** A name as it may stand in a comment: whatever could end one, or is code to a template engine, becomes `?`. */
export const forComment = (name: string): string =>
  name
    .normalize('NFC')
    .replace(/[^\p{L}\p{N} ._-]/gu, '?')
    .slice(0, 80);

/** A name as an identifier; never empty. */
export const forIdentifier = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '') || 'provider';

/** What `GET /api/v3/providers/proxy/` tells about a provider, as far as it is used. */
export interface ProviderAnswer {
  name: string;
  mode: ProviderMode;
  external_host: string;
  internal_host: string;
  cookie_domain: string;
  /** names of the headers it sends beside the published ones (contract/header-presets.ts); none when left out */
  headers?: readonly string[];
}

/** What the person who runs the command adds. */
export interface Wishes {
  outpostUrl: string;
  /** undefined: the provider's internal host, else an example */
  upstream: string | undefined;
  /** domain level: host of the application; undefined = an example below the domain */
  host: string | undefined;
}

/** @throws CodedError `config-address` for whatever cannot be written into a configuration */
export function configValues(provider: ProviderAnswer, wishes: Wishes): ConfigValues {
  const { mode, name } = provider;
  const login = readAddress(origin(provider.external_host), 'The external host of the provider');
  const domain = mode === 'forward_domain' ? readDomain(provider.cookie_domain) : '';
  const upstream = wishes.upstream ?? (provider.internal_host === '' ? EXAMPLE_UPSTREAM : provider.internal_host);
  return {
    mode,
    title: forComment(name),
    slug: forIdentifier(name),
    application: mode === 'forward_domain' ? applicationBelow(domain, login, wishes.host) : login,
    login,
    domain,
    outpost: readAddress(wishes.outpostUrl, '--outpost-url'),
    upstream: readAddress(wishes.upstream ?? origin(upstream), '--upstream'),
    headers: (provider.headers ?? []).map(readHeaderName),
  };
}

/** @throws CodedError `config-header` for a name that could mean more than a name */
function readHeaderName(name: string): string {
  if (/^[A-Za-z][A-Za-z0-9-]{0,99}$/.test(name)) return canonicalCase(name);
  throw new CodedError('config-header', 400, `A header of the provider cannot be written: ${JSON.stringify(name)}.`);
}

const EXAMPLE_UPSTREAM = 'http://localhost:5000';

/** An external or internal host may have a path; reverse proxies ask about the whole host. */
const origin = (address: string) => (URL.canParse(address) ? new URL(address).origin : address);

function applicationBelow(domain: string, login: Address, host: string | undefined): Address {
  const port = login.authority.slice(login.host.length);
  const application = readAddress(`${login.scheme}://${host ?? `app.${domain}${port}`}`, '--host');
  if (application.host !== domain && !application.host.endsWith(`.${domain}`)) {
    throw new CodedError('config-address', 400, `--host must be below ${domain}, the cookie domain of the provider.`);
  }
  return application;
}
