/**
 * Upgrades through proxy mode: the request goes to the application like any other; once it agrees, its head is passed on
 * and the two connections become one. Subprotocols, extensions, messages and close codes are theirs alone.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { CodedError } from '../../contract/errors.ts';
import { takeOver } from '../listen/upgrade.ts';
import type { Upgrade } from '../listen/upgrade.ts';
import { Carrier, planFor } from './carry.ts';
import { responseHeaders } from './response-headers.ts';
import { splice } from './splice.ts';
import { DEFAULT_LIMITS } from './target.ts';
import type { ProxyTarget } from './target.ts';

/** Appended to the key of a WebSocket before it is hashed (RFC 6455 1.3). */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A connection that left HTTP. `destroy` ends both its sides. */
export interface Upgraded {
  destroy(): void;
}

/** Told of an upgrade the application agreed to. @returns what is called when the connection is closed */
export type OnSwitched = (connection: Upgraded) => () => void;

/** Carries an allowed upgrade. An answer other than 101 is passed on like any answer. */
export function carryUpgrade(
  req: IncomingMessage,
  res: ServerResponse,
  upgrade: Upgrade,
  target: ProxyTarget,
  onSwitched: OnSwitched,
): Carrier {
  const switched = (raw: readonly string[], upstream: Socket): void => {
    const problem = problemOf(raw, upgrade, req.headers['sec-websocket-key']);
    if (problem !== undefined) {
      upstream.destroy();
      throw problem;
    }
    const { socket, head } = upgrade;
    res.statusCode = 101;
    takeOver(res, upgrade);
    const connection: Upgraded = { destroy: () => void socket.destroy() };
    const closed = onSwitched(connection);
    splice(socket, upstream, (target.limits ?? DEFAULT_LIMITS).upgraded, closed);
    socket.write(headText(raw, target), 'latin1');
    if (head.length > 0) upstream.write(head);
  };
  return new Carrier(req, res, target, (failure) => target.onFailure(req, res, failure)).start({
    ...planFor(req, target),
    upgrade: { protocols: upgrade.protocols.join(', '), switched },
  });
}

/**
 * A server that says 101 and means something else goes on speaking HTTP, and whatever the client sends next would be
 * requests nobody decided about. So it has to name a protocol that was asked for and, for a WebSocket, to have
 * understood the key (RFC 6455 4.1).
 */
function problemOf(raw: readonly string[], { protocols }: Upgrade, key: string | undefined): CodedError | undefined {
  const agreed = valueOf(raw, 'upgrade')?.toLowerCase() ?? '';
  if (!protocols.includes(agreed)) return notAgreed(`101 with Upgrade: ${agreed}`);
  if (agreed !== 'websocket') return undefined;
  const accept = createHash('sha1')
    .update(`${key ?? ''}${WEBSOCKET_GUID}`)
    .digest('base64');
  if (key === undefined || valueOf(raw, 'sec-websocket-accept') !== accept) {
    return notAgreed('101 with a wrong Sec-WebSocket-Accept');
  }
  return undefined;
}

const notAgreed = (detail: string) =>
  new CodedError('upstream-upgrade', 502, 'The application did not accept the connection as it was asked to.', detail);

function headText(raw: readonly string[], target: ProxyTarget): string {
  const headers = responseHeaders(raw, target, false);
  headers.push('Connection', 'Upgrade', 'Upgrade', valueOf(raw, 'upgrade') ?? '');
  let text = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function valueOf(raw: readonly string[], lower: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.toLowerCase() === lower) return raw[i + 1]!.trim();
  }
  return undefined;
}
