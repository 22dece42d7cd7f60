import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CONFIGURATION_PATH, EXTENSION_HEADER } from '../../contract/extension.ts';
import { UnexpectedAnswer } from '../back-channel.ts';
import { ConfigurationSource } from './configuration-source.ts';
import type { Fetched } from './configuration-source.ts';

const OIDC = Object.fromEntries(
  ['issuer', 'authorization_endpoint', 'token_endpoint', 'end_session_endpoint', 'jwks_uri'].map((key) => [
    key,
    'http://x/',
  ]),
);
const provider = (pk: number, name = `p${pk}`) => ({
  pk,
  name,
  external_host: `http://p${pk}.test`,
  client_id: 'c',
  client_secret: 's',
  cookie_secret: 'k',
  assigned_application_slug: 'a',
  assigned_application_name: 'A',
  oidc_configuration: OIDC,
});
const ours = (pk: number, name?: string) => ({ ...provider(pk, name), gatehouse: {} });
const OUTPOST = { pk: 'op', name: 'out', refresh_interval_s: 300, config: {}, managed: null };
const NEWS = `api/v3/${CONFIGURATION_PATH}`;
const news = (more: object) => ({
  cursor: '1',
  whole: false,
  outpost: OUTPOST,
  managed_headers: [],
  providers: [],
  removed: [],
  next: 0,
  ...more,
});

/** A server that gives these answers in turn, address by address. */
class Server {
  readonly asked: string[] = [];
  readonly #answers: [address: string, answer: object | number][];
  speaks: boolean;

  constructor(speaks: boolean, ...answers: [string, object | number][]) {
    this.speaks = speaks;
    this.#answers = answers;
  }

  readonly fetch = (async (address: string) => {
    this.asked.push(address);
    if (address === 'api/v3/root/config/') {
      return Response.json({}, { headers: this.speaks ? { [EXTENSION_HEADER]: '1' } : {} });
    }
    const [expected, answer] = this.#answers.shift() ?? ['nothing more', 500];
    assert.equal(address, expected);
    return typeof answer === 'number' ? new Response('{}', { status: answer }) : Response.json(answer);
  }) as typeof fetch;
}

const names = ({ providers }: Fetched) => providers.map(({ name }) => name).toSorted();

describe('where the configuration comes from', () => {
  it('asks a server of ours for everything once, page by page, then for what is new', async () => {
    const server = new Server(
      true,
      [`${NEWS}?cursor=`, news({ whole: true, providers: [ours(1), ours(2)], next: 2 })],
      [`${NEWS}?after=2`, news({ cursor: 'of a later moment', whole: true, providers: [ours(3)] })],
      [`${NEWS}?cursor=1`, news({ cursor: '2', providers: [ours(2, 'new')], removed: [3, 9] })],
      [`${NEWS}?cursor=2`, news({ cursor: '2' })],
      [`${NEWS}?cursor=2`, news({ cursor: '2', managed_headers: ['x-a'] })],
    );
    const source = new ConfigurationSource(server.fetch, assert.fail);
    const first = await source.fetch([]);
    assert.deepEqual([names(first), first.told.length, source.ours], [['p1', 'p2', 'p3'], 3, true]);
    const second = await source.fetch(first.providers);
    assert.deepEqual([names(second), second.told.map(({ name }) => name)], [['new', 'p1'], ['new']]);
    assert.ok(second.providers.includes(first.providers[0]!), 'the very object');
    const third = await source.fetch(second.providers);
    assert.deepEqual(new Set(third.providers), new Set(second.providers));
    assert.deepEqual(third.told, []);
    const fourth = await source.fetch(third.providers);
    assert.deepEqual(
      fourth.providers.map(({ gatehouse }) => gatehouse?.managed_headers),
      [['x-a'], ['x-a']],
      'told once, for all of them',
    );
  });

  it('asks for everything when told to, and keeps what did not change', async () => {
    const whole = news({ whole: true, providers: [ours(1), ours(2)] });
    const server = new Server(
      true,
      [`${NEWS}?cursor=`, whole],
      [`${NEWS}?cursor=`, { ...whole, providers: [ours(2), ours(1, 'other')] }],
    );
    const source = new ConfigurationSource(server.fetch, assert.fail);
    const first = await source.fetch([]);
    source.forget();
    const second = await source.fetch(first.providers);
    assert.deepEqual(names(second), ['other', 'p2']);
    assert.ok(second.providers.includes(first.providers[1]!));
  });

  it('asks for everything now and then, whatever it was told meanwhile', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 1e12 });
    const server = new Server(
      true,
      [`${NEWS}?cursor=`, news({ whole: true, providers: [ours(1)] })],
      [`${NEWS}?cursor=1`, news({ cursor: '2' })],
      [`${NEWS}?cursor=`, news({ cursor: '2', whole: true, providers: [ours(1, 'missed')] })],
      [`${NEWS}?cursor=2`, news({ cursor: '2' })],
    );
    const source = new ConfigurationSource(server.fetch, assert.fail);
    let { providers } = await source.fetch([]);
    for (const minutes of [59, 60, 1]) {
      t.mock.timers.tick(minutes * 60_000);
      ({ providers } = await source.fetch(providers));
    }
    assert.equal(providers[0]?.name, 'missed');
  });

  it('asks any other server with the published calls only', async () => {
    const page = (results: unknown[]) => ({ pagination: { next: 0 }, results });
    const [instances, proxy] = ['api/v3/outposts/instances/', 'api/v3/outposts/proxy/?page=1&page_size=100'];
    const server = new Server(
      false,
      [instances, page([OUTPOST])],
      [proxy, page([provider(1), provider(2)])],
      [instances, page([OUTPOST])],
      [proxy, page([provider(2), provider(1, 'other')])],
    );
    const source = new ConfigurationSource(server.fetch, assert.fail);
    const first = await source.fetch([]);
    const second = await source.fetch(first.providers);
    assert.deepEqual([names(second), source.ours], [['other', 'p2'], false]);
    assert.ok(second.providers.includes(first.providers[1]!), 'what is equal is kept');
    assert.deepEqual(server.asked, ['api/v3/root/config/', instances, proxy, instances, proxy]);
  });

  it('finds out anew whom it talks to after a new connection, and when the address is gone', async () => {
    const page = (results: unknown[]) => ({ pagination: { next: 0 }, results });
    const published: [string, object][] = [
      ['api/v3/outposts/instances/', page([OUTPOST])],
      ['api/v3/outposts/proxy/?page=1&page_size=100', page([provider(1)])],
    ];
    const server = new Server(true, [`${NEWS}?cursor=`, 404], ...published, [`${NEWS}?cursor=`, news({ whole: true })]);
    const source = new ConfigurationSource(server.fetch, assert.fail);
    const first = await source.fetch([]);
    assert.deepEqual([names(first), source.ours], [['p1'], false]);
    source.probeAgain();
    assert.deepEqual(names(await source.fetch(first.providers)), []);
    assert.equal(source.ours, true);
  });

  it('keeps a provider that arrives unreadable, and asks for everything the next time', async () => {
    const problems: string[] = [];
    const server = new Server(
      true,
      [`${NEWS}?cursor=`, news({ whole: true, providers: [ours(1), ours(2)] })],
      [`${NEWS}?cursor=1`, news({ cursor: '2', providers: [{ ...ours(2), client_id: 7 }, ours(3)] })],
      [`${NEWS}?cursor=`, news({ cursor: '2', whole: true, providers: [ours(1)] })],
    );
    const source = new ConfigurationSource(server.fetch, (problem) => problems.push(problem));
    const first = await source.fetch([]);
    const second = await source.fetch(first.providers);
    assert.deepEqual([names(second), problems.length], [['p1', 'p2', 'p3'], 1]);
    assert.match(problems[0] ?? '', /p2.*client_id/);
    assert.deepEqual(names(await source.fetch(second.providers)), ['p1']);
  });

  it('changes nothing by half: a page that fails, a list that does not end, an answer that is none', async () => {
    const first = news({ whole: true, providers: [ours(1)], next: 1 });
    for (const [second, error] of [
      [500, UnexpectedAnswer],
      [404, /does not end/],
      [news({ whole: true, next: 1 }), /does not end/],
      [{ next: 0 }, /cannot read/],
    ] as const) {
      const server = new Server(
        true,
        [`${NEWS}?cursor=`, first],
        [`${NEWS}?after=1`, second],
        [`${NEWS}?cursor=`, news({ whole: true })],
      );
      const source = new ConfigurationSource(server.fetch, assert.fail);
      await assert.rejects(source.fetch([]), error);
      if (second !== 404) assert.deepEqual(names(await source.fetch([])), [], 'asks for everything again');
    }
  });

  it('tells a token that is nobody\u2019s from one that is no outpost\u2019s', async () => {
    const refused = (instances: number) =>
      new Server(true, [`${NEWS}?cursor=`, 403], ['api/v3/outposts/instances/', instances]);
    const ask = (server: Server) => new ConfigurationSource(server.fetch, assert.fail).fetch([]);
    await assert.rejects(ask(refused(403)), UnexpectedAnswer);
    await assert.rejects(ask(refused(200)), { code: 'no-outpost' });
  });
});
