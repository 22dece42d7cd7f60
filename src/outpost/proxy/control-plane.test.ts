import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ControlPlaneProxy } from './control-plane.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-cp-'));
const socketPath = path.join(folder, 's');
const vouched = { clientAddress: '192.0.2.9', scheme: 'https', host: 'auth.example.test', requestId: 'r-1' } as const;

describe('ControlPlaneProxy', () => {
  const proxy = new ControlPlaneProxy({ socketPath, credential: 'boot-secret' });
  let controlPlane: Server;
  let front: Server;
  let port: number;

  before(async () => {
    controlPlane = createServer((req, res) => {
      res.setHeader('Set-Cookie', ['authentik_session=s; Path=/', 'b=2']);
      res.end(JSON.stringify({ headers: req.headers, url: req.url }));
    });
    controlPlane.on('upgrade', (req: IncomingMessage, socket) => {
      if (req.url === '/ws/refused')
        return socket.end('HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Peer: ${String(req.headers['x-gatehouse-peer'])}\r\n\r\nhello `,
      );
      socket.pipe(socket);
    });
    controlPlane.listen(socketPath);
    front = createServer((req, res) =>
      proxy.handle(req, res, vouched, (error) => res.writeHead(error.status).end(error.code)),
    );
    front.on('upgrade', (req, socket, head) => proxy.upgrade(req, socket, head, vouched));
    front.listen(0, '127.0.0.1');
    await Promise.all([once(controlPlane, 'listening'), once(front, 'listening')]);
    port = (front.address() as AddressInfo).port;
  });
  after(async () => {
    front.close().closeAllConnections();
    controlPlane.close();
    controlPlane.closeAllConnections();
    await proxy.destroy();
    rmSync(folder, { recursive: true });
  });

  async function ask(
    headers: Record<string, string>,
    target = '/a%2Fb?x=1',
  ): Promise<{ res: IncomingMessage; body: string }> {
    const outgoing = request({ host: '127.0.0.1', port, path: target, headers, agent: false }).end();
    const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
    let body = '';
    for await (const part of res) body += String(part);
    return { res, body };
  }

  async function raw(text: string): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    socket.write(text);
    let all = '';
    for await (const part of socket) {
      all += String(part);
      if (all.includes('ping')) break;
    }
    return all;
  }

  it('says who asks, whatever the client claims', async () => {
    const { res, body } = await ask({
      'X-Gatehouse-Link': 'guess',
      X_Gatehouse_Peer: '127.0.0.1',
      'x.gatehouse.host': 'evil.test',
      'X-Gatehouse-Peer': '127.0.0.1',
      'X-Forwarded-For': '127.0.0.1',
      X_Forwarded_Host: 'evil.test',
      Forwarded: 'for=127.0.0.1',
      'X-Real-IP': '127.0.0.1',
      'X-Gatehouse-Extension': '1',
      Authorization: 'Bearer kept',
      Cookie: 'authentik_session=kept',
    });
    const { headers, url } = JSON.parse(body) as { headers: Record<string, string>; url: string };
    assert.equal(url, '/a%2Fb?x=1');
    const { host, authorization, cookie, connection, ...rest } = headers;
    assert.deepEqual([host, authorization, cookie], ['auth.example.test', 'Bearer kept', 'authentik_session=kept']);
    assert.ok(connection);
    assert.deepEqual(rest, {
      'x-gatehouse-extension': '1',
      'x-gatehouse-link': 'boot-secret',
      'x-gatehouse-peer': '192.0.2.9',
      'x-gatehouse-scheme': 'https',
      'x-gatehouse-host': 'auth.example.test',
      'x-gatehouse-request-id': 'r-1',
    });
    assert.deepEqual(res.headers['set-cookie'], ['authentik_session=s; Path=/', 'b=2']);
  });

  it('passes an upgrade both ways, and a refusal as it is', async () => {
    const head = (path: string) =>
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Gatehouse-Peer: 127.0.0.1\r\n\r\n`;
    const talk = await raw(`${head('/ws/outpost/x/')}ping`);
    assert.match(talk, /^HTTP\/1\.1 101 [^]*X-Peer: 192\.0\.2\.9\r\n[^]*hello ping$/);
    const refused = await raw(head('/ws/refused'));
    assert.match(refused, /^HTTP\/1\.1 403 Forbidden\r\nX-Why: no\r\n[^]*\r\n\r\nno$/);
  });

  it('answers 503 with a time to come back while the control plane is away', async () => {
    const away = new ControlPlaneProxy({ socketPath: path.join(folder, 'nobody'), credential: 'x' });
    const server = createServer((req, res) =>
      away.handle(req, res, vouched, (error) => res.writeHead(error.status).end(error.code)),
    );
    server.on('upgrade', (req, socket, head) => away.upgrade(req, socket, head, vouched));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const before = port;
    port = (server.address() as AddressInfo).port;
    try {
      const { res, body } = await ask({});
      assert.deepEqual([res.statusCode, body], [503, 'control-plane-down']);
      const upgrade = await raw('GET /ws/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      assert.match(upgrade, /^HTTP\/1\.1 503 [^]*Retry-After/);
    } finally {
      port = before;
      server.close().closeAllConnections();
      await away.destroy();
    }
  });
});
