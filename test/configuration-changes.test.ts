import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client } from './harness/client.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import { Scene } from './harness/scene.ts';
import { eventually } from './harness/wait.ts';

const APPLICATIONS = 40;

/** The line between an outpost and its server, which counts what the server says. */
class Line {
  bytes = 0;
  readonly #server: Server;

  constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, '127.0.0.1');
      for (const [a, b] of [
        [client, server],
        [server, client],
      ] as const) {
        a.on('error', () => b.destroy()).on('close', () => b.destroy());
        a.pipe(b);
      }
      server.on('data', (chunk: Buffer) => (this.bytes += chunk.length));
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }
}

describe('a change of the configuration, for outposts elsewhere', () => {
  let scene: Scene;
  const lines: Line[] = [];
  const outposts: StandaloneOutpost[] = [];
  let providers: number[];

  before(async () => {
    scene = await Scene.start();
    const { api } = scene.gatehouse;
    const flow = async (slug: string) => String((await api.first(`flows/instances/?slug=${slug}`))['pk']);
    const flows = {
      authorization_flow: await flow('default-provider-authorization-implicit-consent'),
      invalidation_flow: await flow('default-provider-invalidation-flow'),
    };
    const make = async (name: string) => {
      const external_host = `http://${name}.test`;
      const made = await api.post('providers/proxy/', { ...flows, name, mode: 'forward_single', external_host });
      await api.post('core/applications/', { name, slug: name, provider: Number(made['pk']) });
      return Number(made['pk']);
    };
    providers = [];
    for (let i = 0; i < APPLICATIONS; i++) providers.push(await make(`app${i}`));
    for (const [name, served] of [
      ['many', providers],
      ['few', [await make('other')]],
    ] as const) {
      const line = new Line(scene.gatehouse.port);
      lines.push(line);
      const { token } = await scene.provision.outpost(name, served);
      outposts.push(await StandaloneOutpost.prepare({ server: await line.open(), token, workers: 2 }));
    }
    for (const outpost of outposts) outpost.launch();
    for (const outpost of outposts) {
      await outpost.connected();
      await outpost.configured();
    }
  });
  after(async () => {
    for (const outpost of outposts) await outpost.stop();
    for (const line of lines) line.close();
    await scene?.stop();
  });
  afterEach((t) => {
    scene?.explain(t);
    for (const outpost of outposts) outpost.explain(t);
  });

  /** Waits until nothing but the beat of the line goes over it. */
  const quiet = () =>
    eventually('quiet lines', 60_000, async () => {
      const at = lines.map(({ bytes }) => bytes);
      await new Promise((resolve) => setTimeout(resolve, 500));
      lines.forEach(({ bytes }, i) => assert.ok(bytes - at[i]! < 200, `${bytes - at[i]!} bytes`));
    });

  it('costs one object, at the outposts concerned only', async (t) => {
    const [many, few] = [lines[0]!, lines[1]!];
    await quiet();
    const whole = many.bytes;
    assert.ok(whole > APPLICATIONS * 1500, `everything at first: ${whole}`);
    let moves = 0;
    // again when the machine stood still: an outpost that hears nothing for seconds connects anew, which costs something
    await eventually('the price of one object', 120_000, async () => {
      await quiet();
      const before = [many.bytes, few.bytes];
      const external_host = `http://moved${++moves}.test`;
      const started = Date.now();
      await scene.gatehouse.api.patch(`providers/proxy/${providers[7]!}/`, { mode: 'forward_single', external_host });
      await scene.provision.served(outposts[0]!.origin, external_host);
      t.diagnostic(`effective at every worker after ${Date.now() - started} ms`);
      await quiet();
      const [cost, beside] = [many.bytes - before[0]!, few.bytes - before[1]!];
      t.diagnostic(`bytes: everything ${whole}, one change ${cost}, at another outpost ${beside}`);
      assert.ok(cost > 1000 && cost < 12_000, `one object: ${cost}`);
      // identity events go to all: sessions may be anywhere
      assert.ok(beside < 1000, `another outpost: ${beside}`);
    });
  });

  it('costs everything again when an operator asks for it', async () => {
    const before = lines[0]!.bytes;
    process.kill(outposts[0]!.pid, 'SIGUSR1');
    await eventually('all of it', 60_000, () => assert.ok(lines[0]!.bytes - before > APPLICATIONS * 1500));
  });

  it('that takes an application away closes it everywhere', async () => {
    await scene.gatehouse.api.delete('core/applications/app3/');
    await eventually('not served any more', 60_000, async () => {
      for (let i = 0; i < 20; i++) {
        const visitor = new Client(); // a new connection: every worker gets its turn
        const address = `http://app3.test:${outposts[0]!.port}/outpost.goauthentik.io/start`;
        const { status } = await visitor.send('GET', address);
        await visitor.close();
        assert.equal(status, 400, 'a host of no application, as published');
      }
    });
    await scene.provision.served(outposts[0]!.origin, 'http://app4.test');
  });
});
