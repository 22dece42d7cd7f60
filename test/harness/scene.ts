import { Client } from './client.ts';
import { akproxConfiguration, outpostConfiguration, serverConfiguration } from './configurations.ts';
import { Gatehouse } from './gatehouse.ts';
import type { GatehouseOptions } from './gatehouse.ts';
import { Nginx } from './nginx.ts';
import { freePort } from './ports.ts';
import { Provision } from './provision.ts';
import type { Application, ApplicationOptions } from './provision.ts';
import { Upstream } from './upstream.ts';
import { failed } from './wait.ts';

export interface SceneOptions {
  gatehouse?: GatehouseOptions;
  /**
   * applications behind nginx by name, with the generation of the configuration; at most one `akprox`. `carried` is
   * proxy mode with a plain nginx in front
   */
  nginx?: Record<string, 'akprox' | 'outpost' | 'carried'>;
  /** another reverse proxy in place of nginx, for these applications; it has to lead `auth.test` to Gatehouse */
  front?: { names: readonly string[]; start(place: FrontPlace): Promise<FrontServer> };
}

export interface FrontServer {
  log(): string;
  stop(): Promise<void>;
}

/** Where a reverse proxy stands; addresses are origins. */
export interface FrontPlace {
  port: number;
  gatehouse: string;
  upstream: string;
}

/** The reverse proxy of a scene. */
interface Front {
  server: FrontServer;
  port: number;
  names: ReadonlySet<string>;
  /** those of them in proxy mode */
  carried: ReadonlySet<string>;
}

/**
 * A whole small site: Gatehouse, an application, and nginx where wanted. The identity server is `auth.test`, an
 * application called `wiki` is `wiki.test`; behind the reverse proxy on its port with https, otherwise on Gatehouse's own.
 */
export class Scene {
  readonly gatehouse: Gatehouse;
  readonly upstream: Upstream;
  readonly provision: Provision;
  readonly #front: Front | undefined;
  readonly #clients: Client[] = [];

  private constructor(gatehouse: Gatehouse, upstream: Upstream, front: Front | undefined) {
    this.gatehouse = gatehouse;
    this.upstream = upstream;
    this.provision = new Provision(gatehouse.api);
    this.#front = front;
  }

  static async start(options: SceneOptions = {}): Promise<Scene> {
    const gatehouse = await Gatehouse.start(options.gatehouse);
    const upstream = await Upstream.start();
    let front: Front | undefined;
    try {
      if (options.nginx !== undefined) {
        const port = await freePort();
        const server = await startNginx(port, options.nginx, gatehouse, upstream);
        const names = Object.keys(options.nginx);
        const carried = names.filter((name) => options.nginx?.[name] === 'carried');
        front = { server, port, names: new Set(names), carried: new Set(carried) };
      } else if (options.front !== undefined) {
        const port = await freePort();
        const server = await options.front.start({ port, gatehouse: gatehouse.origin, upstream: upstream.origin });
        front = { server, port, names: new Set(options.front.names), carried: new Set() };
      }
      const scene = new Scene(gatehouse, upstream, front);
      await scene.provision.serverAddress(scene.server + (options.gatehouse?.webPath ?? ''));
      return scene;
    } catch (error) {
      await front?.server.stop();
      await upstream.stop();
      await gatehouse.stop();
      throw error;
    }
  }

  /** origin of the identity server for browsers */
  get server(): string {
    return this.#front === undefined
      ? `http://auth.test:${this.gatehouse.port}`
      : `https://auth.test:${this.#front.port}`;
  }

  /** address of an application for browsers */
  address(name: string): string {
    return this.#front?.names.has(name) === true
      ? `https://${name}.test:${this.#front.port}`
      : `http://${name}.test:${this.gatehouse.port}`;
  }

  /** Makes the application `name`: behind the reverse proxy forward authentication, otherwise proxy mode. */
  async application(name: string, options: Partial<ApplicationOptions> = {}): Promise<Application> {
    const behindFront = this.#front?.names.has(name) === true && !this.#front.carried.has(name);
    const externalHost = options.externalHost ?? this.address(name);
    const application = await this.provision.application({
      slug: name,
      mode: behindFront ? 'forward_single' : 'proxy',
      externalHost,
      ...(behindFront ? {} : { internalHost: this.upstream.origin }),
      ...options,
    });
    await this.provision.served(this.gatehouse.origin, externalHost);
    return application;
  }

  /** A new visitor with an empty cookie jar. */
  visitor(): Client {
    const client = new Client();
    this.#clients.push(client);
    return client;
  }

  /** For `afterEach`: prints the logs when the test failed. */
  explain(context: object): void {
    this.gatehouse.explain(context);
    if (failed(context) && this.#front !== undefined) console.error(this.#front.server.log());
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#front?.server.stop();
    await this.upstream.stop();
    await this.gatehouse.stop();
  }
}

function startNginx(
  port: number,
  applications: Record<string, 'akprox' | 'outpost' | 'carried'>,
  gatehouse: Gatehouse,
  upstream: Upstream,
): Promise<Nginx> {
  const addresses = {
    listen: `127.0.0.1:${port}`,
    application: `127.0.0.1:${upstream.port}`,
    outpost: `127.0.0.1:${gatehouse.port}`,
  };
  return Nginx.start({
    port,
    http: (tls) => {
      const values = { ...addresses, ...tls };
      // the older text answers for every name, so it has to come first: nginx's default server
      const named = Object.entries(applications);
      const carried = named.filter(([, kind]) => kind === 'carried').map(([name]) => `${name}.test`);
      const asked = named.filter(([, kind]) => kind !== 'carried');
      const ordered = asked.sort(([, a], [, b]) => a.localeCompare(b));
      const servers = ordered.map(([name, generation]) =>
        generation === 'akprox'
          ? akproxConfiguration(values)
          : outpostConfiguration({ ...values, name: `${name}.test` }),
      );
      return [...servers, serverConfiguration({ ...values, name: ['auth.test', ...carried].join(' ') })].join('\n');
    },
  });
}
