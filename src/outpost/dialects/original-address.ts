/** Which address was asked for, as nginx tells it (spec/outpost.md 5.1). */
import type { DecisiveHeaders, NormalisedRequest } from '../listen/request.ts';
import { canonicalOrigin, hostName } from '../../rules/address.ts';
import { readPath } from '../../rules/canonical-path.ts';
import type { PathReading } from '../../rules/canonical-path.ts';
import { isBelow } from '../../rules/cookie-domain.ts';
import type { HostTable } from '../../rules/hosts.ts';
import type { Site } from '../sites/site.ts';

export type OriginalAddress =
  /** `authority` and `scheme` are known from X-Original-URL only */
  | { kind: 'named'; path: PathReading; authority?: string; scheme?: 'http' | 'https' }
  | { kind: 'missing' }
  /** cannot be read, or two addresses that differ */
  | { kind: 'invalid' };

/**
 * X-Original-URI is a path with query, X-Original-URL an absolute address. A reverse proxy sets one of them; the other
 * may come from the client. So if both are there, they must agree.
 */
export function originalAddress({ originalUri, originalUrl }: DecisiveHeaders): OriginalAddress {
  const fromUri = originalUri === undefined || originalUri === '' ? undefined : originalUri;
  let fromUrl: AbsoluteAddress | undefined;
  if (originalUrl !== undefined && originalUrl !== '') {
    fromUrl = parseAbsolute(originalUrl);
    if (fromUrl === undefined) return { kind: 'invalid' };
  }
  const target = fromUri ?? fromUrl?.target;
  if (target === undefined) return { kind: 'missing' };
  if (fromUri !== undefined && fromUrl !== undefined && fromUri !== fromUrl.target) return { kind: 'invalid' };
  if (!target.startsWith('/')) return { kind: 'invalid' };
  const mark = target.indexOf('?');
  const path = readPath(mark < 0 ? target : target.slice(0, mark));
  if (fromUrl === undefined) return { kind: 'named', path };
  return { kind: 'named', path, authority: fromUrl.authority, scheme: fromUrl.scheme };
}

/**
 * Whether some part of the question names another of our applications than the one it is asked about. nginx sets Host
 * and X-Original-URL and hands on what a visitor sent as X-Forwarded-Host, which would choose an application that the
 * visitor may open and let the answer count for one they may not. Names of no application say nothing: outposts are
 * called by service names, and applications have more names than the one that is configured.
 * @param site found by `request.host`
 */
export function namesAnotherSite(
  hosts: HostTable<Site>,
  site: Pick<Site, 'pk'>,
  request: Pick<NormalisedRequest, 'host' | 'hostHeader' | 'scheme'>,
  address: OriginalAddress | undefined,
): boolean {
  const differs = (authority: string, scheme: 'http' | 'https') =>
    authority !== request.host && (hosts.find(authority, scheme) ?? site).pk !== site.pk;
  if (differs(request.hostHeader, request.scheme)) return true;
  if (address?.kind !== 'named' || address.authority === undefined) return false;
  return differs(address.authority, address.scheme ?? request.scheme);
}

/** Method of the original request, from X-Original-Method; undefined = not said, or not by one who may. */
export function originalMethod({ trusted, rawHeaders }: Pick<NormalisedRequest, 'trusted' | 'rawHeaders'>) {
  let found: string | undefined;
  if (!trusted) return undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== 17 || name.toLowerCase() !== 'x-original-method') continue;
    if (found !== undefined) return undefined;
    found = rawHeaders[i + 1];
  }
  return found;
}

/**
 * Whether a question at domain level names two hosts of the domain. nginx takes the application of
 * `GET http://closed.example/ HTTP/1.1` from the request line and `$http_host` from the visitor's Host header, so that
 * Host and X-Original-URL differ, and rules for one host would open the other. Names outside the domain (services) and
 * the authentication host (which ingresses call) say nothing here.
 */
export function namesTwoHosts(
  site: DomainSite,
  request: HostsOfQuestion,
  address: OriginalAddress | undefined,
): boolean {
  const { host, hostHeader } = request;
  const authority = authorityOf(address) ?? host;
  if (host === hostHeader && host === authority) return false;
  let found: string | undefined;
  for (const named of [hostHeader, host, authority]) {
    const name = hostName(named);
    if (name === site.external.hostname || !isBelow(name, domainOf(site))) continue;
    if (found !== undefined && found !== name) return true;
    found = name;
  }
  return false;
}

/**
 * Scheme and authority that rules of a domain are asked about: as X-Original-URL says, else the Host header.
 * @returns undefined when they are not beyond doubt, so that no rule for a host opens anything: the address lies outside
 *   the domain, or some part of the question names another host of it. X-Forwarded-Host alone may be the visitor's
 */
export function originOf(
  site: DomainSite,
  request: HostsOfQuestion & Pick<NormalisedRequest, 'scheme'>,
  address: OriginalAddress | undefined,
): string | undefined {
  const authority = authorityOf(address);
  const asked = authority ?? request.hostHeader;
  const name = hostName(asked);
  const domain = domainOf(site);
  const contradicts = (other: string) =>
    other !== asked && hostName(other) !== name && isBelow(hostName(other), domain);
  if (!isBelow(name, domain) || contradicts(request.hostHeader) || contradicts(request.host)) return undefined;
  return canonicalOrigin((address?.kind === 'named' ? address.scheme : undefined) ?? request.scheme, asked);
}

type DomainSite = Pick<Site, 'external' | 'cookieScope'>;
type HostsOfQuestion = Pick<NormalisedRequest, 'host' | 'hostHeader'>;

/** Without a domain to share only the external host is protected. */
const domainOf = ({ cookieScope, external }: DomainSite) => cookieScope.domain ?? external.hostname;

const authorityOf = (address: OriginalAddress | undefined) =>
  address?.kind === 'named' ? address.authority : undefined;

/** Every host the question names, for telling applications of a domain apart. */
export function namedHosts(
  request: Pick<NormalisedRequest, 'host' | 'hostHeader'>,
  address: OriginalAddress | undefined,
): string[] {
  const authority = authorityOf(address);
  return [request.host, request.hostHeader, ...(authority === undefined ? [] : [authority])];
}

interface AbsoluteAddress {
  scheme: 'http' | 'https';
  /** lower case */
  authority: string;
  /** path and query */
  target: string;
}

const ABSOLUTE = /^(https?):\/\/([^/?#\\\s@]+)([/?].*)?$/i;
/** What most authorities look like; for the others a parser is asked, which costs more than all the rest here. */
const PLAIN_AUTHORITY = /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*(?::[0-9]{1,4})?$/;

/** Beginning of the address parsed last, with what it says: a reverse proxy asks about few hosts again and again. */
let known = { beginning: '\n', scheme: 'http' as 'http' | 'https', authority: '' };

/** An absolute address, byte for byte: a URL parser would already resolve what must be seen here. */
function parseAbsolute(address: string): AbsoluteAddress | undefined {
  if (address.startsWith(known.beginning) && !address.includes('\n')) {
    const { scheme, authority, beginning } = known;
    return { scheme, authority, target: address.slice(beginning.length - 1) };
  }
  const match = ABSOLUTE.exec(address);
  if (match === null) return undefined;
  const named = match[2] ?? '';
  if (!PLAIN_AUTHORITY.test(named) && !URL.canParse(`http://${named}/`)) return undefined;
  const rest = match[3] ?? '/';
  const scheme = match[1]?.toLowerCase() === 'https' ? 'https' : 'http';
  const authority = named.toLowerCase();
  if (rest.startsWith('/'))
    known = { beginning: address.slice(0, address.length - rest.length + 1), scheme, authority };
  return { scheme, authority, target: rest.startsWith('?') ? `/${rest}` : rest };
}
