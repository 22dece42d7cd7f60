/**
 * Fifty outposts of one server that has 5,000 applications: what a start and a change cost them in time and bytes, and how
 * soon they know of what happened to a person. They are the supervisors' part of outposts, in this process; one more is
 * the whole product, for what a visitor sees.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createApplication } from '../src/server/access/applications.ts';
import { flowsOf } from '../src/server/context.test-helper.ts';
import { openContext } from '../src/server/context.ts';
import { createProvider } from '../src/server/proxy-provider/providers.ts';
import { testSettings } from '../src/settings/settings.test-helper.ts';
import { Control } from '../src/supervise/control/control.ts';
import { Client } from '../test/harness/client.ts';
import { freePort } from '../test/harness/ports.ts';
import { eventually } from '../test/harness/wait.ts';
import { LOAD_CORE, TESTED_CORE } from './lib/load.ts';
import { start } from './lib/processes.ts';
import type { Product } from './lib/product.ts';
import type { Row, Section } from './lib/row.ts';

const OUTPOSTS = 50;
const APPLICATIONS = 5_000;
const CHANGES = 20;
const PEOPLE = 40;
const log = pino({ level: 'silent' });

export const outposts: Section = async (product) => {
  const closing: (() => Promise<void> | void)[] = [];
  try {
    const providers = await manyApplications(product);
    await product.start(1, TESTED_CORE);
    await product.provision.serverAddress(`http://auth.test:${product.port}`);
    const meter = await Meter.start(product.port);
    closing.push(() => meter.stop());
    const share = APPLICATIONS / OUTPOSTS;
    const tokens: string[] = [];
    for (let i = 0; i < OUTPOSTS; i++) {
      const own = providers.slice(i * share, (i + 1) * share);
      tokens.push((await product.provision.outpost(`outpost ${i}`, own)).token);
    }
    const whole = (await product.provision.outpost('all of them', providers)).token;

    const rows: Row[] = [];
    const fleet = tokens.map((token) => new Listening(meter, token));
    closing.push(...fleet.map((one) => () => one.control.close()));
    rows.push(await starts(`start of ${OUTPOSTS} outposts at once, ${share} applications each`, meter, fleet, share));
    const all = new Listening(meter, whole);
    closing.push(() => all.control.close());
    rows.push(await starts(`start of one outpost with ${APPLICATIONS} applications`, meter, [all], APPLICATIONS));
    await all.control.close();
    rows.push(...(await changes(product, meter, fleet, providers)));
    rows.push(...(await events(product, fleet)));
    rows.push(await effects(product, closing));
    return rows;
  } finally {
    for (const close of closing.toReversed()) await close();
  }
};

/** Made in the database: over the REST interface it would take minutes. @returns ids of the providers */
async function manyApplications(product: Product): Promise<number[]> {
  await product.start(1, TESTED_CORE); // makes the database and its first administrator
  await product.stop();
  const settings = testSettings(join(product.folder, 'data'));
  const ctx = await openContext({ settings, log, embeddedToken: 'unused', httpPort: product.port });
  const ids: number[] = [];
  while (ids.length < APPLICATIONS) {
    await ctx.change(async (tx) => {
      const flows = await flowsOf(tx.db);
      for (let i = 0; i < 250; i++) {
        const name = `app-${ids.length}`;
        const external_host = `http://${name}.example.test`;
        const provider = await createProvider(tx, { name, ...flows, mode: 'forward_single', external_host });
        await createApplication(tx, { name, slug: name, provider: provider.id });
        ids.push(provider.id);
      }
    });
  }
  await ctx.close();
  return ids;
}

/** Counts what passes to and from the server. */
class Meter {
  bytes = 0;
  readonly #server;
  readonly #sockets = new Set<{ destroy(): void }>();

  private constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.setNoDelay(true);
        from.on('data', (data: Buffer) => (this.bytes += data.length));
        from.on('error', () => to.destroy());
        from.once('close', () => this.#sockets.delete(from));
        from.pipe(to);
      }
    });
  }

  static async start(port: number): Promise<Meter> {
    const meter = new Meter(port);
    await new Promise<void>((resolve) => meter.#server.listen(0, '127.0.0.1', resolve));
    return meter;
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** The supervisor's part of an outpost, with the times at which it heard of things. */
class Listening {
  readonly control: Control;
  heard = { configuration: 0, configurations: 0, events: 0, n: 0 };

  constructor(meter: Meter, token: string) {
    this.control = new Control({
      server: { base: meter.base, token, verifyTls: true },
      dataFolder: undefined, // fifty outposts would not write to one disk
      certificates: false,
      log,
      listener: {
        onConfiguration: () => {
          this.heard.configuration = performance.now();
          this.heard.configurations++;
        },
        onEvents: ({ n }) => {
          this.heard.events = performance.now();
          this.heard.n = n;
        },
        onSessionEnd: () => undefined,
        onLink: () => undefined,
        onAskable: () => undefined,
        onUnfollowed: () => undefined,
        onWaiting: () => undefined,
      },
    });
  }
}

async function starts(what: string, meter: Meter, fleet: readonly Listening[], each: number): Promise<Row> {
  const before = meter.bytes;
  const began = performance.now();
  for (const { control } of fleet) control.start();
  await eventually(what, 300_000, () => {
    for (const { control } of fleet) {
      if (!control.up || control.configuration?.providers.length !== each) throw new Error('not yet');
    }
  });
  const times = fleet.map(({ heard }) => heard.configuration - began);
  const seconds = (performance.now() - began) / 1000;
  const megabytes = (meter.bytes - before) / 1e6;
  return {
    what,
    budget: '<= 10 s',
    measured: `${seconds.toFixed(1)} s, ${megabytes.toFixed(1)} MB`,
    spread: `configured p50 ${ms(at(times, 0.5))}, last ${ms(at(times, 1))}`,
    kept: seconds <= 10,
  };
}

/** One provider at a time: how soon its outpost has it, and what that costs all together. */
async function changes(product: Product, meter: Meter, fleet: readonly Listening[], providers: readonly number[]) {
  await sleep(3_000);
  const share = providers.length / fleet.length;
  const idle = await quiet(meter, 3_000);
  const times: number[] = [];
  let others = 0;
  const before = meter.bytes;
  const began = performance.now();
  for (let i = 0; i < CHANGES; i++) {
    const which = (i * 7) % fleet.length;
    const mine = fleet[which]!;
    const counted = fleet.map(({ heard }) => heard.configurations);
    const sent = performance.now();
    const change = { mode: 'forward_single', skip_path_regex: `^/public-${i}/` };
    await product.provision.api.patch(`providers/proxy/${providers[which * share]}/`, change);
    await eventually('the change arrives', 30_000, () => {
      if (mine.heard.configurations === counted[which]) throw new Error('not yet');
    });
    times.push(mine.heard.configuration - sent);
    others += fleet.filter(({ heard }, k) => k !== which && heard.configurations !== counted[k]).length;
  }
  const bytes = (meter.bytes - before - (idle * (performance.now() - began)) / 1000) / CHANGES;
  return [
    {
      what: `a changed application, until its outpost has it (${OUTPOSTS} outposts, ${APPLICATIONS} applications)`,
      budget: 'p99 <= 1000 ms',
      measured: `p50 ${ms(at(times, 0.5))}, p99 ${ms(at(times, 0.99))}`,
      spread: `${ms(Math.min(...times))} to ${ms(Math.max(...times))}`,
      kept: at(times, 0.99) <= 1000,
    },
    {
      what: 'bytes of it, of all outposts together',
      budget: '<= 50 kB',
      measured: `${(bytes / 1000).toFixed(1)} kB`,
      spread: `${others} other outposts fetched anything`,
      kept: bytes <= 50_000 && others === 0,
    },
  ];
}

/** Bytes a second while nothing happens. */
async function quiet(meter: Meter, forMs: number): Promise<number> {
  const before = meter.bytes;
  await sleep(forMs);
  return ((meter.bytes - before) / forMs) * 1000;
}

/** From the request that changes a person until each outpost was told. */
async function events(product: Product, fleet: readonly Listening[]): Promise<Row[]> {
  const person = await product.provision.user('changed');
  await sleep(500);
  const times: number[] = [];
  for (let i = 0; i < PEOPLE; i++) {
    const n = fleet[0]!.heard.n;
    const sent = performance.now();
    await product.provision.api.patch(`core/users/${person.pk}/`, { name: `Changed ${i}` });
    await eventually('all were told', 30_000, () => {
      if (fleet.some(({ heard }) => heard.n <= n)) throw new Error('not yet');
    });
    times.push(...fleet.map(({ heard }) => heard.events - sent));
  }
  return [
    {
      what: `an event, until each of ${OUTPOSTS} outposts was told`,
      budget: 'p99 <= 1000 ms',
      measured: `p50 ${ms(at(times, 0.5))}, p99 ${ms(at(times, 0.99))}`,
      spread: `${ms(Math.min(...times))} to ${ms(Math.max(...times))}`,
      kept: at(times, 0.99) <= 1000,
    },
  ];
}

/** From the request that switches a person off until a visit with their cookies is refused, at an outpost of its own. */
async function effects(product: Product, closing: (() => Promise<void> | void)[]): Promise<Row> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const host = `wiki.test:${port}`;
  const { api } = product.provision;
  const made = await product.provision.application({
    slug: 'wiki',
    mode: 'forward_single',
    externalHost: `http://${host}`,
    embedded: false,
  });
  const { token } = await product.provision.outpost('far', [made.provider]);
  const far = start([process.execPath, join('dist', 'main.js'), 'outpost', '--workers', '1'], {
    core: LOAD_CORE,
    log: join(product.folder, 'far.log'),
    env: {
      GATEHOUSE_LISTEN__HTTP: `127.0.0.1:${port}`,
      GATEHOUSE_LISTEN__HTTPS: '',
      GATEHOUSE_LISTEN__METRICS: `127.0.0.1:${metricsPort}`,
      GATEHOUSE_DATA: join(product.folder, 'far'),
      AUTHENTIK_HOST: product.origin,
      AUTHENTIK_TOKEN: token,
    },
  });
  closing.push(() => far.stop());
  const origin = `http://127.0.0.1:${port}`;
  await eventually('the outpost serves', 30_000, async () => {
    const answer = await fetch(`http://127.0.0.1:${metricsPort}/-/health/ready/`);
    if (answer.status !== 200 || !((await answer.json()) as { connected: boolean }).connected)
      throw new Error('not yet');
  });
  const times: number[] = [];
  for (let i = 0; i < PEOPLE; i++) {
    const person = await product.provision.user(`person${i}`);
    const client = new Client();
    const back = encodeURIComponent(`http://${host}/page`);
    await client.enter(`http://${host}/outpost.goauthentik.io/start?rd=${back}`, person.username, person.password);
    const cookie = client.jar.header(new URL(`http://${host}/page`));
    const headers = { host, cookie, 'x-original-url': `http://${host}/page` };
    const check = async () =>
      (await client.send('GET', `${origin}/outpost.goauthentik.io/auth/nginx`, { headers })).status;
    if ((await check()) !== 200) throw new Error(`not signed in: ${await check()}`);
    const sent = performance.now();
    const switched = api.patch(`core/users/${person.pk}/`, { is_active: false });
    await eventually('refused', 30_000, async () => {
      if ((await check()) === 200) throw new Error('still let in');
    }, 1); // prettier-ignore
    times.push(performance.now() - sent);
    await switched;
    await client.close();
  }
  return {
    what: 'a person switched off, until a visit at an outpost is refused',
    budget: 'p99 <= 1000 ms',
    measured: `p50 ${ms(at(times, 0.5))}, p99 ${ms(at(times, 0.99))}`,
    spread: `${ms(Math.min(...times))} to ${ms(Math.max(...times))}`,
    kept: at(times, 0.99) <= 1000,
  };
}

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
