import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { splice } from './splice.ts';

const MIB = 1024 * 1024;
const closing: (Server | Socket)[] = [];
afterEach(() => {
  for (const one of closing.splice(0)) {
    if ('close' in one) one.close();
    else one.destroy();
  }
});

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, onSocket).listen(0, '127.0.0.1');
  closing.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A client and an application, joined. */
async function joined(idle = 0) {
  const ended = Promise.withResolvers<void>();
  const spliced = Promise.withResolvers<void>();
  const { promise: accepted, resolve } = Promise.withResolvers<Socket>();
  const upstreamPort = await listen(resolve);
  const port = await listen((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    upstream.once('connect', () => {
      splice(client, upstream, idle, ended.resolve);
      spliced.resolve();
    });
  });
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [application] = await Promise.all([accepted, spliced.promise]);
  for (const socket of [client, application]) {
    closing.push(socket);
    socket.on('error', () => undefined);
  }
  return { client, application, ended: ended.promise };
}

const all = async (socket: Socket) => {
  let bytes = 0;
  for await (const part of socket) bytes += (part as Buffer).length;
  return bytes;
};

describe('splice', { timeout: 300_000 }, () => {
  for (const way of ['down', 'up'] as const) {
    it(`holds up the sender while the receiver takes nothing: ${way}`, async () => {
      const { client, application, ended } = await joined();
      const [from, to] = way === 'down' ? [application, client] : [client, application];
      let sent = 0;
      const more = (): void => {
        while (sent < 100 * MIB) {
          sent += MIB;
          if (!from.write(Buffer.alloc(MIB))) return void from.once('drain', more);
        }
        from.end();
      };
      more();
      await sleep(300);
      assert.ok(sent < 40 * MIB, `${sent} bytes were taken`);
      assert.equal(await all(to), 100 * MIB);
      to.end();
      from.resume();
      await ended;
    });
  }

  it('lets each side end for itself', async () => {
    const { client, application, ended } = await joined();
    client.end('question');
    assert.equal(await all(application), 8);
    application.end('the answer');
    assert.equal(await all(client), 10);
    await ended;
  });

  it('ends both when one breaks', async () => {
    for (const breaks of ['client', 'application'] as const) {
      const pair = await joined();
      const other = pair[breaks === 'client' ? 'application' : 'client'];
      const over = new Promise((resolve) => other.resume().once('end', resolve).once('close', resolve));
      pair[breaks].resetAndDestroy();
      await Promise.all([over, pair.ended]);
    }
  });

  it('ends both after silence in both directions, and not before', async () => {
    for (let steady = false; !steady;) {
      const { client, application, ended } = await joined(600);
      client.resume();
      application.resume();
      steady = true;
      for (let i = 0; i < 6; i++) {
        const before = performance.now();
        await sleep(200);
        application.write('.');
        // where this process stood still, there was silence
        if (performance.now() - before > 400) steady = false;
      }
      if (steady) assert.equal(client.destroyed || client.readableEnded, false);
      await ended;
    }
  });
});
