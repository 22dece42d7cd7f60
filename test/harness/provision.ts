import { request } from 'node:http';
import type { ProviderSettings } from '../../src/contract/provider-settings.ts';
import type { Api, Json } from './api.ts';
import { eventually } from './wait.ts';

export const PASSWORD = 'a good password for tests';

export interface Person {
  pk: number;
  username: string;
  password: string;
  uid: string;
}

export interface ApplicationOptions {
  slug: string;
  mode: 'proxy' | 'forward_single' | 'forward_domain';
  externalHost: string;
  internalHost?: string;
  /** groups and users that may; none = everybody */
  groups?: string[];
  users?: number[];
  /** our own settings beside the published ones */
  gatehouse?: Partial<ProviderSettings>;
  /** more provider fields */
  provider?: Json;
  name?: string;
  /** false: no outpost serves it yet */
  embedded?: boolean;
}

/** An outpost of its own, and what it needs to know. */
export interface OutpostAccount {
  pk: string;
  token: string;
}

export interface Application {
  pk: string;
  slug: string;
  provider: number;
}

/** Verbs that set an instance up, over the REST interface only. */
export class Provision {
  readonly api: Api;

  constructor(api: Api) {
    this.api = api;
  }

  async user(username: string, fields: Json = {}): Promise<Person> {
    const user = await this.api.post('core/users/', {
      username,
      name: `${username[0]!.toUpperCase()}${username.slice(1)} Example`,
      email: `${username}@example.test`,
      ...fields,
    });
    await this.api.post(`core/users/${Number(user['pk'])}/set_password/`, { password: PASSWORD });
    return { pk: Number(user['pk']), username, password: PASSWORD, uid: String(user['uid']) };
  }

  /** An app password that does not expire. @returns its key */
  async appPassword(user: number, identifier: string): Promise<string> {
    await this.api.post('core/tokens/', { identifier, user, intent: 'app_password', expiring: false });
    const { key } = await this.api.get(`core/tokens/${identifier}/view_key/`);
    return String(key);
  }

  async group(name: string, members: number[] = [], fields: Json = {}): Promise<string> {
    const group = await this.api.post('core/groups/', { name, ...fields });
    const pk = String(group['pk']);
    for (const member of members) await this.api.post(`core/groups/${pk}/add_user/`, { pk: member });
    return pk;
  }

  addMember = (group: string, user: number): Promise<Json> =>
    this.api.post(`core/groups/${group}/add_user/`, { pk: user });

  removeMember = (group: string, user: number): Promise<Json> =>
    this.api.post(`core/groups/${group}/remove_user/`, { pk: user });

  /** Makes provider, application and bindings and gives the provider to the embedded outpost, unless told otherwise. */
  async application(options: ApplicationOptions): Promise<Application> {
    const name = options.name ?? options.slug;
    const provider = await this.api.post('providers/proxy/', {
      name,
      mode: options.mode,
      external_host: options.externalHost,
      internal_host: options.internalHost ?? '',
      authorization_flow: await this.#flow('default-provider-authorization-implicit-consent'),
      invalidation_flow: await this.#flow('default-provider-invalidation-flow'),
      ...options.provider,
    });
    const pk = Number(provider['pk']);
    if (options.gatehouse !== undefined) await this.api.patch(`providers/proxy/${pk}/gatehouse/`, options.gatehouse);
    const application = await this.api.post('core/applications/', { name, slug: options.slug, provider: pk });
    let order = 0;
    for (const group of options.groups ?? []) await this.#bind(application, { group }, order++);
    for (const user of options.users ?? []) await this.#bind(application, { user }, order++);
    if (options.embedded !== false) await this.assign(pk);
    return { pk: String(application['pk']), slug: options.slug, provider: pk };
  }

  /** Makes an application on a host, or a path of it, below a domain-level provider. */
  async boundApplication(
    provider: number,
    options: { slug: string; name?: string; host: string; path?: string; groups?: string[] },
  ): Promise<{ pk: string; place: string }> {
    const { slug, name = slug, host, path = '/' } = options;
    const application = await this.api.post('core/applications/', { name, slug });
    let order = 0;
    for (const group of options.groups ?? []) await this.#bind(application, { group }, order++);
    const pk = String(application['pk']);
    const place = await this.api.post('gatehouse/domain_applications/', { application: pk, provider, host, path });
    return { pk, place: String(place['pk']) };
  }

  #bind(application: Json, whom: Json, order: number): Promise<Json> {
    return this.api.post('policies/bindings/', { target: String(application['pk']), order, ...whom });
  }

  /** Makes an outpost of its own. @param providers at least one */
  async outpost(name: string, providers: readonly number[], config: Json = {}): Promise<OutpostAccount> {
    const outpost = await this.api.post('outposts/instances/', { name, type: 'proxy', providers, config });
    const { key } = await this.api.get(`core/tokens/${String(outpost['token_identifier'])}/view_key/`);
    return { pk: String(outpost['pk']), token: String(key) };
  }

  embedded = (): Promise<Json> =>
    this.api.first('outposts/instances/?managed__iexact=goauthentik.io%2Foutposts%2Fembedded');

  /** Adds a provider to the embedded outpost. */
  async assign(provider: number): Promise<void> {
    const outpost = await this.embedded();
    const providers = outpost['providers'] as number[];
    await this.api.patch(`outposts/instances/${String(outpost['pk'])}/`, { providers: [...providers, provider] });
  }

  /** Sets the address under which browsers reach the identity server. */
  async serverAddress(origin: string): Promise<void> {
    const outpost = await this.embedded();
    await this.api.patch(`outposts/instances/${String(outpost['pk'])}/`, {
      config: { ...(outpost['config'] as Json), authentik_host: origin },
    });
  }

  /**
   * Waits until every worker serves the application: its `start` address sends to the login. Each try is a new
   * connection, so all workers get their turn.
   */
  async served(origin: string, externalHost: string, prefix = '/outpost.goauthentik.io'): Promise<void> {
    const host = new URL(externalHost).host;
    await eventually(`${externalHost} served by every worker`, 120_000, async () => {
      for (let i = 0; i < 20; i++) {
        const answer = await startStatus(origin, host, `${prefix}/start`);
        if (answer !== 302) throw new Error(`start answers ${answer}`);
      }
    });
  }

  async #flow(slug: string): Promise<string> {
    return String((await this.api.first(`flows/instances/?slug=${slug}`))['pk']);
  }
}

/** Status of a navigation to `path` with another Host, over a connection of its own. */
async function startStatus(origin: string, host: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(origin + path, {
      agent: false,
      headers: { host, accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    });
    req.once('response', (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    req.once('error', reject);
    req.end();
  });
}
