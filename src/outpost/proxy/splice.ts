/** Two connections that became one: what comes from one side goes to the other, untouched. */
import type { Socket } from 'node:net';

/** After so many ms TCP asks a silent peer whether it is still there. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Joins two connections until both are closed. Each side is read at the pace of the other; a side that has said all may
 * still listen; an error on one side, or silence on both, ends both.
 * @param idle ms without a byte in either direction; 0 = no limit
 * @param onEnd called once, when both are closed
 */
export function splice(client: Socket, upstream: Socket, idle: number, onEnd?: () => void): void {
  let open = 2;
  upstream.allowHalfOpen = true; // the client's connection is so already
  for (const [side, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    side.setKeepAlive(true, KEEP_ALIVE_MS);
    side.setTimeout(idle);
    side.on('timeout', () => side.destroy());
    side.on('error', () => other.destroy());
    side.once('close', () => {
      if (!side.readableEnded || !side.writableFinished) other.destroy();
      if (--open === 0) onEnd?.();
    });
    if (side.destroyed) other.destroy();
  }
  client.pipe(upstream).pipe(client);
}
