import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ConfigurationAnswer } from '../../contract/extension.ts';
import {
  CONFIGURATION_PAGE,
  CONFIGURATION_PATH,
  EXTENSION_HEADER,
  EXTENSION_VERSION,
  LINK_HEADERS,
} from '../../contract/extension.ts';
import { noteProvider, pruneOutpostChanges } from '../outposts/changes.ts';
import type { Api, CallOptions, Flows } from './server.test-helper.ts';
import { EMBEDDED_TOKEN, flows, HOST, startApi } from './server.test-helper.ts';
import { strict } from './strict.test-helper.ts';

interface Provider {
  pk: number;
  name: string;
}
type Answer = ConfigurationAnswer<Record<string, unknown>, Provider>;

/** An outpost as it keeps its configuration: by answers of the extension, and by a whole fetch to compare with. */
class Outpost {
  readonly #api: Api;
  readonly #as: CallOptions;
  cursor = '';
  providers = new Map<number, Provider>();
  managed: string[] = [];
  outpost: unknown;

  constructor(api: Api, token: string, internal = false) {
    this.#api = api;
    const headers = { [EXTENSION_HEADER]: EXTENSION_VERSION, ...(internal ? {} : { [LINK_HEADERS.host]: HOST }) };
    this.#as = { token, internal, headers };
  }

  async ask(query: string): Promise<Answer> {
    const answer = (await this.#api.ok(
      'GET',
      `${CONFIGURATION_PATH}${query}`,
      undefined,
      this.#as,
    )) as unknown as Answer;
    for (const provider of answer.providers) strict.ourProxyOutpostConfig(provider, 'provider');
    assert.deepEqual(Object.keys(answer.outpost).sort(), ['config', 'managed', 'name', 'pk', 'refresh_interval_s']);
    return answer;
  }

  /** @returns what came: names of providers, `-pk` for one that is gone, `all` before them for a whole fetch */
  async update(): Promise<string[]> {
    const first = await this.ask(`?cursor=${encodeURIComponent(this.cursor)}`);
    if (first.whole) this.providers.clear();
    const came: string[] = first.whole ? ['all'] : [];
    for (let answer = first; ; answer = await this.ask(`?after=${answer.next}`)) {
      for (const provider of answer.providers) this.providers.set(provider.pk, provider);
      for (const pk of answer.removed) this.providers.delete(pk);
      came.push(...answer.providers.map(({ name }) => name), ...answer.removed.map((pk) => `-${pk}`));
      if (answer.next === 0) break;
    }
    [this.cursor, this.managed, this.outpost] = [first.cursor, first.managed_headers, first.outpost];
    return came;
  }

  /** What it holds is what a fetch of everything gives. */
  async check(after: string): Promise<void> {
    const fresh = new Outpost(this.#api, String(this.#as.token), this.#as.internal);
    await fresh.update();
    const plain = (outpost: Outpost) => ({
      outpost: outpost.outpost,
      managed: outpost.managed,
      // told once beside them all; see ConfigurationAnswer
      providers: [...outpost.providers.values()]
        .toSorted((a, b) => a.pk - b.pk)
        .map((one) => ({
          ...one,
          gatehouse: { ...(one as unknown as { gatehouse: object }).gatehouse, managed_headers: [] },
        })),
    });
    assert.deepEqual(plain(this), plain(fresh), after);
    const page = (await this.#api.ok('GET', 'outposts/proxy/?page_size=1000', undefined, this.#as)) as unknown as {
      results: Provider[];
    };
    assert.deepEqual(
      page.results.map(({ pk }) => pk).toSorted((a, b) => a - b),
      plain(this).providers.map(({ pk }) => pk),
      `${after}: the published list`,
    );
  }
}

describe('changes told to our own outposts', () => {
  let api: Api;
  let flow: Flows;
  let embedded: { pk: string; config: Record<string, unknown> };
  before(async () => {
    api = await startApi();
    flow = await flows(api);
    const page = (await api.ok('GET', 'outposts/instances/')) as { results: (typeof embedded)[] };
    embedded = page.results[0]!;
  });
  after(() => api.close());

  const provider = async (name: string, more: Record<string, unknown> = {}) => {
    const external_host = `https://${name}.example.test`;
    const made = await api.ok('POST', 'providers/proxy/', {
      ...flow,
      name,
      mode: 'forward_single',
      external_host,
      ...more,
    });
    await api.ok('POST', 'core/applications/', { name: `App ${name}`, slug: name, provider: made['pk'] });
    return Number(made['pk']);
  };
  const outpost = async (name: string, providers: number[]) => {
    const made = await api.ok('POST', 'outposts/instances/', { type: 'proxy', config: {}, name, providers });
    const { key } = await api.ok('GET', `core/tokens/${String(made['token_identifier'])}/view_key/`);
    return { pk: String(made['pk']), holds: new Outpost(api, String(key)) };
  };

  it('are told to the outposts concerned, one object each, whatever changes', async () => {
    const [a, b, c] = [await provider('a1'), await provider('b1'), await provider('c1')];
    const [one, two] = [await outpost('one', [a, b]), await outpost('two', [c])];
    assert.deepEqual(await one.holds.update(), ['all', 'a1', 'b1']);
    assert.deepEqual(await two.holds.update(), ['all', 'c1']);
    assert.deepEqual(await one.holds.update(), []);

    const made = await api.ok('POST', 'crypto/certificatekeypairs/generate/', {
      common_name: 'a1',
      validity_days: 9,
      alg: 'ecdsa',
    });
    const wide = await provider('wide', {
      mode: 'forward_domain',
      external_host: 'https://login.wide.test',
      cookie_domain: 'wide.test',
    });
    const bound = await api.ok('POST', 'core/applications/', { name: 'Bound', slug: 'bound' });
    let binding = '';
    let mapping = '';
    const user = await api.ok('POST', 'core/users/', { username: 'u', name: 'U' });
    type Step = [what: string, came: string[], change: () => Promise<unknown>];
    const patch = (path: string, body: unknown) => () => api.ok('PATCH', path, body);
    const steps: Step[] = [
      ['a provider', ['a1'], patch(`providers/proxy/${a}/`, { mode: 'forward_single', skip_path_regex: '^/public$' })],
      ['its settings', ['a1'], patch(`providers/proxy/${a}/gatehouse/`, { host: 'original' })],
      ['its name', ['b2'], patch(`providers/proxy/${b}/`, { mode: 'forward_single', name: 'b2' })],
      ['its application', ['a1'], patch('core/applications/a1/', { name: 'Another' })],
      ['no application', [`-${a}`], patch('core/applications/a1/', { provider: null })],
      ['the application again', ['a1'], patch('core/applications/a1/', { provider: a })],
      ['the application is deleted', [`-${b}`], () => api.ok('DELETE', 'core/applications/b1/')],
      ['a new one', ['b2'], () => api.ok('POST', 'core/applications/', { name: 'B', slug: 'b3', provider: b })],
      ['a certificate', ['a1'], patch(`providers/proxy/${a}/`, { mode: 'forward_single', certificate: made['pk'] })],
      [
        'the name of the certificate',
        ['a1'],
        patch(`crypto/certificatekeypairs/${String(made['pk'])}/`, { name: 'n' }),
      ],
      ['no certificate', ['a1'], () => api.ok('DELETE', `crypto/certificatekeypairs/${String(made['pk'])}/`)],
      ['another provider is served', ['c1'], patch(`outposts/instances/${one.pk}/`, { providers: [a, b, c] })],
      ['one is not any more', [`-${b}`], patch(`outposts/instances/${one.pk}/`, { providers: [a, c] })],
      [
        'the outpost itself',
        [],
        patch(`outposts/instances/${one.pk}/`, { name: 'renamed', config: { log_level: 'debug' } }),
      ],
      ['a domain', ['wide'], patch(`outposts/instances/${one.pk}/`, { providers: [a, c, wide] })],
      [
        'an application bound to a host of it',
        ['wide'],
        async () => {
          const body = { application: bound['pk'], provider: wide, host: 'docs.wide.test' };
          binding = String((await api.ok('POST', 'gatehouse/domain_applications/', body))['pk']);
        },
      ],
      ['that application is renamed', ['wide'], patch('core/applications/bound/', { name: 'Bound 2' })],
      ['it is not bound any more', ['wide'], () => api.ok('DELETE', `gatehouse/domain_applications/${binding}/`)],
      [
        'a header of a person',
        [],
        patch(`core/users/${String(user['pk'])}/`, { attributes: { additionalHeaders: { 'X-New': '1' } } }),
      ],
      [
        'the address of the server',
        ['all', 'a1', 'c1', 'wide'],
        patch(`outposts/instances/${embedded.pk}/`, {
          config: { ...embedded.config, authentik_host: 'https://login.example.test/' },
        }),
      ],
      [
        'the same address again',
        [],
        patch(`outposts/instances/${embedded.pk}/`, {
          config: { ...embedded.config, authentik_host: 'https://login.example.test/' },
        }),
      ],
      ['a provider is deleted', [`-${c}`], () => api.ok('DELETE', `providers/proxy/${c}/`)],
      [
        'a mapping with another scope',
        ['a1'],
        async () => {
          const body = { name: 'own', scope_name: 'own', expression: 'return {}' };
          mapping = String((await api.ok('POST', 'propertymappings/provider/scope/', body))['pk']);
          const { property_mappings } = (await api.ok('GET', `providers/proxy/${a}/`)) as {
            property_mappings: string[];
          };
          const all = [...property_mappings, mapping];
          await patch(`providers/proxy/${a}/`, { mode: 'forward_single', property_mappings: all })();
        },
      ],
      [
        'the scope of the mapping',
        ['a1'],
        () => api.ok('PATCH', `propertymappings/provider/scope/${mapping}/`, { scope_name: 'other' }),
      ],
      ['the mapping is deleted', ['a1'], () => api.ok('DELETE', `propertymappings/provider/scope/${mapping}/`)],
      ['what concerns others', [], patch(`providers/proxy/${b}/`, { mode: 'forward_single', name: 'b4' })],
    ];
    for (const [what, came, change] of steps) {
      await change();
      assert.deepEqual((await one.holds.update()).toSorted(), came.toSorted(), what);
      await one.holds.check(what);
    }
    assert.ok(one.holds.managed.includes('x-new'));
    // meanwhile the other missed all of it
    await two.holds.update();
    await two.holds.check('afterwards');
  });

  it('are everything for a position that is unknown, of another release, or too old', async () => {
    const a = await provider('again');
    const { pk, holds } = await outpost('three', [a]);
    await holds.update();
    const cursor = holds.cursor;
    const [n = '', mark = '', ...version] = cursor.split('.');
    for (const other of [
      '',
      'x',
      `${n}.${mark}`,
      `${n}.${mark}.0.0.0`,
      `${n}.ffffffffffffffff.${version.join('.')}`,
      `9${cursor}`,
    ]) {
      holds.cursor = other;
      assert.deepEqual(await holds.update(), ['all', 'again'], other);
    }
    holds.cursor = cursor;
    assert.deepEqual(await holds.update(), []);
    await api.ctx.change(async (tx) => {
      for (let i = 0; i < 1001; i++) await noteProvider(tx, a, [pk]);
      await pruneOutpostChanges(tx.db);
    });
    assert.deepEqual(await holds.update(), ['all', 'again']);
    await api.ok('PATCH', `providers/proxy/${a}/`, { mode: 'forward_single', name: 'again 2' });
    assert.deepEqual(await holds.update(), ['again 2']);
  });

  it('come page by page when there are many, and the pages hold although providers come and go meanwhile', async () => {
    const rest = await Promise.all(Array.from({ length: CONFIGURATION_PAGE + 5 }, (_, i) => provider(`many${i}`)));
    const { holds } = await outpost('many', rest);
    const first = await holds.ask('');
    assert.deepEqual([first.providers.length, first.next], [CONFIGURATION_PAGE, first.providers.at(-1)?.pk]);
    await api.ok('DELETE', `providers/proxy/${first.providers[0]?.pk ?? 0}/`);
    const second = await holds.ask(`?after=${first.next}`);
    assert.deepEqual([second.providers.length, second.next], [5, 0], 'none was skipped');
    const since = await holds.ask(`?cursor=${first.cursor}`);
    assert.deepEqual([since.whole, since.removed], [false, [first.providers[0]?.pk]]);
    await holds.update();
    await holds.check('many');
  });

  it('are for outposts only, and for each its own', async () => {
    assert.equal((await api.call('GET', CONFIGURATION_PATH)).status, 403);
    assert.equal((await api.call('GET', CONFIGURATION_PATH, undefined, { token: '' })).status, 403);
    const { holds } = await outpost('mine', [await provider('mine')]);
    assert.deepEqual(await holds.update(), ['all', 'mine']);
    const boot = new Outpost(api, EMBEDDED_TOKEN, true);
    assert.deepEqual(await boot.update(), ['all']);
    boot.cursor = holds.cursor; // of another outpost
    assert.deepEqual(await boot.update(), ['all']);
    const bad = await api.call('GET', `${CONFIGURATION_PATH}?after=x`, undefined, {
      token: EMBEDDED_TOKEN,
      internal: true,
    });
    assert.equal(bad.status, 400);
  });

  it('are announced in an answer of the published interface, to whoever speaks the extension', async () => {
    const plain = await api.call('GET', 'root/config/', undefined, { token: '' });
    assert.equal(plain.headers[EXTENSION_HEADER.toLowerCase()], undefined);
    strict.rootConfig(plain.body, 'config');
    const ours = await api.call('GET', 'root/config/', undefined, { token: '', headers: { [EXTENSION_HEADER]: '1' } });
    assert.equal(ours.headers[EXTENSION_HEADER.toLowerCase()], EXTENSION_VERSION);
    strict.rootConfig(ours.body, 'config');
  });
});
