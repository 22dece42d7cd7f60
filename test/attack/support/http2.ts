/** Attacks over HTTP/2: a client library where it sends what is asked, frames by hand where it would not. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { PREFACE, SETTINGS } from '../../harness/http2-frames.ts';

export interface Http2Answer {
  /** 0 = none: the stream was reset */
  status: number;
  text: string;
}

/** One request over a connection of its own. */
export async function askHttp2(port: number, headers: OutgoingHttpHeaders, body?: Buffer): Promise<Http2Answer> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  try {
    const stream = session.request(headers, { endStream: body === undefined });
    stream.on('error', () => undefined);
    if (body !== undefined) stream.end(body);
    let status = 0;
    stream.on('response', (head) => (status = head[':status'] ?? 0));
    let text = '';
    stream.on('data', (part) => (text += String(part)));
    await once(stream, 'close').catch(() => undefined);
    return { status, text };
  } finally {
    session.destroy();
  }
}

/** A connection on which HTTP/2 is agreed and begun; frames come next. */
export async function openFrames(port: number): Promise<TLSSocket> {
  const socket = await secure(connectTcp({ port, host: '127.0.0.1' }), 'h2');
  socket.write(Buffer.concat([PREFACE, SETTINGS]));
  return socket;
}

/** TLS on a connection that may have said something before. */
export async function secure(raw: Socket, protocol: 'h2' | 'http/1.1'): Promise<TLSSocket> {
  const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: [protocol] });
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]).catch(() => undefined);
  return socket;
}

/** @returns whether the server ended the connection within `ms` */
export async function endedWithin(socket: Socket, ms: number): Promise<boolean> {
  if (socket.destroyed || socket.readableEnded) return true;
  socket.resume();
  const timer = new AbortController();
  const ended = Promise.race([once(socket, 'close', timer), once(socket, 'end', timer)]).then(
    () => true,
    () => true,
  );
  let clock: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (clock = setTimeout(resolve, ms, false)));
  const result = await Promise.race([ended, late]);
  clearTimeout(clock);
  timer.abort();
  return result;
}
