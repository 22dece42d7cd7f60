/**
 * The head of the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a proxy that passes on bytes
 * says about the connection before its first byte. Read strictly: a proxy that writes it wrongly, or somebody in its
 * place, must not be guessed at.
 *
 * Ours because the libraries there are take a whole message and cannot tell "not yet all of it" from "wrong".
 */
import { isIPv4, isIPv6 } from 'node:net';

/** Where a connection really comes from. */
export interface Announced {
  address: string;
  port: number;
}

export type ProxyHead =
  /** these bytes begin something else */
  | { kind: 'none' }
  /** so far it is a head */
  | { kind: 'incomplete' }
  /** `length` bytes of head; `source` undefined = the proxy speaks for itself or does not know (LOCAL, UNKNOWN) */
  | { kind: 'head'; length: number; source: Announced | undefined }
  | { kind: 'malformed' };

const NONE: ProxyHead = { kind: 'none' };
const INCOMPLETE: ProxyHead = { kind: 'incomplete' };
const MALFORMED: ProxyHead = { kind: 'malformed' };

const V1 = Buffer.from('PROXY ', 'latin1');
const V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** with its line end (2.1) */
const V1_MAX = 107;
const V2_FIXED = 16;
/** The addresses and all further values. Nobody sends more than a few hundred bytes; 65,535 could be said. */
const V2_MAX = 4096;

/** @param bytes everything that came so far, at least one byte */
export function readProxyHead(bytes: Buffer): ProxyHead {
  const first = bytes[0];
  if (first === V1[0] && begins(bytes, V1)) return bytes.length < V1.length ? INCOMPLETE : version1(bytes);
  if (first === V2[0] && begins(bytes, V2)) return bytes.length < V2_FIXED ? INCOMPLETE : version2(bytes);
  return NONE;
}

/** Whether the bytes agree with a signature as far as both go. */
function begins(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

const LINE =
  /^PROXY (TCP[46]) ([0-9.]{7,15}|[0-9a-fA-F:.]{2,45}) ([0-9.]{7,15}|[0-9a-fA-F:.]{2,45}) (\d{1,5}) (\d{1,5})$/;

function version1(bytes: Buffer): ProxyHead {
  const end = bytes.indexOf(0x0a);
  if (end < 0) return bytes.length < V1_MAX ? INCOMPLETE : MALFORMED;
  if (end >= V1_MAX || bytes[end - 1] !== 0x0d) return MALFORMED;
  const line = bytes.toString('latin1', 0, end - 1);
  const length = end + 1;
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/.test(line)) return { kind: 'head', length, source: undefined };
  const [, family, address = '', destination = '', port = '', destinationPort = ''] = LINE.exec(line) ?? [];
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6;
  const whole = isAddress(address) && isAddress(destination) && isPort(port) && isPort(destinationPort);
  return whole ? { kind: 'head', length, source: { address, port: Number(port) } } : MALFORMED;
}

const isPort = (text: string) => Number(text) <= 65_535 && String(Number(text)) === text;

/** Version and command in one byte, family and transport in the next (2.2). */
const LOCAL = 0x20;
const PROXY = 0x21;
const UNSPECIFIED = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;
const UNIX_STREAM = 0x31;

function version2(bytes: Buffer): ProxyHead {
  const command = bytes[12]!;
  const family = bytes[13]!;
  const rest = bytes.readUInt16BE(14);
  if ((command !== LOCAL && command !== PROXY) || rest > V2_MAX) return MALFORMED;
  const length = V2_FIXED + rest;
  if (bytes.length < length) return INCOMPLETE;
  if (command === LOCAL || family === UNSPECIFIED || family === UNIX_STREAM) {
    return { kind: 'head', length, source: undefined };
  }
  // source, destination, their ports; what follows (type-length-value) is skipped
  if (family === TCP4 && rest >= 12) {
    const address = Array.from(bytes.subarray(16, 20)).join('.');
    return { kind: 'head', length, source: { address, port: bytes.readUInt16BE(24) } };
  }
  if (family === TCP6 && rest >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + 2 * i).toString(16));
    return { kind: 'head', length, source: { address: groups.join(':'), port: bytes.readUInt16BE(48) } };
  }
  return MALFORMED;
}
