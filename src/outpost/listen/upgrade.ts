/** Requests that want to leave HTTP (RFC 9110 7.8): WebSockets and the like. They are decided like any other request. */
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Protocols in which further requests travel. Nobody would decide about those, so such an upgrade is ignored, as
 * RFC 9110 allows: the request is answered in HTTP/1.1.
 */
const CARRIES_REQUESTS = /^(?:h2c?|h3|http|tls|spdy)(?:[-/].*)?$/;
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/;

/**
 * The protocols a request may be upgraded to.
 * @returns their names, lower case; `undefined` when the request is an ordinary one, or has to be answered as one
 */
export function upgradeProtocols(req: Pick<IncomingMessage, 'headers' | 'httpVersion'>): string[] | undefined {
  const { headers, httpVersion } = req;
  if (headers.upgrade === undefined || httpVersion !== '1.1') return undefined;
  // what follows a head is either a body or the other protocol: with a body nobody could tell where it ends
  const { 'transfer-encoding': coding, 'content-length': length = '0' } = headers;
  if (coding !== undefined || length !== '0') return undefined;
  const names = headers.upgrade.split(',').map((name) => name.trim().toLowerCase());
  return names.every((name) => TOKEN.test(name) && !CARRIES_REQUESTS.test(name)) ? names : undefined;
}

/** A connection whose request may leave HTTP. */
export interface Upgrade {
  readonly socket: Socket;
  /** bytes that came right behind the head: they belong to the other protocol, and wait until it is agreed on */
  readonly head: Buffer;
  /** as asked for, lower case */
  readonly protocols: readonly string[];
}

/**
 * Node hands over an upgrade without a response. This is one, so that whatever is not upgraded is answered like any
 * request; the connection ends with that answer.
 * @returns `undefined` when an earlier answer on the connection is not finished, which no honest client does: it has
 *   no place in that order
 */
export function responseFor(req: IncomingMessage, { socket }: Upgrade): ServerResponse | undefined {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  try {
    res.assignSocket(socket);
  } catch {
    return undefined;
  }
  // the server of Node does all this for its own responses
  socket.on('error', () => undefined); // its 'close' follows
  const drained = () => res.emit('drain');
  const idle = () => void (res.emit('timeout') || socket.destroy());
  socket.on('drain', drained).on('timeout', idle);
  const done = () => socket.off('drain', drained).off('timeout', idle);
  res.once('finish', () => {
    done();
    res.detachSocket(socket);
    socket.resume(); // unread bytes would make the kernel drop the answer
    socket.destroySoon();
    res.emit('close');
  });
  res.once(HANDED_OVER, done);
  return res;
}

const HANDED_OVER = Symbol('handed over');

/** Takes the connection out of HTTP: what is written to it from now on is the other protocol. */
export function takeOver(res: ServerResponse, { socket }: Upgrade): void {
  res.detachSocket(socket);
  res.emit(HANDED_OVER);
}
