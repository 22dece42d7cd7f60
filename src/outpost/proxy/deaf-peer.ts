import { Socket } from 'node:net';
import type { buildConnector } from 'undici';

/** How a write fails once the other side reads no more. */
const READS_NO_MORE: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET']);

type Done = (error?: Error | null) => void;

/**
 * A connection whose answer outlives a failed write. A server may answer a request it does not want whole (413) and
 * close; Node would destroy the connection at the next write, and with it the answer that waits unread in the kernel.
 * Here what cannot be sent is dropped and reading goes on: to the answer, or to the end of the connection, which is
 * the error then.
 */
export class DeafPeerSocket extends Socket {
  #deaf = false;

  override _write(chunk: unknown, encoding: BufferEncoding, callback: Done): void {
    if (this.#deaf) return callback();
    super._write(chunk, encoding, this.#unlessDeaf(callback));
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: Done): void {
    if (this.#deaf) return callback();
    super._writev?.(chunks, this.#unlessDeaf(callback));
  }

  #unlessDeaf(callback: Done): Done {
    return (error) => {
      this.#deaf = READS_NO_MORE.has((error as NodeJS.ErrnoException | undefined | null)?.code ?? '');
      callback(this.#deaf ? null : error);
    };
  }
}

/** undici's way to open such connections to a Unix socket. */
export function deafPeerConnector(socketPath: string): buildConnector.connector {
  return (_, callback) => {
    const socket = new DeafPeerSocket();
    const failed = (error: Error) => callback(error, null);
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      callback(null, socket);
    });
    socket.connect({ path: socketPath });
  };
}
