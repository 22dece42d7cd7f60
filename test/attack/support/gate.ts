/** The real nginx in front of two applications of each generation, with the texts people copy. */
import assert from 'node:assert/strict';
import { akproxConfiguration, outpostConfiguration } from '../../harness/configurations.ts';
import { Nginx } from '../../harness/nginx.ts';
import { freePort } from '../../harness/ports.ts';
import { story } from './ask.ts';
import type { Browser } from './browser.ts';
import type { Env } from './env.ts';

/** `gate` and `gateclosed` use the newer text, every other name the older one; the `closed` ones are for `staff`. */
export type GateName = 'gate' | 'gateclosed' | 'old' | 'oldclosed';
const NAMES: readonly GateName[] = ['gate', 'gateclosed', 'old', 'oldclosed'];

export interface Gate {
  port: number;
  /** eve, signed in at `gate` and `old` */
  eve: Browser;
  url(name: GateName, path?: string): string;
  host(name: GateName): string;
}

const gates = new WeakMap<Env, Promise<Gate>>();

/** Started when first needed, stopped with the environment. */
export function behindNginx(env: Env): Promise<Gate> {
  let gate = gates.get(env);
  if (gate === undefined) {
    gate = build(env);
    gates.set(env, gate);
  }
  return gate;
}

async function build(env: Env): Promise<Gate> {
  const port = await freePort();
  const nginx = await Nginx.start({
    port,
    http: (tls) => {
      const values = {
        ...tls,
        listen: `127.0.0.1:${port}`,
        application: `127.0.0.1:${env.upstream.port}`,
        outpost: `127.0.0.1:${env.port}`,
      };
      const newer = (['gate', 'gateclosed'] as const).map((name) => {
        const text = outpostConfiguration({ ...values, name: `${name}.test` });
        // the text is for one application: its maps may stand once only
        return name === 'gate' ? text : text.slice(text.search(/^server \{/m));
      });
      return [akproxConfiguration(values), ...newer].join('\n');
    },
  });
  env.closing.push(() => nginx.stop());
  const gate: Gate = {
    port,
    eve: env.eve.copy(),
    host: (name) => `${name}.test:${port}`,
    url: (name, path = '/') => `https://${name}.test:${port}${path}`,
  };
  for (const name of NAMES) {
    await env.provision.application({
      slug: name,
      mode: 'forward_single',
      externalHost: gate.url(name, ''),
      ...(name.endsWith('closed') ? { groups: [env.staffGroup] } : {}),
      provider: { skip_path_regex: name.endsWith('closed') ? '' : '^/public/' },
    });
  }
  for (const name of NAMES) await env.provision.served(env.gatehouse.origin, gate.url(name));
  for (const name of ['gate', 'old'] as const) {
    const hops = await gate.eve.follow(gate.url(name, '/enter'));
    const last = hops.at(-1);
    const journey = hops.map((hop) => story(hop.answer)).join('\n');
    assert.ok(last !== undefined && last.url === gate.url(name, '/enter') && last.answer.status === 200, journey);
  }
  return gate;
}
