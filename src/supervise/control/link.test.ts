import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { ControlLink } from './link.ts';

const log = pino({ level: 'silent' });
/** far more than anything here takes, and less than TCP needs to find out */
const PATIENCE_MS = 30_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(Date.now() < end, what);
    await sleep(10);
  }
}

/** A server for links, with a line to it that can be cut: nothing passes, nothing is said about it. */
class Line {
  readonly sockets: WebSocket[] = [];
  cut = false;
  /** when this settles, what came meanwhile is handed on */
  held = Promise.resolve();
  readonly #server = createServer();
  readonly #pairs: [Socket, Socket][] = [];
  readonly #line = createTcpServer((near) => {
    const far = connect((this.#server.address() as AddressInfo).port, '127.0.0.1');
    this.#pairs.push([near, far]);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    // what comes while the line is cut is gone, as are both ends
    let lost = this.cut;
    const pass = (from: Socket, to: Socket) =>
      from.on('data', (data: Buffer) => {
        lost ||= this.cut;
        if (!lost) void this.held.then(() => to.write(data));
      });
    pass(near, far);
    pass(far, near);
  });

  async start(): Promise<void> {
    new WebSocketServer({ server: this.#server }).on('connection', (socket) => this.sockets.push(socket));
    this.#server.listen(0, '127.0.0.1');
    this.#line.listen(0, '127.0.0.1');
    await Promise.all([once(this.#server, 'listening'), once(this.#line, 'listening')]);
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#line.address() as AddressInfo).port}/`;
  }

  close(): void {
    for (const socket of this.#pairs.flat()) socket.destroy();
    for (const socket of this.sockets) socket.terminate();
    this.#server.close();
    this.#line.close();
  }
}

describe('ControlLink', () => {
  const running: { close(): void }[] = [];
  afterEach(() => {
    for (const part of running.splice(0).toReversed()) part.close();
  });

  const open = async () => {
    const line = new Line();
    await line.start();
    running.push(line);
    const seen = { up: 0, down: 0, ended: [] as string[] };
    const listener = {
      onUp: () => void seen.up++,
      onDown: () => void seen.down++,
      onFailed: () => undefined,
      onUpdate: () => undefined,
      onEvents: () => undefined,
      onSessionEnd: (sid: string) => void seen.ended.push(sid),
      cursor: () => ({ epoch: '', n: 0 }),
    };
    const link = new ControlLink({ base: line.base, token: 't', verifyTls: true }, 'op', 'instance', listener, log);
    running.push(link);
    await until('up', () => seen.up === 1);
    return { line, seen };
  };
  const end = (sid: string) => JSON.stringify({ instruction: 4, args: { session_id: sid } });

  it('is there again as soon as a line that was cut is whole, though the old connection never says so', async () => {
    const { line, seen } = await open();
    line.cut = true;
    await sleep(4_000);
    line.cut = false;
    await until('up again', () => seen.up > 1);
    line.sockets.at(-1)!.send(end('after the cut'));
    await until('told', () => seen.ended.includes('after the cut'));
    assert.equal(seen.down, 0, 'the old connection was not yet given up');
  });

  it('loses nothing at a server that says nothing for a while', async () => {
    const { line, seen } = await open();
    const { promise, resolve } = Promise.withResolvers<void>();
    line.held = promise;
    line.sockets[0]!.send(end('meanwhile'));
    await sleep(3_500);
    resolve();
    await until('a line in use', () => line.sockets.some((socket) => socket.readyState === socket.OPEN));
    // whichever line stays: the server tells all that are open
    await until('told', () => {
      for (const socket of line.sockets) socket.send(end('late'));
      return seen.ended.includes('late');
    });
    assert.equal(seen.down, 0);
    assert.ok(seen.ended.includes('meanwhile') || seen.up > 1, 'heard, or asked for again from the position known');
  });
});
