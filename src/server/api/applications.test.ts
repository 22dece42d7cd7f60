import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Api, Flows } from './server.test-helper.ts';
import { flows, startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

interface Application {
  pk: string;
  slug: string;
  name: string;
  provider: number | null;
  provider_obj: { name: string; assigned_application_slug: string | null } | null;
  launch_url: string | null;
  policy_engine_mode: string;
}

interface Binding {
  pk: string;
  group: string | null;
  user: number | null;
  group_obj: { name: string } | null;
  user_obj: { username: string } | null;
  order: number;
  enabled: boolean;
  negate: boolean;
  timeout: number;
}

const NOWHERE = '6f9619ff-8b86-4d11-b42d-00cf4fc964ff';

describe('core/applications and policies/bindings', () => {
  let api: Api;
  let flow: Flows;
  before(async () => {
    api = await startApi();
    flow = await flows(api);
  });
  after(() => api.close());

  const create = async (body: Record<string, unknown>) =>
    decode<Application>(strict.application, await api.ok('POST', 'core/applications/', body));
  const provider = async (name: string) =>
    Number(
      (
        await api.ok('POST', 'providers/proxy/', {
          ...flow,
          name,
          mode: 'forward_single',
          external_host: `https://${name}.example.test`,
        })
      )['pk'],
    );
  const person = async (username: string) =>
    Number((await api.ok('POST', 'core/users/', { username, name: username }))['pk']);
  const bind = async (body: Record<string, unknown>) =>
    decode<Binding>(strict.binding, await api.ok('POST', 'policies/bindings/', body));
  const access = async (slug: string, user: number) =>
    decode<{ passing: boolean; log_messages: { event: string }[] }>(
      strict.accessResult,
      await api.ok('GET', `core/applications/${slug}/check_access/?for_user=${user}`),
    );

  it('creates, reads, changes and deletes', async () => {
    const pk = await provider('wiki');
    // the body Terraform sends
    const made = await create({
      name: 'Wiki',
      slug: 'wiki',
      provider: pk,
      open_in_new_tab: false,
      policy_engine_mode: 'any',
      backchannel_providers: [],
      group: '',
      meta_launch_url: '',
      meta_description: '',
      meta_publisher: '',
    });
    assert.deepEqual([made.provider, made.provider_obj?.assigned_application_slug], [pk, 'wiki']);
    assert.equal(made.launch_url, 'https://wiki.example.test');
    assert.deepEqual(await api.ok('GET', 'core/applications/wiki/'), { ...made });
    const put = await api.ok('PUT', 'core/applications/wiki/', { ...made, meta_publisher: 'We' });
    assert.deepEqual(decode<Application>(strict.application, put), { ...made, meta_publisher: 'We' });
    const moved = await api.ok('PATCH', 'core/applications/wiki/', { slug: 'wiki2', provider: null });
    assert.deepEqual(
      [moved['slug'], moved['provider'], moved['provider_obj'], moved['launch_url']],
      ['wiki2', null, null, null],
    );
    assert.equal((await api.call('GET', 'core/applications/wiki/')).status, 404);
    assert.equal((await api.call('DELETE', 'core/applications/wiki2/')).status, 204);
    assert.equal((await api.call('GET', 'core/applications/wiki2/')).status, 404);
  });

  it('refuses reserved and wrong slugs, taken and unknown providers, launch scripts', async () => {
    const pk = await provider('taken');
    await create({ name: 'Taken', slug: 'taken', provider: pk });
    for (const [field, body] of [
      ['slug', { name: 'x', slug: 'token' }],
      ['slug', { name: 'x', slug: 'with space' }],
      ['slug', { name: 'x', slug: 'taken' }],
      ['provider', { name: 'x', slug: 'x', provider: pk }],
      ['provider', { name: 'x', slug: 'x', provider: 999_999 }],
      ['meta_launch_url', { name: 'x', slug: 'x', meta_launch_url: 'javascript:alert(1)' }],
      ['backchannel_providers', { name: 'x', slug: 'x', backchannel_providers: [pk] }],
      ['policy_engine_mode', { name: 'x', slug: 'x', policy_engine_mode: 'some' }],
    ] as const) {
      const answer = await api.call('POST', 'core/applications/', body);
      assert.deepEqual([answer.status, Object.keys(answer.body as object)], [400, [field]]);
    }
  });

  it('fills the launch address in for the caller', async () => {
    const made = await create({ name: 'L', slug: 'launch', meta_launch_url: 'https://x.example.test/%(username)s' });
    assert.equal(made.launch_url, 'https://x.example.test/akadmin');
    const unknown = await create({ name: 'U', slug: 'unknown', meta_launch_url: 'https://x.example.test/%(shoe)s' });
    assert.equal(unknown.launch_url, 'https://x.example.test/%(shoe)s');
  });

  it('binds groups and people, and says who may open what', async () => {
    const [dave, erin] = [await person('dave'), await person('erin')];
    const group = await api.ok('POST', 'core/groups/', { name: 'readers', users: [dave] });
    const app = await create({ name: 'Bound', slug: 'bound' });
    assert.equal((await access('bound', erin)).passing, true); // no binding: open
    const byGroup = await bind({ target: app.pk, group: group['pk'], order: 0, policy: null, user: null });
    assert.deepEqual(
      [byGroup.group, byGroup.group_obj?.name, byGroup.user_obj, byGroup.enabled, byGroup.negate, byGroup.timeout],
      [group['pk'], 'readers', null, true, false, 30],
    );
    assert.equal((await access('bound', dave)).passing, true);
    const denied = await access('bound', erin);
    assert.deepEqual([denied.passing, denied.log_messages[0]?.event], [false, 'group-required']);
    const byUser = await bind({ target: app.pk, user: erin, order: 1 });
    assert.equal(byUser.user_obj?.username, 'erin');
    assert.equal((await access('bound', erin)).passing, true);

    const listed = decodePage<Binding>(strict.binding, await api.ok('GET', `policies/bindings/?target=${app.pk}`));
    assert.deepEqual(
      listed.map((binding) => binding.pk),
      [byGroup.pk, byUser.pk],
    );
    assert.deepEqual(decodePage(strict.binding, await api.ok('GET', 'policies/bindings/?policy__isnull=false')), []);

    const off = await api.ok('PATCH', `policies/bindings/${byUser.pk}/`, { enabled: false });
    assert.equal(decode<Binding>(strict.binding, off).enabled, false);
    assert.equal((await access('bound', erin)).passing, false);
    const put = await api.ok('PUT', `policies/bindings/${byUser.pk}/`, { ...off, enabled: true, order: 5 });
    assert.equal(decode<Binding>(strict.binding, put).order, 5);
    assert.equal((await api.call('DELETE', `policies/bindings/${byUser.pk}/`)).status, 204);
    assert.equal((await api.call('GET', `policies/bindings/${byUser.pk}/`)).status, 404);

    const open = await api.ok('GET', `core/applications/?for_user=${erin}&search=Bound`);
    assert.deepEqual(decodePage(strict.application, open), []);
    const may = await api.ok('GET', `core/applications/?for_user=${dave}&search=Bound`);
    assert.equal(decodePage<Application>(strict.application, may)[0]?.slug, 'bound');
  });

  it('refuses bindings of nothing, of two things, to nothing', async () => {
    const app = await create({ name: 'B', slug: 'b' });
    const user = await person('frank');
    const group = await api.ok('POST', 'core/groups/', { name: 'g' });
    for (const [fields, body] of [
      [['non_field_errors'], { target: app.pk, order: 0 }],
      [['non_field_errors'], { target: app.pk, order: 0, user, group: group['pk'] }],
      [['order'], { target: app.pk, user }],
      [['target'], { target: NOWHERE, user, order: 0 }],
      [['group'], { target: app.pk, group: NOWHERE, order: 0 }],
      [['policy'], { target: app.pk, policy: NOWHERE, order: 0 }],
    ] as const) {
      const answer = await api.call('POST', 'policies/bindings/', body);
      assert.deepEqual([answer.status, Object.keys(answer.body as object)], [400, fields]);
    }
  });

  it('tells outposts’ sessions that an access rule changed', async () => {
    const pk = await provider('events');
    const app = await create({ name: 'Ev', slug: 'ev', provider: pk });
    const user = await person('gus');
    const before = (await api.ctx.db.selectFrom('identity_event').select('n').execute()).length;
    await bind({ target: app.pk, user, order: 0 });
    const events = await api.ctx.db.selectFrom('identity_event').selectAll().orderBy('n').execute();
    assert.ok(events.length > before);
    assert.deepEqual(JSON.parse(events.at(-1)?.body ?? ''), { kind: 'provider-changed', provider: pk });
  });

  it('filters, searches and orders', async () => {
    await create({ name: 'Zebra', slug: 'zz-zebra', group: 'animals', meta_launch_url: 'https://z.example.test' });
    await create({ name: 'Yak', slug: 'zz-yak', group: 'animals' });
    const found = async (query: string) =>
      decodePage<Application>(strict.application, await api.ok('GET', `core/applications/?${query}`)).map(
        (a) => a.slug,
      );
    assert.deepEqual(await found('slug=zz-yak'), ['zz-yak']);
    assert.deepEqual(await found('name=Zebra'), ['zz-zebra']);
    assert.deepEqual(await found('group=animals&ordering=-name'), ['zz-zebra', 'zz-yak']);
    assert.deepEqual(await found('search=zz-&only_with_launch_url=true'), ['zz-zebra']);
    assert.deepEqual(await found('search=zz-&superuser_full_list=true'), ['zz-yak', 'zz-zebra']);
    assert.equal((await api.call('GET', 'core/applications/?for_user=999999')).status, 400);
  });
});
