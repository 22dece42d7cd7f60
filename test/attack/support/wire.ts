/**
 * Bytes on a socket, for what an HTTP client refuses to send: broken framing, odd line ends, half a request.
 */
import { connect } from 'node:net';

/** An answer that was not followed by anything for this long is the last one. */
const SILENCE_MS = 400;

export interface Received {
  /** everything the server sent, as latin-1 */
  text: string;
  /** status of every answer that can be made out, in order */
  statuses: number[];
  /** whether the server closed the connection within the time given */
  closed: boolean;
  /** what was sent, for failure messages */
  sent: string;
}

/** A server that closes does so long before, however slow the machine. */
const PATIENCE_MS = 8_000;

/** Sends bytes to a server that has to close the connection, and listens until it does. */
export const speakToEnd = (port: number, bytes: string): Promise<Received> =>
  speak(port, bytes, PATIENCE_MS, '127.0.0.1', PATIENCE_MS);

/**
 * Sends bytes and listens.
 * @param bytes latin-1 text, sent as it is
 * @param wait ms to listen at most; the call ends earlier when the server closes, or says nothing more
 * @param most ms of silence after which it has said all
 */
export function speak(
  port: number,
  bytes: string,
  wait = 1500,
  from = '127.0.0.1',
  most = SILENCE_MS,
): Promise<Received> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from });
    const chunks: Buffer[] = [];
    let closed = false;
    const finish = () => {
      clearTimeout(timer);
      clearTimeout(silence);
      socket.destroy();
      const text = Buffer.concat(chunks).toString('latin1');
      const statuses = [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map((m) => Number(m[1]));
      resolve({ text, statuses, closed, sent: JSON.stringify(bytes.length > 300 ? `${bytes.slice(0, 300)}…` : bytes) });
    };
    const timer = setTimeout(finish, wait);
    socket.on('connect', () => socket.write(Buffer.from(bytes, 'latin1')));
    let silence: NodeJS.Timeout | undefined;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      clearTimeout(silence);
      silence = setTimeout(finish, most);
    });
    socket.on('error', () => {
      closed = true;
    });
    socket.on('close', () => {
      closed = true;
      finish();
    });
  });
}
