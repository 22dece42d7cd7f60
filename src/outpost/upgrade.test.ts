import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { IncomingMessage, Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import type { ClientOptions } from 'ws';
import { makeCertificate } from '../certificates/make.ts';
import { ALICE, outpostInstance, providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import type { Person } from './data-plane.test-helper.ts';

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

/** The application: echoes messages, says what the handshake was, and misbehaves where asked to. */
class Application {
  readonly seen: IncomingMessage[] = [];
  readonly closed: [number, string][] = [];
  readonly http: Server = createServer((req, res) => {
    this.seen.push(req);
    res.end('plain');
  });
  readonly sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
  });

  constructor() {
    this.http.on('upgrade', (req, socket: Socket, head) => {
      this.seen.push(req);
      socket.on('error', () => undefined);
      if (req.url === '/busy') return socket.end('HTTP/1.1 503 Busy\r\nX-Why: full\r\nContent-Length: 4\r\n\r\nfull');
      if (req.url === '/liar') return socket.write(`HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`);
      if (req.url === '/no-key') {
        const text = 'HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n';
        return socket.write(text);
      }
      if (req.url === '/tunnel') {
        socket.write(
          'HTTP/1.1 101 ok\r\nConnection: Upgrade\r\nUpgrade: Tunnel/1\r\nX-Authentik-Made-Up: x\r\n\r\nhello ',
        );
        let heard = String(head);
        socket.on('data', (part: Buffer) => (heard += String(part)));
        return socket.on('end', () => socket.end(`heard ${heard}`));
      }
      return this.sockets.handleUpgrade(req, socket, head, (ws) => {
        ws.on('message', (data, binary) => ws.send(data, { binary }));
        ws.on('close', (code, reason) => this.closed.push([code, String(reason)]));
        ws.on('error', () => undefined);
      });
    });
  }
}

/** Waits for a condition, at most half a minute. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !holds(); i++) await sleep(50);
  assert.ok(holds());
}

describe('upgrades through proxy mode', { timeout: 300_000 }, () => {
  let application: Application;
  let outpost: TestOutpost;
  before(async () => {
    application = new Application();
    application.http.listen(0, '127.0.0.1');
    await once(application.http, 'listening');
  });
  after(() => {
    for (const ws of application.sockets.clients) ws.terminate();
    application.http.close().closeAllConnections();
  });

  const provider = (websocket_origins: string[] = []) =>
    providerConfig({
      mode: 'proxy',
      internal_host: `http://127.0.0.1:${(application.http.address() as AddressInfo).port}`,
      skip_path_regex: '^/public/',
      gatehouse: { ...providerConfig().gatehouse!, websocket_origins },
    });
  beforeEach(async () => {
    outpost = await TestOutpost.start([provider()]);
    application.seen.length = 0;
    application.closed.length = 0;
    await outpost.login('http://app.test/');
  });
  afterEach(() => outpost.stop());

  const open = (path: string, options: ClientOptions = {}, protocols: string[] = []) => {
    const headers = { host: 'app.test', ...outpost.cookieHeader(), ...options.headers };
    const ws = new WebSocket(`ws://127.0.0.1:${outpost.port}${path}`, protocols, { ...options, headers });
    ws.on('error', () => undefined);
    return ws;
  };
  const opened = async (path: string, options?: ClientOptions, protocols?: string[]) => {
    const ws = open(path, options, protocols);
    await once(ws, 'open');
    return ws;
  };
  /** @returns status and body of an answer that is no 101 */
  const refusal = async (path: string, options?: ClientOptions) => {
    const [, res] = (await once(open(path, options), 'unexpected-response')) as [unknown, IncomingMessage];
    let body = '';
    for await (const part of res) body += String(part);
    return { status: res.statusCode, headers: res.headers, body };
  };
  const again = (who: Person) => {
    outpost.jar.clear();
    return outpost.login('http://app.test/', who);
  };
  const raw = async (text: string): Promise<string> => {
    const socket = connect(outpost.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(text);
    let all = '';
    for await (const part of socket) all += String(part);
    return all;
  };

  it('pass subprotocols, extensions, text, binary, large messages, pings and close codes', async () => {
    const ws = await opened('/chat?x=1', {}, ['chat.v1', 'chat.v2']);
    assert.equal(ws.protocol, 'chat.v2');
    assert.match(ws.extensions, /permessage-deflate/);
    const large = Buffer.alloc(5_000_000, 'gatehouse');
    for (const message of ['hello', '', Buffer.from([0, 1, 255]), large]) {
      ws.send(message);
      const [data, binary] = (await once(ws, 'message')) as [Buffer, boolean];
      assert.equal(binary, typeof message !== 'string');
      assert.ok(data.equals(Buffer.from(message)));
    }
    ws.ping('are you there');
    assert.equal(String((await once(ws, 'pong'))[0]), 'are you there');
    ws.close(4321, 'seen enough');
    assert.deepEqual((await once(ws, 'close'))[0], 4321);
    await until(() => application.closed.length > 0);
    assert.deepEqual(application.closed, [[4321, 'seen enough']]);
  });

  it('tell the application who it is, and drop what only we may say', async () => {
    const forged = {
      'X-Authentik-Username': 'root',
      x_authentik_groups: 'root',
      Connection: 'Upgrade, X-Authentik-Email',
    };
    const ws = await opened('/', { headers: forged });
    const [{ rawHeaders, headers }] = application.seen as [IncomingMessage];
    assert.ok(!rawHeaders.includes('root'));
    assert.equal(headers['x-authentik-username'], 'alice');
    assert.equal(headers['x-authentik-email'], 'alice@example.test');
    assert.equal(headers.cookie, undefined);
    ws.terminate();
  });

  it('are refused with a proper answer where nobody is signed in, and carry nobody on public paths', async () => {
    outpost.jar.clear();
    const { status, body } = await refusal('/chat');
    assert.equal(status, 401);
    assert.match(body, /login_url/);
    assert.equal(application.seen.length, 0);
    (await opened('/public/x', { headers: { 'X-Authentik-Username': 'root' } })).terminate();
    assert.equal(application.seen[0]?.headers['x-authentik-username'], undefined);
  });

  it('come from pages of the application, or of allowed origins, or from no page', async () => {
    for (const origin of [
      'http://evil.test',
      'null',
      'https://app.test',
      'http://app.test.evil.test',
      'http://app.test:81',
    ]) {
      const { status, body } = await refusal('/chat', { origin });
      assert.deepEqual([status, (JSON.parse(body) as { code: string }).code], [403, 'websocket-origin'], origin);
    }
    const two = `GET / HTTP/1.1\r\nHost: app.test\r\n${HANDSHAKE}Cookie: ${outpost.cookieHeader().cookie}\r\n`;
    assert.match(await raw(`${two}Origin: http://app.test\r\nOrigin: http://evil.test\r\n\r\n`), /^HTTP\/1\.1 403/);
    assert.equal(application.seen.length, 0);
    for (const origin of ['http://app.test', 'http://APP.test:80']) (await opened('/', { origin })).terminate();
    outpost.plane.configure(outpostInstance(), [provider(['https://partner.test'])]);
    (await opened('/', { origin: 'https://partner.test' })).terminate();
    assert.equal((await refusal('/', { origin: 'https://evil.test' })).status, 403);
    outpost.plane.configure(outpostInstance(), [provider(['*'])]);
    (await opened('/', { origin: 'null' })).terminate();
  });

  it('go to applications with https, too', async () => {
    const names = [{ type: 'dns' as const, value: 'localhost' }];
    const pair = await makeCertificate({ commonName: 'app', names, validDays: 1, alg: 'ecdsa' });
    const secure = createTlsServer({ cert: pair.certificate, key: pair.key });
    secure.on('upgrade', (req, socket: Socket, head) => application.http.emit('upgrade', req, socket, head));
    secure.listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const internal_host = `https://localhost:${(secure.address() as AddressInfo).port}`;
    const gatehouse = { ...providerConfig().gatehouse!, upstream_ca: pair.certificate };
    outpost.plane.configure(outpostInstance(), [{ ...provider(), internal_host, gatehouse }]);
    const ws = await opened('/');
    ws.send(Buffer.alloc(1_000_000, 'x'));
    assert.equal(((await once(ws, 'message')) as [Buffer])[0].length, 1_000_000);
    ws.close(4000);
    await once(ws, 'close');
    secure.close();
  });

  it('that the application refuses are answered with its answer', async () => {
    const { status, headers, body } = await refusal('/busy');
    assert.deepEqual([status, headers['x-why'], body], [503, 'full', 'full']);
  });

  it('are not believed when the 101 does not fit what was asked', async () => {
    for (const path of ['/liar', '/no-key']) {
      const { status, body } = await refusal(path);
      assert.deepEqual([status, (JSON.parse(body) as { code: string }).code], [502, 'upstream-upgrade'], path);
    }
  });

  it('may be of another protocol; bytes that came early arrive once it is agreed on, each side ends for itself', async () => {
    const cookie = outpost.cookieHeader().cookie;
    const socket = connect({ port: outpost.port, host: '127.0.0.1', allowHalfOpen: true });
    const head = `GET /tunnel HTTP/1.1\r\nHost: app.test\r\nCookie: ${cookie}\r\nConnection: upgrade\r\nUpgrade: tunnel/1\r\n\r\n`;
    socket.end(`${head}early`);
    let all = '';
    for await (const part of socket) all += String(part);
    assert.match(all, /^HTTP\/1\.1 101 .*\r\nUpgrade: Tunnel\/1\r\n\r\nhello heard early$/s);
    assert.doesNotMatch(all, /made-up/i);
  });

  it('to protocols that carry requests are ignored, with a body too', async () => {
    const cookie = `Cookie: ${outpost.cookieHeader().cookie}\r\nConnection: close, Upgrade\r\n`;
    for (const name of ['h2c', 'H2C', 'h2c, websocket', 'websocket, HTTP/2.0', 'TLS/1.0', 'web socket', 'SPDY/3.1']) {
      const answer = await raw(`GET / HTTP/1.1\r\nHost: app.test\r\n${cookie}Upgrade: ${name}\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 200 [^]*plain$/, name);
      assert.equal(application.seen.at(-1)?.headers.upgrade, undefined, name);
    }
    const body = `POST / HTTP/1.1\r\nHost: app.test\r\n${cookie}Upgrade: websocket\r\nContent-Length: 2\r\n\r\nhi`;
    assert.match(await raw(body), /^HTTP\/1\.1 200/);
  });

  it('never turn what follows a refused head into a request', async () => {
    const smuggled = 'GET /public/smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n';
    const answer = await raw(`GET / HTTP/1.1\r\nHost: app.test\r\n${HANDSHAKE}\r\n${smuggled}`);
    assert.deepEqual(
      [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((m) => m[1]),
      ['401'],
    );
    assert.equal(application.seen.length, 0);
    // neither may one stand in line behind an answer under way
    const busy = `GET /public/first HTTP/1.1\r\nHost: app.test\r\n\r\nGET /public/ws HTTP/1.1\r\nHost: app.test\r\n${HANDSHAKE}\r\n`;
    assert.doesNotMatch(await raw(busy), /101/);
  });

  it('end with the session: sign-out, refusal, and an end that nobody prolongs', async () => {
    const ws = await opened('/');
    outpost.plane.signOut({ provider: 1, sid: ALICE.sid, uid: ALICE.sub });
    assert.equal((await once(ws, 'close'))[0], 1006);

    await again({ ...ALICE, sid: 'another' });
    const denied = await opened('/');
    outpost.server.refresh = () => ({ result: 'denied', reason: 'no-access' });
    const events = [
      { n: 11, until: Date.now() + 1e7, kind: 'user-changed' as const, uid: ALICE.sub, effect: 'refresh' as const },
    ];
    outpost.plane.applyEvents({ epoch: 'e1', snapshot: false, n: 11, events });
    await once(denied, 'close');

    outpost.server.extension.cursor.n = 11;
    await again({ ...ALICE, sid: 'third' });
    const old = await opened('/');
    outpost.server.refresh = () => ({ result: 'ended' });
    outpost.pass(3580);
    await once(old, 'close');
    await again({ ...ALICE, sid: 'fourth' });
    const away = await opened('/');
    outpost.channel.up = false;
    outpost.pass(3580);
    await sleep(1200);
    assert.equal(away.readyState, WebSocket.OPEN, 'not before its time');
    outpost.pass(21);
    await once(away, 'close');
    outpost.channel.up = true;
  });

  it('live on while the person is still signed in at the server, though not by the old cookie', async () => {
    const ws = await opened('/');
    outpost.server.refresh = async () => ({
      result: 'token',
      access_token: await outpost.server.sign('client-1', 'app', ALICE),
      gatehouse: outpost.server.extension,
    });
    for (let hour = 0; hour < 3; hour++) {
      const asked = outpost.server.calls.length;
      outpost.pass(3550);
      await until(() => outpost.server.calls.length > asked);
      // the answer is verified and taken over; many turns, so that a pause of the process does not count as one
      for (let turn = 0; turn < 20; turn++) await sleep(20);
    }
    await sleep(700);
    assert.equal(ws.readyState, WebSocket.OPEN);
    ws.send('still here');
    assert.equal(String((await once(ws, 'message'))[0]), 'still here');
    assert.equal((await refusal('/')).status, 401, 'the cookie ran out');
    outpost.plane.endedByPublishedInstruction(ALICE.sid);
    await once(ws, 'close');
  });

  it('are decided once more with fresh claims, and by new rules', async () => {
    const staff = { match: 'glob' as const, methods: [], effect: 'groups' as const, groups: ['staff'] };
    const configure = (pattern: string) => {
      const gatehouse = { ...providerConfig().gatehouse!, access_rules: [{ ...staff, pattern }] };
      outpost.plane.configure(outpostInstance(), [{ ...provider(), gatehouse }]);
    };
    const extension = { ...outpost.server.extension, rule_groups: ['staff'] };
    Object.assign(outpost.server.extension, extension);
    configure('/staff/**');
    await again(ALICE);
    const inside = await opened('/staff/chat');
    const outside = await opened('/chat');
    outpost.server.refresh = async () => ({
      result: 'token',
      access_token: await outpost.server.sign('client-1', 'app', ALICE),
      gatehouse: { ...extension, rule_groups: [], cursor: { epoch: 'e1', n: 11 } },
    });
    const events = [
      { n: 11, until: Date.now() + 1e7, kind: 'user-changed' as const, uid: ALICE.sub, effect: 'refresh' as const },
    ];
    outpost.plane.applyEvents({ epoch: 'e1', snapshot: false, n: 11, events });
    await once(inside, 'close');
    outside.send('still here');
    await once(outside, 'message');
    configure('/chat');
    await once(outside, 'close');
  });

  it('end when the application is no longer served, and both sides end together', async () => {
    const ws = await opened('/');
    outpost.plane.configure(outpostInstance(), []);
    await once(ws, 'close');
    outpost.plane.configure(outpostInstance(), [provider()]);
    const leaving = await opened('/');
    const [server] = [...application.sockets.clients].slice(-1);
    leaving.terminate();
    await once(server!, 'close');
    const left = await opened('/');
    for (const client of application.sockets.clients) client.terminate();
    await once(left, 'close');
  });
});
