/** Parsers of setting values. Each returns the value or throws {@link Unusable} with half a sentence that says what is allowed. */
import { isIP } from 'node:net';
import { outpostPath } from '../contract/paths.ts';
import type { ListenAddress } from './settings.ts';

/** Why a value cannot be used, without the value itself: it may be a secret. */
export class Unusable extends Error {}

/** Text of which nothing is worth having: empty counts as not given. */
export const optionalText = (raw: string): string | undefined => (raw === '' ? undefined : raw);

/** Go's spellings of true and false (spec/outpost.md 1.3), in any case. */
export function boolean(raw: string): boolean {
  const word = raw.toLowerCase();
  if (['1', 't', 'true'].includes(word)) return true;
  if (['0', 'f', 'false'].includes(word)) return false;
  throw new Unusable('must be true or false');
}

/** A comma separated list; spaces around entries and empty entries do not count. */
export const list = (raw: string): string[] =>
  raw
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');

/** Whole number of workers: 0 = one process for everything, empty = decide by cores. */
export function workers(raw: string): number | undefined {
  if (raw === '') return undefined;
  if (!/^\d{1,3}$/.test(raw) || Number(raw) > 256) throw new Unusable('must be a whole number from 0 to 256');
  return Number(raw);
}

/** `[::]:9000`, `0.0.0.0:9000` or `:9000` (all addresses), several separated by commas. */
export function listenAddresses(raw: string): ListenAddress[] {
  const entries = list(raw);
  if (entries.length === 0) throw new Unusable('must name at least one address, such as [::]:9000');
  return entries.map(listenAddress);
}

/** The same; empty = none. */
export const listenAddressesOrNone = (raw: string): ListenAddress[] => (raw.trim() === '' ? [] : listenAddresses(raw));

function listenAddress(entry: string): ListenAddress {
  const [, inBrackets, plain = '', port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(entry) ?? [];
  const host = inBrackets ?? (plain === '' ? '::' : plain);
  const family = inBrackets === undefined && plain !== '' ? 4 : 6;
  if (port === undefined || isIP(host) !== family) {
    throw new Unusable(
      'must be addresses with a port, such as [::]:9000, 127.0.0.1:9000 or :9000 (IPv6 in brackets, no names)',
    );
  }
  if (Number(port) > 65_535) throw new Unusable('has a port over 65535');
  return { host, port: Number(port) };
}

/** Networks such as `10.0.0.0/8,::1/128`; a single address is a network of its own. Empty = none. */
export function networks(raw: string): string[] {
  return list(raw).map((entry) => {
    const [address = '', bits, ...more] = entry.split('/');
    const family = isIP(address);
    const longest = family === 4 ? 32 : 128;
    if (
      family === 0 ||
      more.length > 0 ||
      (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= longest))
    ) {
      throw new Unusable('must be networks such as 10.0.0.0/8 or fd00::/8, separated by commas');
    }
    return `${address}/${bits ?? longest}`;
  });
}

/** Networks, or the word `any` for no further restriction. */
export const networksOrAny = (raw: string): string[] | undefined => (raw.trim() === 'any' ? undefined : networks(raw));

/** Address of a server: http or https, perhaps below a path. */
export function webAddress(raw: string): string | undefined {
  if (raw === '') return undefined;
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Unusable('must be an address such as https://login.example.com');
  }
  if (url.username !== '' || url.password !== '') throw new Unusable('must not hold a name or a password');
  return raw;
}

const DURATION_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration as Go writes it, such as `5s` or `1m30s`. @returns ms */
export function goDuration(raw: string): number {
  const parts = [...raw.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== raw) {
    throw new Unusable('must be a duration such as 30s, 500ms or 1m30s');
  }
  return parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (DURATION_MS[unit] ?? 0), 0);
}

/** Published level names; `warning` is our `warn`. */
export function logLevel(raw: string): 'trace' | 'debug' | 'info' | 'warn' | 'error' {
  const level = raw.toLowerCase();
  switch (level) {
    case 'trace':
    case 'debug':
    case 'info':
    case 'warn':
    case 'error':
      return level;
    case 'warning':
      return 'warn';
    default:
      throw new Unusable('must be trace, debug, info, warning or error');
  }
}

/** Base path of the identity server; a missing slash at either end is added. */
export function webPath(raw: string): string {
  const joined = `/${raw}/`.replace(/\/{2,}/g, '/');
  if (!/^\/(?:[A-Za-z0-9._~-]+\/)*$/.test(joined) || /\/\.{1,2}\//.test(joined)) {
    throw new Unusable('must be a path such as / or /login/, of letters, digits and . _ ~ -');
  }
  // outposts answer there, on every host
  if (outpostPath(joined) !== undefined)
    throw new Unusable('must not be a path of outposts: choose one such as /auth/');
  return joined;
}

/** A host name such as `example.com`; one leading dot does not count. Empty = the host only. */
export function cookieDomain(raw: string): string {
  const name = raw.replace(/^\./, '').toLowerCase();
  if (name !== '' && !/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(name))
    throw new Unusable('must be a domain such as example.com');
  return name;
}

/** At least so long that it cannot be guessed. */
export function secretKey(raw: string): string | undefined {
  if (raw === '') return undefined;
  if (raw.length < 16) throw new Unusable('must have at least 16 characters; make one with: openssl rand -base64 48');
  return raw;
}

export function email(raw: string): string | undefined {
  if (raw === '') return undefined;
  if (!/^[^\s@]+@[^\s@]+$/.test(raw)) throw new Unusable('must be an e-mail address');
  return raw;
}

/** Names of HTTP headers. */
export function headerNames(raw: string): string[] {
  const names = list(raw);
  if (names.some((name) => !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)))
    throw new Unusable('must be header names separated by commas');
  return names;
}
