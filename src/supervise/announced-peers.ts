/**
 * Connections of proxies that pass on bytes (HAProxy and nginx in TCP mode, load balancers of clouds) and say before
 * the first byte whom they speak for: PROXY protocol, from trusted peers only (spec/outpost.md 1.4). A trusted peer may
 * also say nothing; then it is the peer itself.
 */
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { readProxyHead } from '../outpost/listen/proxy-protocol.ts';
import type { Announced } from '../outpost/listen/proxy-protocol.ts';

type Accept = (socket: Socket) => void;

/**
 * Reads the head of each connection of a trusted peer before the server sees the connection, which then looks as if it
 * came from the address announced. All other connections go to the server directly. To be called when the server has
 * all its own listeners.
 * @param trusts whether this address may speak for others
 * @param ms how long the first bytes may take
 * @returns connections that have not said enough yet
 */
export function takeAnnouncedPeers(
  server: Server,
  trusts: (address: string) => boolean,
  ms: number,
): ReadonlySet<Socket> {
  const waiting = new Set<Socket>();
  const own = server.listeners('connection') as Accept[];
  const hand: Accept = (socket) => own.forEach((accept) => accept.call(server, socket));
  const announced = new Map<string, Announced>();
  server.removeAllListeners('connection');
  server.on('connection', (socket) => {
    if (!trusts(socket.remoteAddress ?? '')) return hand(socket);
    waiting.add(socket);
    readHead(socket, ms, (source) => {
      waiting.delete(socket);
      if (source === undefined) return;
      if (source !== 'itself') announce(socket, source, announced);
      hand(socket);
    });
  });
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    const source = announced.size === 0 ? undefined : announced.get(placeOf(socket));
    if (source) pretend(socket, source);
  });
  return waiting;
}

/** @param done gets the source, `itself`, or `undefined` when the connection is over or was ended here */
function readHead(socket: Socket, ms: number, done: (source: Announced | 'itself' | undefined) => void): void {
  let held: Buffer | undefined;
  const finish = (source: Announced | 'itself' | undefined) => {
    clearTimeout(timer);
    socket.off('readable', look).off('end', over).off('error', over).off('close', over);
    if (source === undefined) socket.on('error', () => undefined).destroy();
    done(source);
  };
  const over = () => finish(undefined);
  const look = () => {
    const part = socket.read() as Buffer | null;
    if (part === null) return;
    held = held ? Buffer.concat([held, part]) : part;
    const head = readProxyHead(held);
    if (head.kind === 'incomplete') return; // bounded: a head that grows too long is malformed
    if (head.kind === 'malformed') return over();
    const rest = head.kind === 'none' ? held : held.subarray(head.length);
    if (rest.length > 0) socket.unshift(rest);
    finish((head.kind === 'head' && head.source) || 'itself');
  };
  const timer = setTimeout(over, ms);
  socket.on('readable', look).on('end', over).on('error', over).on('close', over);
}

/** A TLS connection does not tell which connection it lies on, but both say the same of their ends. */
const placeOf = (socket: Socket) => `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;

function announce(socket: Socket, source: Announced, announced: Map<string, Announced>): void {
  const place = placeOf(socket);
  announced.set(place, source);
  socket.once('close', () => announced.delete(place));
  pretend(socket, source);
}

function pretend(socket: Socket, { address, port }: Announced): void {
  Object.defineProperties(socket, { remoteAddress: { value: address }, remotePort: { value: port } });
}
