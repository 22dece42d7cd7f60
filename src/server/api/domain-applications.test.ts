import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Api } from './server.test-helper.ts';
import { flows, startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

const PATH = 'gatehouse/domain_applications/';

interface Bound {
  pk: string;
  application: string;
  host: string;
  path: string;
}

describe('domain applications', () => {
  let api: Api;
  let provider: number;
  let application: string;
  before(async () => {
    api = await startApi();
    const made = await api.ok('POST', 'providers/proxy/', {
      ...(await flows(api)),
      name: 'all',
      mode: 'forward_domain',
      external_host: 'https://auth.example.test',
      cookie_domain: 'example.test',
    });
    provider = made['pk'] as number;
    await api.ok('POST', 'core/applications/', { name: 'All', slug: 'all', provider });
    application = String((await api.ok('POST', 'core/applications/', { name: 'Wiki', slug: 'wiki' }))['pk']);
  });
  after(() => api.close());
  const create = async (body: object) =>
    decode<Bound>(strict.domainApplication, await api.ok('POST', PATH, { application, provider, ...body }));

  it('are created, read, changed, listed, filtered and deleted', async () => {
    const made = await create({ host: 'wiki.example.test' });
    assert.deepEqual(made, {
      pk: made.pk,
      application,
      application_slug: 'wiki',
      application_name: 'Wiki',
      provider,
      provider_name: 'all',
      host: 'wiki.example.test',
      path: '/',
    });
    const one = `${PATH}${made.pk}/`;
    assert.deepEqual(await api.ok('GET', one), made);
    const patched = await api.ok('PATCH', one, { path: '/docs/' });
    assert.deepEqual(decode<Bound>(strict.domainApplication, patched), { ...made, path: '/docs' });
    // what was read can be sent back, as clients do
    assert.deepEqual(await api.ok('PUT', one, patched), patched);
    await create({ host: 'other.example.test', path: '/a' });
    const list = async (query: string) =>
      decodePage<Bound>(strict.domainApplication, await api.ok('GET', `${PATH}?${query}`)).map(({ host }) => host);
    assert.deepEqual(await list(''), ['other.example.test', 'wiki.example.test']);
    assert.deepEqual(await list('ordering=-host'), ['wiki.example.test', 'other.example.test']);
    assert.deepEqual(await list(`host=WIKI.example.test&provider=${provider}`), ['wiki.example.test']);
    assert.deepEqual(await list('search=docs'), ['wiki.example.test']);
    assert.deepEqual(await list('provider=999'), []);
    assert.deepEqual((await list(`application=${application}`)).length, 2);
    assert.equal((await api.call('DELETE', one)).status, 204);
    assert.equal((await api.call('GET', one)).status, 404);
    assert.equal((await api.call('DELETE', one)).status, 404);
    const { results } = (await api.ok('GET', 'events/events/?action=model_deleted')) as {
      results: { context: object }[];
    };
    assert.match(JSON.stringify(results[0]?.context), /wiki\.example\.test\/docs.*domainapplication/);
  });

  it('name what is wrong by field', async () => {
    const refused = async (body: object) => {
      const answer = await api.call('POST', PATH, { application, provider, host: 'x.example.test', ...body });
      assert.equal(answer.status, 400);
      return Object.keys(answer.body as object);
    };
    assert.deepEqual(await refused({ host: 'x.test', path: 'x' }), ['host', 'path']);
    assert.deepEqual(await refused({ provider: 999 }), ['provider']);
    assert.deepEqual(await refused({ misspelt: 1 }), ['misspelt']);
    const lacking = await api.call('POST', PATH, { application, provider });
    assert.deepEqual([lacking.status, Object.keys(lacking.body as object)], [400, ['host']]);
  });

  it('give applications an address, and stand in what our outposts are told', async () => {
    const made = await create({ host: 'shown.example.test', path: '/x' });
    const shown = await api.ok('GET', 'core/applications/wiki/');
    assert.match(String(shown['launch_url']), /^https:\/\/(?:other|shown)\.example\.test\//);
    const { results } = (await api.ok('GET', 'core/applications/?only_with_launch_url=true')) as {
      results: { slug: string }[];
    };
    assert.ok(results.some(({ slug }) => slug === 'wiki'));
    assert.equal((await api.call('DELETE', 'core/applications/wiki/')).status, 400);
    assert.equal(made.path, '/x');
  });

  it('are for superusers', async () => {
    assert.equal((await api.call('GET', PATH, undefined, { token: '' })).status, 403);
  });
});

describe('the cookie domain of a domain-level provider', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api.close());

  const table: [external: string, domain: string, accepted: boolean][] = [
    ['https://auth.example.com', 'example.com', true],
    ['https://auth.example.com', '.Example.com', true],
    ['https://auth.example.com', 'auth.example.com', true],
    ['https://auth.home.arpa.example.com', 'home.arpa.example.com', true],
    ['https://auth.me.duckdns.org', 'me.duckdns.org', true],
    ['https://auth.example.co.uk', 'example.co.uk', true],
    ['https://auth.lan.test', 'lan.test', true],
    ['https://auth.example.com', '', false],
    ['https://auth.example.com', 'com', false],
    ['https://auth.example.com', 'ample.com', false],
    ['https://auth.example.com', 'other.com', false],
    ['https://auth.example.com', 'x.auth.example.com', false],
    ['https://auth.example.co.uk', 'co.uk', false],
    ['https://me.duckdns.org', 'duckdns.org', false],
    ['https://me.github.io', 'github.io', false],
    ['https://auth.city.kawasaki.jp', 'kawasaki.jp', false],
    ['https://auth.lan', 'lan', false],
    ['https://10.0.0.1', '0.0.1', false],
    ['https://10.0.0.1', '10.0.0.1', false],
    ['https://auth.example.com', 'exam ple.com', false],
  ];
  for (const [i, [external_host, cookie_domain, accepted]] of table.entries()) {
    it(`"${cookie_domain}" at ${external_host}: ${accepted ? 'taken' : 'refused'}`, async () => {
      const body = { ...(await flows(api)), name: `p${i}`, mode: 'forward_domain', external_host, cookie_domain };
      const answer = await api.call('POST', 'providers/proxy/', body);
      if (accepted) {
        assert.equal(answer.status, 201);
        await api.ok('DELETE', `providers/proxy/${(answer.body as { pk: number }).pk}/`);
      } else assert.deepEqual([answer.status, Object.keys(answer.body as object)], [400, ['cookie_domain']]);
    });
  }

  it('may be that of the server’s own host, which no other provider may take then', async () => {
    const make = async (name: string, over: object) =>
      api.call('POST', 'providers/proxy/', { ...(await flows(api)), name, ...over });
    const domain = {
      mode: 'forward_domain',
      cookie_domain: 'example.test',
      external_host: 'https://auth.example.test',
    };
    await api.ctx.baseAddress.learn(api.ctx, 'https', 'auth.example.test');
    assert.equal((await make('all', domain)).status, 201);
    for (const other of [domain, { mode: 'forward_single', external_host: 'https://auth.example.test' }]) {
      const refused = await make('second', other);
      assert.deepEqual([refused.status, Object.keys(refused.body as object)], [400, ['external_host']]);
    }
    // of one domain there may be several: they can be at different outposts
    assert.equal((await make('third', { ...domain, external_host: 'https://sso.example.test' })).status, 201);
  });
});
