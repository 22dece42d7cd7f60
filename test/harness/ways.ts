/** Every way to have a reverse proxy, or none, before an application: side by side in front of one Gatehouse. */
import { outpostConfiguration, akproxConfiguration, serverConfiguration } from './configurations.ts';
import { startFront } from './fronts.ts';
import type { FrontKind } from './fronts.ts';
import type { Gatehouse } from './gatehouse.ts';
import { configText } from './live.ts';
import { Nginx } from './nginx.ts';
import { freePort } from './ports.ts';
import type { Provision } from './provision.ts';
import { envoyAsPublished, envoyOfOurs, traefikAsPublished, traefikOfTheSeed } from './relaying.ts';
import type { FrontPlace, FrontServer } from './scene.ts';

interface Way {
  title: string;
  mode: 'proxy' | 'forward_single';
  /** absent = visitors reach Gatehouse itself */
  start?: (name: string, place: FrontPlace, gatehouse: Gatehouse) => Promise<FrontServer>;
}

const hostOf = (origin: string): string => new URL(origin).host;

const nginx = (text: (values: Parameters<typeof outpostConfiguration>[0]) => string) => (name: string, p: FrontPlace) =>
  Nginx.start({
    port: p.port,
    http: (tls) =>
      text({
        ...tls,
        name: `${name}.test`,
        listen: `127.0.0.1:${p.port}`,
        application: hostOf(p.upstream),
        outpost: hostOf(p.gatehouse),
      }),
  });

/** What `gatehouse config` writes for the provider of this name. */
const generated =
  (kind: FrontKind) =>
  async (name: string, { port, gatehouse: outpost, upstream }: FrontPlace, gatehouse: Gatehouse) => {
    const words = [kind, '--provider', name, '--upstream', upstream, '--outpost-url', outpost];
    return startFront(kind, await configText(gatehouse, words), port);
  };

/** By the name of the application behind it. */
export const WAYS = {
  carried: { title: 'proxy mode', mode: 'proxy' },
  behind: { title: 'proxy mode behind nginx', mode: 'proxy', start: nginx(serverConfiguration) },
  newer: { title: 'nginx', mode: 'forward_single', start: nginx(outpostConfiguration) },
  older: { title: 'nginx, the older text', mode: 'forward_single', start: nginx(akproxConfiguration) },
  traefik: { title: 'Traefik', mode: 'forward_single', start: (name, place) => traefikAsPublished(name)(place) },
  oldtraefik: {
    title: 'Traefik, the older text',
    mode: 'forward_single',
    start: (name, place) => traefikOfTheSeed(name)(place),
  },
  caddy: { title: 'Caddy', mode: 'forward_single', start: generated('caddy') },
  haproxy: { title: 'HAProxy', mode: 'forward_single', start: generated('haproxy') },
  envoy: { title: 'Envoy', mode: 'forward_single', start: (name, place) => envoyOfOurs(name)(place) },
  bareenvoy: {
    title: 'Envoy, the published text (cookies only)',
    mode: 'forward_single',
    start: (name, place) => envoyAsPublished(name)(place),
  },
} as const satisfies Record<string, Way>;

export type WayName = keyof typeof WAYS;
export const WAY_NAMES = Object.keys(WAYS) as WayName[];

/** An application of its own behind each of them. */
export class Ways {
  readonly #fronts: FrontServer[] = [];
  readonly #addresses = new Map<WayName, string>();

  /** @param validity `access_token_validity` of all providers */
  static async start(gatehouse: Gatehouse, provision: Provision, upstream: string, validity: string): Promise<Ways> {
    const ways = new Ways();
    try {
      for (const name of WAY_NAMES) {
        const { mode, start }: Way = WAYS[name];
        const port = start === undefined ? gatehouse.port : await freePort();
        const externalHost = `${start === undefined ? 'http' : 'https'}://${name}.test:${port}`;
        ways.#addresses.set(name, externalHost);
        const internalHost = mode === 'proxy' ? { internalHost: upstream } : {};
        const provider = { access_token_validity: validity };
        await provision.application({ slug: name, mode, externalHost, ...internalHost, provider });
        await provision.served(gatehouse.origin, externalHost);
        if (start !== undefined) {
          ways.#fronts.push(await start(name, { port, gatehouse: gatehouse.origin, upstream }, gatehouse));
        }
      }
      return ways;
    } catch (error) {
      await ways.stop();
      throw error;
    }
  }

  /** Origin of an application for browsers. */
  address(name: WayName): string {
    const address = this.#addresses.get(name);
    if (address === undefined) throw new TypeError(`no application ${name}`);
    return address;
  }

  log = (): string => this.#fronts.map((front) => front.log()).join('\n');

  async stop(): Promise<void> {
    for (const front of this.#fronts) await front.stop();
  }
}
