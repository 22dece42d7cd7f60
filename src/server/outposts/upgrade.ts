/** The WebSocket handshake of outposts at `/ws/outpost/<uuid>/` (spec/server.md 9). */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { MAX_FRAME_BYTES } from '../../contract/messages.ts';
import type { ServerContext } from '../context.ts';
import { takeLink } from '../link.ts';
import type { LinkCredentials } from '../link.ts';
import { authenticateBearer } from './authenticate.ts';

/**
 * @param credentials of this boot's private socket
 * @returns a handler for the HTTP server's `upgrade` event; whoever may not is refused before the handshake
 */
export function outpostUpgrades(
  ctx: ServerContext,
  credentials: LinkCredentials,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES, perMessageDeflate: false });
  const prefix = `${ctx.settings.webPath}ws/outpost/`;
  return (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const accept = async () => {
      const link = takeLink(request.headers, credentials);
      if (link === undefined) return refuse(socket, '403 Forbidden');
      const url = new URL(request.url ?? '/', 'http://localhost');
      const uuid = url.pathname.slice(prefix.length, -1);
      if (url.pathname !== `${prefix}${uuid}/` || !/^[0-9a-f-]{36}$/.test(uuid)) return refuse(socket, '404 Not Found');
      const key = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const allowed = async () => (await authenticateBearer(ctx, key, link.internal))?.outpost?.uuid === uuid;
      if (!(await allowed())) return refuse(socket, '403 Forbidden');
      server.handleUpgrade(request, socket, head, (webSocket) => {
        const instance = url.searchParams.get('instance_uuid') ?? undefined;
        ctx.hub.attach(webSocket, { outpostUuid: uuid, instance, stillAllowed: allowed });
      });
    };
    accept().catch((error: unknown) => {
      ctx.log.error({ err: error }, 'an outpost could not be connected');
      refuse(socket, '503 Service Unavailable');
    });
  };
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
