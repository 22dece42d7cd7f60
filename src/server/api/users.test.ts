import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Api } from './server.test-helper.ts';
import { startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

interface User {
  pk: number;
  username: string;
  uuid: string;
  uid: string;
  groups: string[];
  groups_obj: { name: string }[] | null;
  is_superuser: boolean;
  is_active: boolean;
  name: string;
  email: string;
  type: string;
  attributes: Record<string, unknown>;
}

describe('core/users', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api.close());

  const create = async (body: Record<string, unknown>) => {
    const answer = await api.call('POST', 'core/users/', body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return decode<User>(strict.user, answer.body);
  };
  const names = async (query: string) =>
    decodePage<User>(strict.user, await api.ok('GET', `core/users/?${query}`)).map((user) => user.username);

  it('creates, reads, changes and deletes', async () => {
    const group = await api.ok('POST', 'core/groups/', { name: 'crud' });
    const made = await create({
      username: 'alice',
      name: 'Alice A',
      email: 'alice@example.test',
      groups: [group['pk']],
      attributes: { floor: 3 },
      path: 'users/north',
    });
    assert.match(made.uid, /^[0-9a-f]{64}$/);
    assert.deepEqual(made.groups, [group['pk']]);
    assert.equal(made.groups_obj?.[0]?.name, 'crud');

    const read = await api.ok('GET', `core/users/${made.pk}/`);
    assert.deepEqual(read, { ...made });

    // whatever GET answers can be sent back
    const put = await api.ok('PUT', `core/users/${made.pk}/`, { ...read, name: 'Alice B' });
    assert.equal(decode<User>(strict.user, put).name, 'Alice B');
    assert.deepEqual(put['attributes'], { floor: 3 });

    const patched = await api.ok('PATCH', `core/users/${made.pk}/`, { groups: [], email: '' });
    assert.deepEqual(decode<User>(strict.user, patched).groups, []);
    assert.equal(patched['name'], 'Alice B');

    assert.equal((await api.call('DELETE', `core/users/${made.pk}/`)).status, 204);
    const gone = await api.call('GET', `core/users/${made.pk}/`);
    assert.deepEqual([gone.status, gone.body], [404, { detail: 'Not found.' }]);
    assert.equal((await api.call('DELETE', `core/users/${made.pk}/`)).status, 404);
  });

  it('reports every problem of a body at once, by field', async () => {
    const { status, body } = await api.call('POST', 'core/users/', {
      username: '',
      email: 'nonsense',
      is_active: 'yes',
      groups: ['not-a-uuid'],
      usrname: 'typo',
    });
    assert.equal(status, 400);
    const fields = body as Record<string, string[]>;
    assert.deepEqual(Object.keys(fields).sort(), ['email', 'groups', 'is_active', 'name', 'username', 'usrname']);
    assert.deepEqual(fields['name'], ['This field is required.']);
    assert.deepEqual(fields['username'], ['This field may not be blank.']);
    assert.deepEqual(fields['is_active'], ['Expected true or false.']);
    assert.deepEqual(fields['usrname'], ['Unknown field.']);
  });

  it('refuses what the contract refuses, and leaves nothing half done', async () => {
    await create({ username: 'Taken', name: '' });
    const before = (await names('page_size=1000')).length;
    for (const [field, body] of [
      ['username', { username: 'taken', name: 'x' }],
      ['type', { username: 'svc', name: 'x', type: 'internal_service_account' }],
      ['path', { username: 'p', name: 'x', path: '/users' }],
      ['groups', { username: 'g', name: 'x', groups: ['6f9619ff-8b86-4d11-b42d-00cf4fc964ff'] }],
      ['attributes', { username: 'h', name: 'x', attributes: { additionalHeaders: { Host: 'evil' } } }],
      ['roles', { username: 'r', name: 'x', roles: ['6f9619ff-8b86-4d11-b42d-00cf4fc964ff'] }],
    ] as const) {
      const answer = await api.call('POST', 'core/users/', body);
      assert.equal(answer.status, 400, field);
      assert.deepEqual(Object.keys(answer.body as object), [field]);
    }
    assert.equal((await names('page_size=1000')).length, before);

    const user = await create({ username: 'whole', name: 'Whole' });
    const half = await api.call('PATCH', `core/users/${user.pk}/`, { name: 'Changed', path: 'a//b' });
    assert.equal(half.status, 400);
    assert.equal((await api.ok('GET', `core/users/${user.pk}/`))['name'], 'Whole');
  });

  it('filters, searches and orders', async () => {
    const group = await api.ok('POST', 'core/groups/', { name: 'staff', is_superuser: true });
    await create({ username: 'zz-bob', name: 'Bob', email: 'bob@example.test', groups: [group['pk']] });
    const cat = await create({
      username: 'zz-cat',
      name: 'Cat 100%',
      attributes: { level: 7, vip: true },
      is_active: false,
    });
    await create({ username: 'zz-dan', name: 'Dan', type: 'external', path: 'guests/dan' });

    assert.deepEqual(await names('username=zz-bob'), ['zz-bob']);
    assert.deepEqual(await names('email=bob@example.test'), ['zz-bob']);
    assert.deepEqual(await names('name=Dan'), ['zz-dan']);
    assert.deepEqual(await names('search=zz-&is_active=false'), ['zz-cat']);
    assert.deepEqual(await names('search=zz-&is_superuser=true'), ['zz-bob']);
    assert.deepEqual(await names('search=zz-&is_superuser=false'), ['zz-cat', 'zz-dan']);
    assert.deepEqual(await names(`uuid=${cat.uuid}`), ['zz-cat']);
    assert.deepEqual(await names('path=guests/dan'), ['zz-dan']);
    assert.deepEqual(await names('path_startswith=guests'), ['zz-dan']);
    assert.deepEqual(await names('type=external&type=service_account'), ['zz-dan']);
    assert.deepEqual(await names('groups_by_name=staff'), ['zz-bob']);
    assert.deepEqual(await names(`groups_by_pk=${String(group['pk'])}`), ['zz-bob']);
    assert.deepEqual(await names(`attributes=${encodeURIComponent('{"level":7,"vip":true}')}`), ['zz-cat']);
    assert.deepEqual(await names(`attributes=${encodeURIComponent('{"level":8}')}`), []);
    assert.deepEqual(await names('search=100%25'), ['zz-cat']); // a percent sign is no wildcard
    assert.deepEqual(await names('search=zz-&ordering=-username'), ['zz-dan', 'zz-cat', 'zz-bob']);
  });

  it('tells callers who they are', async () => {
    const me = decode<{ user: User }>(strict.userSelf, await api.ok('GET', 'core/users/me/'));
    assert.equal(me.user.username, 'akadmin');
    assert.equal(me.user.is_superuser, true);
  });

  it('sets passwords without ever showing them', async () => {
    const user = await create({ username: 'pass', name: 'Pass' });
    const answer = await api.call('POST', `core/users/${user.pk}/set_password/`, { password: 'a long pass phrase' });
    assert.equal(answer.status, 204);
    assert.equal(answer.body, undefined);
    const row = await api.ctx.db
      .selectFrom('user')
      .where('id', '=', user.pk)
      .select('password')
      .executeTakeFirstOrThrow();
    assert.match(row.password, /^\$argon2id\$/);
    assert.equal((await api.call('POST', `core/users/${user.pk}/set_password/`, { password: '' })).status, 400);
    assert.equal((await api.call('POST', 'core/users/999999/set_password/', { password: 'x' })).status, 404);
    const events = await api.ok('GET', 'events/events/?action=password_set');
    assert.ok(!JSON.stringify(events).includes('pass phrase'));
  });

  it('makes service accounts', async () => {
    const made = await api.ok('POST', 'core/users/service_account/', { name: 'robot', create_group: true });
    assert.deepEqual(Object.keys(made).sort(), ['group_pk', 'token', 'user_pk', 'user_uid', 'username']);
    const user = decode<User>(strict.user, await api.ok('GET', `core/users/${String(made['user_pk'])}/`));
    assert.equal(user.type, 'service_account');
    assert.deepEqual(user.groups, [made['group_pk']]);
    // its secret is an app password, not a key to this API
    assert.equal((await api.call('GET', 'core/users/me/', undefined, { token: String(made['token']) })).status, 403);
    const plain = await api.ok('POST', 'core/users/service_account/', { name: 'robot2', expiring: false });
    assert.equal('group_pk' in plain, false);
    assert.equal((await api.call('POST', 'core/users/service_account/', { name: 'robot' })).status, 400);
  });

  it('writes every change to the audit log with who made it', async () => {
    const user = await create({ username: 'audited', name: 'Audited' });
    await api.ok('PATCH', `core/users/${user.pk}/`, { name: 'Audited 2' });
    await api.ok('DELETE', `core/users/${user.pk}/`);
    const entries = decodePage<{ action: string; user: { username: string }; client_ip: string }>(
      strict.event,
      await api.ok('GET', `events/events/?context_model_pk=${user.pk}&context_model_name=user&ordering=created`),
    );
    assert.deepEqual(entries.map((entry) => entry.action).sort(), ['model_created', 'model_deleted', 'model_updated']);
    assert.ok(entries.every((entry) => entry.user.username === 'akadmin' && entry.client_ip === '203.0.113.9'));
  });
});
