/** An outpost of its own: time from the command to the first visitor it serves, and its memory when idle. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/harness/ports.ts';
import { eventually } from '../test/harness/wait.ts';
import { median } from './lib/load.ts';
import { family, pss } from './lib/memory.ts';
import { start } from './lib/processes.ts';
import type { Started } from './lib/processes.ts';
import type { Product } from './lib/product.ts';
import type { Section } from './lib/row.ts';

const START_MS = 600;
const IDLE_MIB = 130;
const SETTLE_MS = 10_000;

export const standalone: Section = async (product, { rounds }) => {
  await product.start(undefined, '0,1');
  const [port, metrics] = [await freePort(), await freePort()];
  const env = await environment(product, port, metrics);
  const command = [process.execPath, join('dist', 'main.js'), 'outpost'];
  const launch = () => start(command, { core: '0,1', env, log: join(product.folder, 'outpost.log') });
  let running: Started | undefined = launch();
  try {
    await serves(port);
    await running.stop();
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) {
      running = launch();
      times.push(await serves(port));
      if (i < rounds - 1) await running.stop();
    }
    await sleep(SETTLE_MS);
    const parts = family(running.pid).map(pss);
    const total = parts.reduce((sum, mib) => sum + mib, 0);
    return [
      {
        what: 'start of an outpost of its own to the first visitor served, existing data',
        budget: `<= ${START_MS} ms`,
        measured: `${Math.round(median(times))} ms`,
        spread: `${Math.round(Math.min(...times))} to ${Math.round(Math.max(...times))} ms`,
        kept: median(times) <= START_MS,
      },
      {
        what: 'memory of an outpost of its own, idle (PSS)',
        budget: `<= ${IDLE_MIB} MiB`,
        measured: `${Math.round(total)} MiB`,
        spread: `supervisor ${parts.map(Math.round).join(', workers ')}`,
        kept: total <= IDLE_MIB,
      },
    ];
  } finally {
    await running?.stop();
  }
};

async function environment(product: Product, port: number, metrics: number): Promise<Record<string, string>> {
  const { provider } = await product.provision.application({
    slug: 'far',
    mode: 'proxy',
    externalHost: `http://far.test:${port}`,
    internalHost: 'http://127.0.0.1:1',
    embedded: false,
  });
  const { token } = await product.provision.outpost('far', [provider]);
  return {
    AUTHENTIK_HOST: product.origin,
    AUTHENTIK_TOKEN: token,
    GATEHOUSE_LISTEN__HTTP: `127.0.0.1:${port}`,
    GATEHOUSE_LISTEN__HTTPS: `127.0.0.1:${await freePort()}`,
    GATEHOUSE_LISTEN__METRICS: `127.0.0.1:${metrics}`,
    GATEHOUSE_DATA: join(product.folder, 'outpost'),
  };
}

/** @returns ms until it may be sent visitors */
async function serves(port: number): Promise<number> {
  const { ms } = await eventually(
    'the outpost serves',
    30_000,
    async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/outpost.goauthentik.io/ping`);
      if (answer.status !== 204) throw new Error(`answer ${answer.status}`);
    },
    5,
  );
  return ms;
}
