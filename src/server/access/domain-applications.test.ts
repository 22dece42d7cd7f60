import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidInput } from '../../contract/errors.ts';
import { testServer } from '../context.test-helper.ts';
import { createGroup } from '../directory/groups.ts';
import { createUser } from '../directory/users.ts';
import { eventsAfter, readCursor } from '../events/identity-log.ts';
import { tokenExtension } from '../proxy-provider/person-headers.ts';
import { updateProvider } from '../proxy-provider/providers.ts';
import { createApplication, deleteApplication, launchUrl, updateApplication } from './applications.ts';
import { createBinding } from './bindings.ts';
import { addressesOf, checkSignIn, domainApplicationsOf } from './domain-applications.ts';
import { createDomainApplication, deleteDomainApplication, updateDomainApplication } from './domain-bindings.ts';
import type { DomainApplicationInput } from './domain-bindings.ts';

const DOMAIN = { mode: 'forward_domain', cookie_domain: '.example.test' } as const;

/** A domain-level provider with its own application, one of its own kind beside it, two without provider, two people. */
async function scene() {
  const server = await testServer();
  const { ctx } = server;
  const all = await server.protect('all', { ...DOMAIN, external_host: 'https://auth.example.test:8443' });
  const single = await server.protect('single');
  const made = await ctx.change(async (tx) => ({
    wiki: await createApplication(tx, { name: 'Wiki', slug: 'wiki' }),
    shop: await createApplication(tx, { name: 'Shop', slug: 'shop' }),
    eve: await createUser(tx, { username: 'eve' }),
    bob: await createUser(tx, { username: 'bob' }),
    staff: await createGroup(tx, { name: 'staff' }),
  }));
  const place = (input: Partial<DomainApplicationInput>) =>
    ctx.change((tx) =>
      createDomainApplication(tx, {
        ...{ application: made.wiki.uuid, provider: all.provider.id, host: 'wiki.example.test' },
        ...input,
      }),
    );
  const only = (application: string, user: number) =>
    ctx.change((tx) => createBinding(tx, { target: application, user, order: 0 }));
  const changesOf = async (work: () => Promise<unknown>) => {
    const before = await readCursor(ctx.db);
    await work();
    const events = await eventsAfter(ctx.db, before.n, Date.now());
    return events.map((event) => (event.kind === 'provider-changed' ? `provider ${event.provider}` : event.kind));
  };
  return { server, ctx, ...all, single, ...made, place, only, changesOf };
}

const fields = async (work: Promise<unknown>): Promise<string[]> => {
  try {
    await work;
    return [];
  } catch (error) {
    if (error instanceof InvalidInput) return Object.keys(error.fields);
    throw error;
  }
};

describe('applications below a domain-level provider', () => {
  it('are kept in a form everybody reads the same', async () => {
    const s = await scene();
    await using _ = s.server;
    const row = await s.place({ host: 'WIKI.Example.test.', path: '/Docs/' });
    assert.deepEqual([row.host, row.path], ['wiki.example.test', '/Docs']);
    assert.equal((await s.place({ host: 'bücher.example.test' })).host, 'xn--bcher-kva.example.test');
    assert.deepEqual((await domainApplicationsOf(s.ctx.db, [s.provider.id])).get(s.provider.id), [
      { slug: 'wiki', name: 'Wiki', host: 'wiki.example.test', path: '/Docs' },
      { slug: 'wiki', name: 'Wiki', host: 'xn--bcher-kva.example.test', path: '/' },
    ]);
  });

  it('are refused where they would have no effect, or mean two things', async () => {
    const s = await scene();
    await using _ = s.server;
    await s.place({});
    const nearer = await s.server.protect('lab', {
      ...{ mode: 'forward_domain', cookie_domain: 'lab.example.test', external_host: 'https://auth.lab.example.test' },
    });
    assert.equal(nearer.provider.mode, 'forward_domain');
    const wrong: [Partial<DomainApplicationInput>, string[]][] = [
      [{ host: 'wiki.evilexample.test' }, ['host']],
      [{ host: 'evilexample.test' }, ['host']],
      [{ host: 'test' }, ['host']],
      [{ host: 'a.example.test:8443' }, ['host']],
      [{ host: 'a.example.test/x' }, ['host']],
      [{ host: 'https://a.example.test' }, ['host']],
      [{ host: 'x@a.example.test' }, ['host']],
      [{ host: 'a.example.test?' }, ['host']],
      [{ host: 'a.example.test/' }, ['host']],
      [{ host: 'a..example.test' }, ['host']],
      [{ host: '10.0.0.1' }, ['host']],
      [{ host: '*.example.test' }, ['host']],
      [{ host: 'a"b.example.test' }, ['host']],
      [{ host: 'single.example.test' }, ['host']],
      [{ host: 'a.lab.example.test' }, ['host']],
      [{}, ['non_field_errors']],
      [{ application: s.shop.uuid }, ['non_field_errors']],
      [{ application: s.single.application.uuid, host: 'b.example.test' }, ['application']],
      [{ application: s.application.uuid, host: 'b.example.test' }, ['application']],
      [{ application: 'nothing', host: 'b.example.test' }, ['application']],
      [{ provider: s.single.provider.id }, ['provider']],
      [{ provider: 999 }, ['provider']],
      ...[
        'x',
        '//',
        '/a//b',
        '/a/../b',
        '/.',
        '/a?b',
        '/a#b',
        '/a;b',
        '/a%2fb',
        '/a\\b',
        '/a b',
        '/a\n',
        '/outpost.goauthentik.io/x',
        '/akprox',
      ].map((path): [Partial<DomainApplicationInput>, string[]] => [{ host: 'b.example.test', path }, ['path']]),
    ];
    for (const [input, expected] of wrong)
      assert.deepEqual(await fields(s.place(input)), expected, JSON.stringify(input));
    assert.equal((await s.ctx.db.selectFrom('domain_application').selectAll().execute()).length, 1);
    for (const path of ['/a', '/a/b', '/Ä-1_~', '/v1.2/x']) await s.place({ path });
  });

  it('never take the whole of the server’s own host', async () => {
    const s = await scene();
    await using _ = s.server;
    await s.ctx.baseAddress.learn(s.ctx, 'https', 'auth.example.test');
    assert.deepEqual(await fields(s.place({ host: 'auth.example.test' })), ['host']);
    assert.deepEqual(await fields(s.place({ host: 'auth.example.test', path: '/wiki' })), []);
  });

  it('let a person sign in who may open any of them, and say which', async () => {
    const s = await scene();
    await using _ = s.server;
    await s.place({});
    await s.place({ application: s.shop.uuid, host: 'shop.example.test' });
    const open = async (user: typeof s.eve) => {
      const access = await checkSignIn(s.ctx.db, user, s.provider, s.application);
      const extension = await tokenExtension(s.ctx.db, s.provider, user, { attributes: {} }, { epoch: 'e', n: 1 });
      assert.deepEqual(
        extension.applications,
        access.open.map(({ slug }) => slug),
      );
      return [access.passing, access.reasons.join(), ...(extension.applications ?? [])];
    };
    assert.deepEqual(await open(s.eve), [true, 'no-binding-ok', 'all', 'shop', 'wiki']);
    await s.only(s.application.uuid, s.bob.id);
    await s.only(s.shop.uuid, s.bob.id);
    assert.deepEqual(await open(s.eve), [true, 'no-binding-ok', 'wiki']);
    assert.deepEqual(await open(s.bob), [true, 'user-ok', 'all', 'shop', 'wiki']);
    await s.only(s.wiki.uuid, s.bob.id);
    assert.deepEqual(await open(s.eve), [false, 'user-not-named']);
    assert.deepEqual(await open({ ...s.bob, is_active: 0 }), [false, 'user-inactive']);
    const elsewhere = await tokenExtension(
      s.ctx.db,
      s.single.provider,
      s.eve,
      { attributes: {} },
      { epoch: 'e', n: 1 },
    );
    assert.equal(elsewhere.applications, undefined);
  });

  it('make the sessions of the domain stale whenever what they open may change', async () => {
    const s = await scene();
    await using _ = s.server;
    const stale = [`provider ${s.provider.id}`];
    const change = (work: Parameters<typeof s.ctx.change>[0]) => s.changesOf(() => s.ctx.change(work));
    const row = await s.place({ host: 'first.example.test' });
    assert.deepEqual(await s.changesOf(() => s.place({})), stale);
    assert.deepEqual(await s.changesOf(() => s.only(s.wiki.uuid, s.bob.id)), stale);
    assert.deepEqual(await change((tx) => updateDomainApplication(tx, row.uuid, { path: '/x' })), stale);
    assert.deepEqual(await change((tx) => updateApplication(tx, 'wiki', { slug: 'book' })), stale);
    assert.deepEqual(await change((tx) => deleteDomainApplication(tx, row.uuid)), stale);
    assert.deepEqual(await change((tx) => updateApplication(tx, 'shop', { name: 'x' })), []);
  });

  it('are not taken away in silence, since the place would be open to others then', async () => {
    const s = await scene();
    await using _ = s.server;
    const row = await s.place({});
    assert.deepEqual(await fields(s.ctx.change((tx) => deleteApplication(tx, 'wiki'))), ['non_field_errors']);
    const free = await s.server.protect('free', {});
    await s.ctx.change((tx) => deleteApplication(tx, 'free'));
    assert.deepEqual(
      await fields(s.ctx.change((tx) => updateApplication(tx, 'wiki', { provider: free.provider.id }))),
      ['provider'],
    );
    const { id } = s.provider;
    const patch = (input: Parameters<typeof updateProvider>[2]) =>
      fields(s.ctx.change((tx) => updateProvider(tx, id, { mode: 'forward_domain', ...input })));
    assert.deepEqual(await patch({ mode: 'forward_single' }), ['mode']);
    assert.deepEqual(await patch({ cookie_domain: 'auth.example.test' }), ['cookie_domain']);
    assert.deepEqual(await patch({ cookie_domain: 'example.test' }), []);
    await s.ctx.change((tx) => deleteDomainApplication(tx, row.uuid));
    await s.ctx.change((tx) => deleteApplication(tx, 'wiki'));
  });

  it('are opened at their place, where they name no other address', async () => {
    const s = await scene();
    await using _ = s.server;
    await s.place({ path: '/Ä-1' });
    const addresses = await addressesOf(s.ctx.db, [s.wiki, s.shop, s.application]);
    assert.equal(addresses.get(s.wiki.uuid), 'https://wiki.example.test:8443/%C3%84-1');
    assert.equal(addresses.get(s.shop.uuid), undefined);
    assert.equal(addresses.get(s.application.uuid), 'https://auth.example.test:8443');
    assert.equal(launchUrl(s.wiki, addresses.get(s.wiki.uuid), s.eve), 'https://wiki.example.test:8443/%C3%84-1');
    assert.equal(
      launchUrl({ ...s.wiki, meta_launch_url: 'https://x.test' }, 'https://y.test', s.eve),
      'https://x.test',
    );
  });
});
