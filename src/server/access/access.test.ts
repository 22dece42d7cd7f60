import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidInput } from '../../contract/errors.ts';
import { testServer } from '../context.test-helper.ts';
import { createGroup } from '../directory/groups.ts';
import { createUser } from '../directory/users.ts';
import { eventsAfter } from '../events/identity-log.ts';
import type { UserRow } from '../storage/rows.ts';
import { createApplication, deleteApplication, launchUrl, updateApplication } from './applications.ts';
import { createBinding, deleteBinding, updateBinding } from './bindings.ts';
import type { BindingInput } from './bindings.ts';
import { checkAccess } from './check-access.ts';
import { createEntitlement, deleteEntitlement, entitlementsOf, updateEntitlement } from './entitlements.ts';

const fields =
  (...names: string[]) =>
  (error: unknown) =>
    error instanceof InvalidInput && assert.deepEqual(Object.keys(error.fields).sort(), names.sort()) === undefined;

/** Eve in `low` below `top`, bob in nothing, and one application. */
async function scene() {
  const server = await testServer();
  const { ctx } = server;
  const { application, provider } = await server.protect('wiki');
  const people = await ctx.change(async (tx) => {
    const top = await createGroup(tx, { name: 'top' });
    const low = await createGroup(tx, { name: 'low', parents: [top.uuid] });
    const apart = await createGroup(tx, { name: 'apart' });
    const eve = await createUser(tx, { username: 'eve', groups: [low.uuid] });
    return { top, low, apart, eve, bob: await createUser(tx, { username: 'bob' }) };
  });
  let order = 0;
  const bind = (input: Partial<BindingInput>) =>
    ctx.change((tx) => createBinding(tx, { target: application.uuid, order: order++, ...input }));
  const may = async (user: UserRow) => {
    const { passing, reasons } = await checkAccess(ctx.db, user, application);
    return [passing, ...reasons];
  };
  return { server, ctx, application, provider, ...people, bind, may };
}

describe('checkAccess', () => {
  it('lets everybody active in without bindings, and no superuser past one', async () => {
    const s = await scene();
    await using _ = s.server;
    assert.deepEqual(await s.may(s.bob), [true, 'no-binding-ok']);
    assert.deepEqual(await s.may({ ...s.bob, is_active: 0 }), [false, 'user-inactive']);
    const admin = await s.ctx.db
      .selectFrom('user')
      .selectAll()
      .where('username', '=', 'akadmin')
      .executeTakeFirstOrThrow();
    await s.bind({ group: s.apart.uuid });
    assert.deepEqual(await s.may(admin), [false, 'group-required']);
  });

  it('counts membership through ancestors and adds bindings up', async () => {
    const s = await scene();
    await using _ = s.server;
    await s.bind({ group: s.top.uuid });
    assert.deepEqual(await s.may(s.eve), [true, 'group-ok']);
    assert.deepEqual(await s.may(s.bob), [false, 'group-required']);
    await s.bind({ user: s.bob.id });
    assert.deepEqual(await s.may(s.bob), [true, 'user-ok']);
    // group and user bindings are one result: in mode `all` it is still enough to match one (spec/server.md 8.2)
    await s.ctx.change((tx) => updateApplication(tx, 'wiki', { policy_engine_mode: 'all' }));
    assert.deepEqual(await s.may(s.bob), [true, 'user-ok']);
    assert.deepEqual(await s.may(s.eve), [true, 'group-ok']);
  });

  it('inverts negated bindings and ignores disabled ones', async () => {
    const s = await scene();
    await using _ = s.server;
    const binding = await s.bind({ group: s.low.uuid, negate: true });
    assert.deepEqual(await s.may(s.eve), [false, 'group-denied']);
    assert.deepEqual(await s.may(s.bob), [true, 'not-in-denied-group-ok']);
    await s.ctx.change((tx) => updateBinding(tx, binding.uuid, { group: null, user: s.eve.id }));
    assert.deepEqual(await s.may(s.eve), [false, 'user-denied']);
    assert.deepEqual(await s.may(s.bob), [true, 'not-denied-user-ok']);
    await s.ctx.change((tx) => updateBinding(tx, binding.uuid, { enabled: false }));
    assert.deepEqual(await s.may(s.eve), [true, 'no-binding-ok']);
  });
});

describe('bindings', () => {
  it('name exactly one group or user and a target that exists', async () => {
    const s = await scene();
    await using _ = s.server;
    await assert.rejects(s.bind({}), fields('non_field_errors'));
    await assert.rejects(s.bind({ group: s.low.uuid, user: s.eve.id }), fields('non_field_errors'));
    await assert.rejects(s.bind({ group: 'none', target: 'none', timeout: -1 }), fields('group', 'target', 'timeout'));
  });

  it('tell the outposts of their provider', async () => {
    const s = await scene();
    await using _ = s.server;
    const before = (await eventsAfter(s.ctx.db, 0, 0)).at(-1)?.n ?? 0;
    const binding = await s.bind({ group: s.low.uuid });
    await s.ctx.change((tx) => deleteBinding(tx, binding.uuid));
    const events = await eventsAfter(s.ctx.db, before, 0);
    const expected = { kind: 'provider-changed', provider: s.provider.id };
    assert.deepEqual(
      events.map(({ n: _n, until: _u, ...event }) => event),
      [expected, expected],
    );
  });
});

describe('applications', () => {
  it('refuse reserved, malformed and taken slugs, providers that are taken, and addresses that are scripts', async () => {
    const s = await scene();
    await using _ = s.server;
    const make = (slug: string, over = {}) => s.ctx.change((tx) => createApplication(tx, { name: 'x', slug, ...over }));
    for (const slug of ['authorize', 'Token', 'a b', '', 'wiki', 'ä']) await assert.rejects(make(slug), fields('slug'));
    await assert.rejects(make('ok', { provider: s.provider.id }), fields('provider'));
    await assert.rejects(
      make('ok', { provider: 999, meta_launch_url: 'javascript:alert(1)', name: ' ' }),
      fields('provider', 'meta_launch_url', 'name'),
    );
    await make('ok');
  });

  it('lead to their launch URL, filled in and escaped, else to the external host', async () => {
    const s = await scene();
    await using _ = s.server;
    assert.equal(launchUrl(s.application, s.provider.external_host, s.eve), 'https://wiki.example.test');
    const at = (meta_launch_url: string) =>
      launchUrl({ ...s.application, meta_launch_url }, s.provider.external_host, { ...s.eve, username: 'e&v' });
    assert.equal(at('https://x.test/%(username)s?u=%(uid)s'), `https://x.test/e%26v?u=${s.eve.uid}`);
    assert.equal(at('https://x.test/%(nothing)s'), 'https://x.test/%(nothing)s');
  });

  it('deleted take their rules with them', async () => {
    const s = await scene();
    await using _ = s.server;
    const entitlement = await s.ctx.change((tx) => createEntitlement(tx, { name: 'e', app: s.application.uuid }));
    await s.bind({ group: s.low.uuid });
    await s.bind({ target: entitlement.uuid, group: s.low.uuid });
    await s.ctx.change((tx) => deleteApplication(tx, 'wiki'));
    assert.deepEqual(await s.ctx.db.selectFrom('policy_binding').select('uuid').execute(), []);
    assert.deepEqual(await s.ctx.db.selectFrom('application_entitlement').select('uuid').execute(), []);
  });
});

describe('entitlements', () => {
  it('are held by binding only, negated ones by everybody else', async () => {
    const s = await scene();
    await using _ = s.server;
    const make = (name: string) => s.ctx.change((tx) => createEntitlement(tx, { name, app: s.application.uuid }));
    const [editor, guest] = [await make('editor'), await make('guest'), await make('unbound')];
    await s.bind({ target: editor.uuid, group: s.top.uuid });
    await s.bind({ target: guest.uuid, group: s.low.uuid, negate: true });
    assert.deepEqual(await entitlementsOf(s.ctx.db, s.eve, s.application), ['editor']);
    assert.deepEqual(await entitlementsOf(s.ctx.db, s.bob, s.application), ['guest']);
    await assert.rejects(make('editor'), fields('name'));
    for (const name of ['ad\u0001min', 'admin\n', ' admin']) {
      await assert.rejects(make(name), fields('name'));
      await assert.rejects(
        s.ctx.change((tx) => updateEntitlement(tx, guest.uuid, { name })),
        fields('name'),
      );
    }
    await s.ctx.change((tx) => updateEntitlement(tx, editor.uuid, { name: 'author' }));
    assert.deepEqual(await entitlementsOf(s.ctx.db, s.eve, s.application), ['author']);
    await s.ctx.change((tx) => deleteEntitlement(tx, editor.uuid));
    assert.deepEqual(await entitlementsOf(s.ctx.db, s.eve, s.application), []);
  });
});
