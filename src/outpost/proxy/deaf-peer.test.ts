import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlPlaneProxy } from './control-plane.ts';
import { DeafPeerSocket } from './deaf-peer.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-deaf-'));
after(() => rmSync(folder, { recursive: true }));

/** Answers the first bytes of every connection and closes while more is coming. */
async function deafServer(name: string, answer: () => string) {
  const socketPath = path.join(folder, name);
  const server = createSocketServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer(), () => socket.destroy()));
  }).listen(socketPath);
  await once(server, 'listening');
  return { socketPath, server };
}

describe('DeafPeerSocket', () => {
  const text = 'HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig';

  it('reads the answer after a write failed, and then the end', async () => {
    const { socketPath, server } = await deafServer('alone', () => text);
    const socket: Socket = new DeafPeerSocket();
    try {
      await once(socket.connect({ path: socketPath }), 'connect'); // nobody reads yet
      socket.write('first');
      await sleep(50); // the other side has answered and closed
      for (const part of ['second', 'third']) {
        await new Promise<void>((sent, failed) => {
          socket.write(part, (error) => (error ? failed(error) : sent()));
        });
      }
      let all = '';
      for await (const part of socket) all += String(part);
      assert.equal(all, text);
    } finally {
      socket.destroy();
      server.close();
    }
  });

  describe('to the control plane', () => {
    let front: Server;
    let proxy: ControlPlaneProxy;
    let server: Awaited<ReturnType<typeof deafServer>>['server'];
    let answer = text;
    before(async () => {
      const deaf = await deafServer('proxy', () => answer);
      server = deaf.server;
      proxy = new ControlPlaneProxy({ socketPath: deaf.socketPath, credential: 'x' });
      const vouched = { clientAddress: '192.0.2.9', scheme: 'https', host: 'a.test', requestId: 'r' } as const;
      front = createServer((req, res) =>
        proxy.handle(req, res, vouched, (error) => res.writeHead(error.status).end(error.code)),
      ).listen(0, '127.0.0.1');
      await once(front, 'listening');
    });
    after(async () => {
      front.close().closeAllConnections();
      server.close();
      await proxy.destroy();
    });

    /** A body that is still being sent when the answer comes. */
    async function post(): Promise<{ status: number; body: string }> {
      const outgoing = request({ host: '127.0.0.1', port: (front.address() as AddressInfo).port, method: 'POST' });
      outgoing.setHeader('Content-Length', 1_000_000);
      outgoing.write(Buffer.alloc(200_000));
      const more = setInterval(() => outgoing.write(Buffer.alloc(1000)), 1);
      try {
        const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
        let body = '';
        for await (const part of res) body += String(part);
        return { status: res.statusCode ?? 0, body };
      } finally {
        clearInterval(more);
        outgoing.on('error', () => undefined).destroy();
      }
    }

    it('delivers the refusal of a body that was not wanted', async () => {
      answer = text;
      for (let i = 0; i < 30; i++) assert.deepEqual(await post(), { status: 413, body: 'big' }, `attempt ${i}`);
    });

    it('says 503 when the connection ends without an answer', async () => {
      answer = '';
      assert.deepEqual(await post(), { status: 503, body: 'control-plane-down' });
    });
  });
});
