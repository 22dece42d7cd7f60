import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Api } from './server.test-helper.ts';
import { startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

interface Group {
  pk: string;
  num_pk: number;
  name: string;
  users: number[];
  users_obj: { username: string }[] | null;
  parents: string[];
  parents_obj: { name: string }[] | null;
  children: string[];
  children_obj: { name: string }[] | null;
  attributes: Record<string, unknown>;
}

describe('core/groups', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api.close());

  const create = async (body: Record<string, unknown>) =>
    decode<Group>(strict.group, await api.ok('POST', 'core/groups/', body));
  const person = async (username: string) =>
    Number((await api.ok('POST', 'core/users/', { username, name: username }))['pk']);

  it('creates, reads, changes and deletes, with the relations of the contract', async () => {
    const alice = await person('alice');
    const parent = await create({ name: 'Parent' });
    const made = await create({
      name: 'Child',
      parents: [parent.pk],
      users: [alice],
      attributes: { a: [1] },
      roles: [],
    });
    assert.deepEqual([made.parents, made.users, made.users_obj?.[0]?.username], [[parent.pk], [alice], 'alice']);
    // the number made of the first five digits of the uuid
    assert.equal(
      made.num_pk,
      Number(
        BigInt(`0x${made.pk.replaceAll('-', '')}`)
          .toString()
          .slice(0, 5),
      ),
    );

    const slim = decode<Group>(strict.group, await api.ok('GET', `core/groups/${made.pk}/?include_users=false`));
    assert.equal(slim.users_obj, null);
    assert.deepEqual(slim.users, [alice]);
    const full = decode<Group>(
      strict.group,
      await api.ok(
        'GET',
        `core/groups/${made.pk}/?include_parents=true&include_children=true&include_inherited_roles=true`,
      ),
    );
    assert.equal(full.parents_obj?.[0]?.name, 'Parent');
    assert.deepEqual(full.children_obj, []);
    const above = decode<Group>(strict.group, await api.ok('GET', `core/groups/${parent.pk}/?include_children=true`));
    assert.deepEqual([above.children, above.children_obj?.[0]?.name], [[made.pk], 'Child']);

    const put = decode<Group>(
      strict.group,
      await api.ok('PUT', `core/groups/${made.pk}/`, { ...slim, name: 'Renamed' }),
    );
    assert.deepEqual([put.name, put.users, put.parents], ['Renamed', [alice], [parent.pk]]);
    const patched = decode<Group>(
      strict.group,
      await api.ok('PATCH', `core/groups/${made.pk}/`, { parents: [], users: [] }),
    );
    assert.deepEqual([patched.parents, patched.users, patched.attributes], [[], [], { a: [1] }]);

    assert.equal((await api.call('DELETE', `core/groups/${made.pk}/`)).status, 204);
    assert.equal((await api.call('GET', `core/groups/${made.pk}/`)).status, 404);
    assert.equal((await api.call('GET', 'core/groups/nonsense/')).status, 404);
  });

  it('refuses a circle of parents', async () => {
    const a = await create({ name: 'circle-a' });
    const b = await create({ name: 'circle-b', parents: [a.pk] });
    const answer = await api.call('PATCH', `core/groups/${a.pk}/`, { parents: [b.pk] });
    assert.equal(answer.status, 400);
    assert.deepEqual(Object.keys(answer.body as object), ['parents']);
  });

  it('adds and removes members', async () => {
    const bob = await person('bob');
    const group = await create({ name: 'members' });
    assert.equal((await api.call('POST', `core/groups/${group.pk}/add_user/`, { pk: bob })).status, 204);
    assert.equal((await api.call('POST', `core/groups/${group.pk}/add_user/`, { pk: bob })).status, 204);
    assert.deepEqual((await api.ok('GET', `core/groups/${group.pk}/`))['users'], [bob]);
    assert.equal((await api.call('POST', `core/groups/${group.pk}/remove_user/`, { pk: bob })).status, 204);
    assert.deepEqual((await api.ok('GET', `core/groups/${group.pk}/`))['users'], []);
    assert.equal((await api.call('POST', `core/groups/${group.pk}/add_user/`, { pk: 999_999 })).status, 404);
    assert.equal((await api.call('POST', `core/groups/${group.pk}/add_user/`, {})).status, 400);
    const nowhere = '6f9619ff-8b86-4d11-b42d-00cf4fc964ff';
    assert.equal((await api.call('POST', `core/groups/${nowhere}/remove_user/`, { pk: bob })).status, 404);
  });

  it('makes members of a child superusers through its parent', async () => {
    const carol = await person('carol');
    const root = await create({ name: 'root', is_superuser: true });
    const middle = await create({ name: 'middle', parents: [root.pk] });
    await create({ name: 'leaf', parents: [middle.pk], users: [carol] });
    assert.equal((await api.ok('GET', `core/users/${carol}/`))['is_superuser'], true);
  });

  it('filters and searches', async () => {
    const dora = await person('Dora');
    await create({ name: 'x-one', users: [dora], attributes: { team: 'blue' } });
    await create({ name: 'x-two', is_superuser: true });
    const found = async (query: string) =>
      decodePage<Group>(strict.group, await api.ok('GET', `core/groups/?${query}`)).map((group) => group.name);
    assert.deepEqual(await found('name=x-one'), ['x-one']);
    assert.deepEqual(await found('search=X-'), ['x-one', 'x-two']);
    assert.deepEqual(await found('search=x-&ordering=-name'), ['x-two', 'x-one']);
    assert.deepEqual(await found('search=x-&is_superuser=true'), ['x-two']);
    assert.deepEqual(await found(`members_by_pk=${dora}`), ['x-one']);
    assert.deepEqual(await found('members_by_username=dora'), ['x-one']);
    assert.deepEqual(await found(`attributes=${encodeURIComponent('{"team":"blue"}')}`), ['x-one']);
    const page = decodePage<Group>(strict.group, await api.ok('GET', 'core/groups/?name=x-one&include_users=false'));
    assert.equal(page[0]?.users_obj, null);
  });
});
