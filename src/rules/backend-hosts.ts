/**
 * Which backends a token may lead a person to (claim `ak_proxy.backend_override`, spec/outpost.md 12). What stands in it
 * is made of what people may choose, such as their names: so the host must be allowed, and the path must mean one thing
 * (spec/security.md K).
 */
import { readPath } from './canonical-path.ts';

/** An entry of the setting `backend_hosts`. */
export interface BackendHost {
  /** lower case; for `*.apps.internal` what follows the star, with its dot */
  readonly name: string;
  /** the star stands for exactly one label */
  readonly anyLabel: boolean;
  /** undefined = the usual one of the scheme */
  readonly port: number | undefined;
  readonly text: string;
}

const HOST_NAME = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)$/;

/**
 * Reads `host`, `host:port` or `*.host`.
 * @returns `undefined` when it is none of these
 */
export function readBackendHost(text: string): BackendHost | undefined {
  const anyLabel = text.startsWith('*.');
  const rest = anyLabel ? text.slice(2) : text;
  const url = /[/?#@\\\s]|:$/.test(rest) ? null : URL.parse(`http://${rest}`);
  if (url === null || !HOST_NAME.test(url.hostname) || (anyLabel && /^\[|^[\d.]+$/.test(url.hostname)))
    return undefined;
  const port = /:(\d{1,5})$/.exec(rest)?.[1];
  const name = anyLabel ? `.${url.hostname}` : url.hostname;
  return { name, anyLabel, port: port === undefined ? undefined : Number(port), text };
}

/** @returns the address as an entry, so that its own host is among the allowed ones */
export function ownBackendHost(address: string): BackendHost | undefined {
  const url = URL.parse(address);
  return url === null ? undefined : { name: url.hostname, anyLabel: false, port: portOf(url), text: url.host };
}

/** Scheme, host and path; the path as it is put in front of what is asked for. */
const OVERRIDE = /^https?:\/\/[^/?#@\\]+(\/[^?#\\]*)?$/i;

/**
 * Reads a backend as a token names it.
 * @returns `undefined` for whatever is no http(s) address, or more than scheme, host and path, or has a path that servers
 *   read differently
 */
export function readBackend(override: string): URL | undefined {
  const match = OVERRIDE.exec(override);
  const url = match === null || !override.isWellFormed() ? null : URL.parse(override);
  if (match === null || url === null) return undefined;
  const path = (match[1] ?? '/').replace(/[^\x21-\x7e]/gu, (letter) => encodeURIComponent(letter));
  return readPath(path).kind === 'malformed' ? undefined : url;
}

/** @returns the entry that allows this backend */
export function allowingEntry(backend: URL, entries: readonly BackendHost[]): BackendHost | undefined {
  return entries.find(
    ({ name, anyLabel, port }) =>
      portOf(backend) === (port ?? usualPort(backend)) &&
      (anyLabel ? isOneLabelBelow(backend.hostname, name) : backend.hostname === name),
  );
}

function isOneLabelBelow(hostname: string, suffix: string): boolean {
  const label = hostname.slice(0, -suffix.length);
  return hostname.endsWith(suffix) && label !== '' && !label.includes('.');
}

const usualPort = (url: URL) => (url.protocol === 'https:' ? 443 : 80);
const portOf = (url: URL) => (url.port === '' ? usualPort(url) : Number(url.port));

/** A Host header of its own that a token names (claim `ak_proxy.host_header`): a name or address, and a port. */
const HOST_HEADER = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/;

export const isHostHeader = (text: string): boolean => text.length <= 260 && HOST_HEADER.test(text);
