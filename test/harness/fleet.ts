import { request } from 'node:http';
import { Client } from './client.ts';
import { outpostConfiguration } from './configurations.ts';
import { Gatehouse } from './gatehouse.ts';
import { Nginx } from './nginx.ts';
import { Line } from './line.ts';
import { StandaloneOutpost } from './outpost.ts';
import { freePort } from './ports.ts';
import { Provision } from './provision.ts';
import { Upstream } from './upstream.ts';
import { eventually, failed, isAlive, killNow } from './wait.ts';

export interface FleetOptions {
  /** how many outposts */
  size?: number;
  /** `access_token_validity` of both providers */
  validity?: string;
  /** more variables of the outposts */
  env?: Readonly<Record<string, string>>;
  /** outposts reach the server over a line that can be cut: {@link Fleet.line} */
  line?: boolean;
}

/**
 * Several outposts of one kind, each with a folder of its own and nothing in common, behind an nginx that asks them in
 * turn. `wiki` is carried by them, `forge` is behind nginx, which asks them about every request.
 */
export class Fleet {
  readonly gatehouse: Gatehouse;
  readonly provision: Provision;
  readonly upstream: Upstream;
  readonly outposts: StandaloneOutpost[] = [];
  /** addresses of the two applications, for browsers */
  readonly applications: Readonly<Record<'wiki' | 'forge', string>>;
  /** ids of their providers */
  readonly providers: number[] = [];
  readonly #ports: { wiki: number; forge: number };
  readonly #clients = new Set<Client>();
  #nginx: Nginx | undefined;
  #line: Line | undefined;

  private constructor(gatehouse: Gatehouse, upstream: Upstream, ports: { wiki: number; forge: number }) {
    this.gatehouse = gatehouse;
    this.provision = new Provision(gatehouse.api);
    this.upstream = upstream;
    this.#ports = ports;
    this.applications = { wiki: `http://wiki.test:${ports.wiki}`, forge: `https://forge.test:${ports.forge}` };
  }

  static async start(options: FleetOptions = {}): Promise<Fleet> {
    const gatehouse = await Gatehouse.start({ workers: 1 });
    const upstream = await Upstream.start();
    const fleet = new Fleet(gatehouse, upstream, { wiki: await freePort(), forge: await freePort() });
    try {
      await fleet.#setUp(options);
      return fleet;
    } catch (error) {
      await fleet.stop();
      throw error;
    }
  }

  /** between the outposts and the server, where there is one */
  get line(): Line {
    if (this.#line === undefined) throw new TypeError('there is no line');
    return this.#line;
  }

  /** Host header of `wiki` */
  get wikiHost(): string {
    return `wiki.test:${this.#ports.wiki}`;
  }

  /** where nginx takes requests for `wiki` */
  get origin(): string {
    return `http://127.0.0.1:${this.#ports.wiki}`;
  }

  /** A script's request for `wiki` at one outpost, past nginx. */
  ask(outpost: StandaloneOutpost, cookie: string): Promise<{ status: number; text: string }> {
    const headers = { host: this.wikiHost, accept: '*/*', 'sec-fetch-mode': 'cors', cookie };
    return new Promise((resolve, reject) => {
      const req = request(`${outpost.origin}/asked`, { agent: false, headers }, (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (piece: string) => (text += piece));
        res.once('end', () => resolve({ status: res.statusCode ?? 0, text }));
        res.once('error', reject);
      });
      req.setTimeout(30_000, () => req.destroy(new Error('no answer within 30 s')));
      req.once('error', reject);
      req.end();
    });
  }

  visitor(): Client {
    const client = new Client();
    this.#clients.add(client);
    return client;
  }

  /** Lets go of a visitor who will not be needed any more. */
  async leave(visitor: Client): Promise<void> {
    this.#clients.delete(visitor);
    await visitor.close();
  }

  /** Kills all processes of an outpost and waits until it is back as it was. */
  async killAndAwaitReturn(outpost: StandaloneOutpost): Promise<void> {
    const family = [outpost.pid, ...outpost.pids('worker')];
    for (const pid of family) killNow(pid); // its workers may go with the supervisor
    await outpost.exit();
    await eventually('all its processes gone', 20_000, () => {
      const left = family.filter(isAlive);
      if (left.length > 0) throw new Error(`processes ${left.join(', ')} still run`);
    });
    outpost.launch();
    await outpost.configured();
  }

  /** For `afterEach`: prints the logs when the test failed. */
  explain(context: object): void {
    this.gatehouse.explain(context);
    for (const outpost of this.outposts) outpost.explain(context);
    if (failed(context)) console.error(this.#nginx?.log());
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#clients].map((client) => client.close()));
    await this.#nginx?.stop();
    await Promise.all(this.outposts.map((outpost) => outpost.stop()));
    await this.upstream.stop();
    this.#line?.close();
    await this.gatehouse.stop();
  }

  async #setUp({ size = 3, validity = 'hours=1', env = {}, line = false }: FleetOptions): Promise<void> {
    await this.provision.serverAddress(`http://auth.test:${this.gatehouse.port}`);
    const provider = { access_token_validity: validity };
    const carried = {
      mode: 'proxy',
      externalHost: this.applications.wiki,
      internalHost: this.upstream.origin,
    } as const;
    const asked = { mode: 'forward_single', externalHost: this.applications.forge } as const;
    for (const [slug, options] of Object.entries({ wiki: carried, forge: asked })) {
      const made = await this.provision.application({ slug, ...options, provider, embedded: false });
      this.providers.push(made.provider);
    }
    const { token } = await this.provision.outpost('many', this.providers);
    if (line) this.#line = await Line.to(this.gatehouse.port);
    const server = this.#line?.origin ?? this.gatehouse.origin;
    for (let i = 0; i < size; i++) {
      const outpost = await StandaloneOutpost.prepare({ server, token, workers: 1, env });
      this.outposts.push(outpost);
      outpost.launch();
    }
    for (const outpost of this.outposts) {
      await outpost.configured();
      for (const address of Object.values(this.applications)) await this.provision.served(outpost.origin, address);
    }
    this.#nginx = await Nginx.start({ port: this.#ports.wiki, http: (tls) => this.#configuration(tls) });
  }

  #configuration(tls: { cert: string; key: string }): string {
    const application = `127.0.0.1:${this.upstream.port}`;
    const listen = `127.0.0.1:${this.#ports.forge}`;
    return `upstream outposts {
${this.outposts.map(({ port }) => `  server 127.0.0.1:${port} fail_timeout=1s;`).join('\n')}
  keepalive 32;
}
server {
  listen 127.0.0.1:${this.#ports.wiki};
  server_name wiki.test;
  location / {
    proxy_pass http://outposts;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_next_upstream error timeout http_503;
  }
}
${outpostConfiguration({ ...tls, name: 'forge.test', listen, application, outpost: 'outposts' })}`;
  }
}
