import { Client } from './client.ts';
import { publishedServerConfiguration } from './configurations.ts';
import { Gatehouse } from './gatehouse.ts';
import { Namespaces } from './namespaces.ts';
import { Nginx } from './nginx.ts';
import { Provision } from './provision.ts';
import { Upstream } from './upstream.ts';
import { failed } from './wait.ts';

export interface ServerSiteOptions {
  /** keeps several of them in one test apart */
  index: number;
  /** base path of the identity server, with slashes at both ends */
  webPath?: string;
  /** what is done to the published text after its placeholders are filled in */
  change?: (text: string, place: { application: string; gatehouse: string }) => string;
}

/**
 * The identity server behind real nginx with the published text, on its own ports 80, 443 and 9443, in network namespaces
 * of their own. Only nginx is trusted: the test stands where visitors do. Names below `.test` lead to nginx.
 */
export class ServerSite {
  readonly net: Namespaces;
  readonly origin = 'https://sso.test';
  readonly #options: ServerSiteOptions;
  readonly #clients: Client[] = [];
  gatehouse!: Gatehouse;
  upstream!: Upstream;
  provision!: Provision;
  #nginx: Nginx | undefined;

  constructor(options: ServerSiteOptions) {
    this.#options = options;
    this.net = new Namespaces(options.index);
  }

  /** address of the identity server for browsers, ends with a slash */
  get server(): string {
    return this.origin + (this.#options.webPath ?? '/');
  }

  async start(): Promise<void> {
    const { net } = this;
    await net.create();
    this.upstream = await Upstream.start('0.0.0.0');
    const { webPath } = this.#options;
    this.gatehouse = await Gatehouse.start({
      host: '0.0.0.0',
      reachedAt: net.gateForTest,
      port: 9000,
      securePort: 9443,
      metricsPort: 9300,
      prefix: ['ip', 'netns', 'exec', net.gate],
      ...(webPath === undefined ? {} : { webPath }),
      env: { GATEHOUSE_STRICT_PEERS: net.webForGate },
    });
    this.provision = new Provision(this.gatehouse.api);
    await this.nginx(this.#options.change);
  }

  /** Runs nginx with the published text, changed if wanted; the one before is stopped. */
  async nginx(change: ServerSiteOptions['change'] = (text) => text): Promise<void> {
    await this.#nginx?.stop();
    const { net } = this;
    const place = {
      application: `${net.testForWeb}:${this.upstream.port}`,
      gatehouse: `${net.gateForWeb}:9000`,
    };
    this.#nginx = await Nginx.start({
      host: net.webForTest,
      port: 443,
      prefix: ['ip', 'netns', 'exec', net.web],
      http: (tls) => change(publishedServerConfiguration({ server: net.gateForWeb, name: 'sso.test', ...tls }), place),
    });
  }

  /** A new visitor, who reaches every name at nginx. */
  visitor(): Client {
    const client = new Client(this.net.webForTest);
    this.#clients.push(client);
    return client;
  }

  /** For `afterEach`: prints the logs when the test failed. */
  explain(context: object): void {
    this.gatehouse?.explain(context);
    if (failed(context) && this.#nginx !== undefined) console.error(this.#nginx.log());
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#nginx?.stop();
    await this.gatehouse?.stop();
    await this.upstream?.stop();
    await this.net.remove();
  }
}
