import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DEFAULT_PROVIDER_SETTINGS } from '../../contract/provider-settings.ts';
import type { Api, Flows } from './server.test-helper.ts';
import { flows, startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

interface Provider {
  pk: number;
  name: string;
  mode: string;
  client_id: string;
  property_mappings: string[];
  redirect_uris: { url: string }[];
  outpost_set: string[];
  assigned_application_slug: string | null;
  [key: string]: unknown;
}

describe('providers/proxy', () => {
  let api: Api;
  let flow: Flows;
  before(async () => {
    api = await startApi();
    flow = await flows(api);
  });
  after(() => api.close());

  const create = async (body: Record<string, unknown>) =>
    decode<Provider>(strict.proxyProvider, await api.ok('POST', 'providers/proxy/', { ...flow, ...body }));
  const problems = async (body: Record<string, unknown>) => {
    const answer = await api.call('POST', 'providers/proxy/', { ...flow, name: 'wrong', ...body });
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    return Object.keys(answer.body as object);
  };

  it('reads back what Terraform sends', async () => {
    // spec/server.md 16a, defaults of the Terraform resource
    const sent = {
      name: 'terraform',
      authentication_flow: null,
      ...flow,
      external_host: 'https://tf.example.test',
      internal_host: 'http://10.0.0.5:8080',
      internal_host_ssl_validation: true,
      mode: 'proxy',
      property_mappings: [],
      skip_path_regex: '',
      intercept_header_auth: true,
      basic_auth_enabled: false,
      basic_auth_user_attribute: '',
      basic_auth_password_attribute: '',
      cookie_domain: '',
      access_token_validity: 'minutes=10',
      refresh_token_validity: 'days=30',
      jwt_federation_sources: [],
      jwt_federation_providers: [],
    };
    const made = await create(sent);
    const { property_mappings: _, ...plain } = sent;
    for (const [key, value] of Object.entries(plain)) assert.deepEqual(made[key], value, key);
    assert.equal(made.property_mappings.length, 5); // openid, profile, email, entitlements, ak_proxy
    assert.match(made.client_id, /^[A-Za-z0-9]{40}$/);
    assert.deepEqual(
      made.redirect_uris.map((uri) => uri.url),
      [
        'https://tf.example.test/outpost.goauthentik.io/callback?X-authentik-auth-callback=true',
        'https://tf.example.test?X-authentik-auth-callback=true',
      ],
    );
    assert.deepEqual(await api.ok('GET', `providers/proxy/${made.pk}/`), made);
    const put = await api.ok('PUT', `providers/proxy/${made.pk}/`, { ...sent, name: 'terraform2' });
    assert.deepEqual(decode<Provider>(strict.proxyProvider, put), { ...made, name: 'terraform2' });
    const roundTrip = await api.ok('PUT', `providers/proxy/${made.pk}/`, put);
    assert.deepEqual(roundTrip, put);
    assert.equal((await api.call('DELETE', `providers/proxy/${made.pk}/`)).status, 204);
    assert.equal((await api.call('GET', `providers/proxy/${made.pk}/`)).status, 404);
    assert.equal((await api.call('GET', 'providers/proxy/abc/')).status, 404);
  });

  it('PUT keeps optional keys it leaves out, and wants the required ones', async () => {
    const required = { ...flow, name: 'put', external_host: 'https://put.example.test' };
    const scope = (await api.ok('GET', 'propertymappings/provider/scope/?scope_name=goauthentik.io/api')) as {
      results: { pk: string }[];
    };
    const made = await create({
      ...required,
      mode: 'forward_domain',
      cookie_domain: 'example.test',
      internal_host: 'http://127.0.0.1:1',
      skip_path_regex: '^/public/',
      intercept_header_auth: false,
      access_token_validity: 'minutes=5',
      property_mappings: scope.results.map((mapping) => mapping.pk),
    });
    assert.equal(made.property_mappings.length, 6);
    const path = `providers/proxy/${made.pk}/`;
    const put = { ...required, name: 'put2', internal_host: 'http://127.0.0.1:2' };
    assert.deepEqual(await api.ok('PUT', path, put), { ...made, name: 'put2', internal_host: 'http://127.0.0.1:2' });
    const { external_host: _, ...lacking } = put;
    const refused = await api.call('PUT', path, lacking);
    assert.deepEqual([refused.status, refused.body], [400, { external_host: ['This field is required.'] }]);
    const cleared = await api.ok('PUT', path, { ...put, property_mappings: [] });
    assert.equal((cleared['property_mappings'] as string[]).length, 5); // those every provider needs come back
  });

  it('keeps whose tokens a provider trusts', async () => {
    const base = { ...flow, mode: 'forward_single' };
    const one = await create({ ...base, name: 'trusted', external_host: 'https://trusted.example.test' });
    const two = await create({
      ...base,
      name: 'trusting',
      external_host: 'https://trusting.example.test',
      jwt_federation_providers: [one.pk, one.pk],
    });
    const path = `providers/proxy/${two.pk}/`;
    const trusted = async () => (await api.ok('GET', path))['jwt_federation_providers'];
    assert.deepEqual(await trusted(), [one.pk]);
    await api.ok('PATCH', path, { mode: 'forward_single', name: 'trusting still' });
    assert.deepEqual(await trusted(), [one.pk]);
    for (const [sent, field] of [
      [{ jwt_federation_providers: [one.pk, 99_999] }, 'jwt_federation_providers'],
      [{ jwt_federation_providers: ['x'] }, 'jwt_federation_providers'],
      [{ jwt_federation_sources: ['8d7a1f6e-0000-4000-8000-000000000000'] }, 'jwt_federation_sources'],
    ] as const) {
      const answer = await api.call('PATCH', path, { mode: 'forward_single', ...sent });
      assert.deepEqual([answer.status, Object.keys(answer.body as object)], [400, [field]]);
    }
    assert.equal((await api.call('DELETE', `providers/proxy/${one.pk}/`)).status, 204);
    assert.deepEqual(await trusted(), []);
    await api.ok('PATCH', path, { mode: 'forward_single', jwt_federation_providers: [two.pk] });
    await api.ok('PATCH', path, { mode: 'forward_single', jwt_federation_providers: [] });
    assert.deepEqual(await trusted(), []);
  });

  it('shows no secret', async () => {
    const made = await create({ name: 'secret', mode: 'forward_single', external_host: 'https://secret.example.test' });
    const row = await api.ctx.db
      .selectFrom('proxy_provider')
      .where('id', '=', made.pk)
      .selectAll()
      .executeTakeFirstOrThrow();
    const shown = JSON.stringify([
      made,
      await api.ok('GET', 'providers/proxy/'),
      await api.ok('GET', 'events/events/'),
    ]);
    assert.ok(!shown.includes('client_secret') && !shown.includes('cookie_secret'));
    assert.ok(!shown.includes(row.client_secret) && !shown.includes(row.cookie_secret));
  });

  it('demands what belongs together, in the submitted body also on PATCH', async () => {
    assert.deepEqual(await problems({ external_host: 'https://a.example.test' }), ['internal_host']);
    assert.deepEqual(await problems({ external_host: 'https://a.example.test', mode: 'proxy', internal_host: '' }), [
      'internal_host',
    ]);
    const single = { mode: 'forward_single', external_host: 'https://a.example.test' };
    assert.deepEqual(await problems({ ...single, basic_auth_enabled: true }), ['basic_auth_enabled']);
    assert.deepEqual(await problems({ ...single, external_host: 'ftp://a.example.test' }), ['external_host']);
    assert.deepEqual(await problems({ ...single, skip_path_regex: '^/ok\n^/(?=x)' }), ['skip_path_regex']);
    assert.deepEqual(await problems({ ...single, access_token_validity: 'soon' }), ['access_token_validity']);
    assert.deepEqual(await problems({ ...single, intenal_host: 'x' }), ['intenal_host']);
    assert.deepEqual(await problems({ ...single, certificate: '6f9619ff-8b86-4d11-b42d-00cf4fc964ff' }), [
      'certificate',
    ]);
    assert.deepEqual(await problems({ ...single, authorization_flow: '6f9619ff-8b86-4d11-b42d-00cf4fc964ff' }), [
      'authorization_flow',
    ]);

    const made = await create({
      name: 'patch',
      external_host: 'https://patch.example.test',
      internal_host: 'http://127.0.0.1:1',
    });
    const bare = await api.call('PATCH', `providers/proxy/${made.pk}/`, { name: 'renamed' });
    assert.deepEqual([bare.status, Object.keys(bare.body as object)], [400, ['internal_host']]);
    assert.equal((await api.ok('GET', `providers/proxy/${made.pk}/`))['name'], 'patch');
    const whole = await api.ok('PATCH', `providers/proxy/${made.pk}/`, {
      name: 'renamed',
      internal_host: 'http://127.0.0.1:2',
    });
    const read = decode<Provider>(strict.proxyProvider, whole);
    assert.deepEqual([read.name, read.client_id], ['renamed', made.client_id]);
  });

  it('filters and searches, case-insensitively', async () => {
    const made = await create({
      name: 'Filter-Me',
      mode: 'forward_single',
      external_host: 'https://filter.example.test',
    });
    const found = async (query: string) =>
      decodePage<Provider>(strict.proxyProvider, await api.ok('GET', `providers/proxy/?${query}`)).map((p) => p.name);
    assert.deepEqual(await found('name__iexact=filter-me'), ['Filter-Me']);
    assert.deepEqual(await found('external_host__iexact=HTTPS://FILTER.example.test'), ['Filter-Me']);
    assert.deepEqual(await found('search=FILTER'), ['Filter-Me']);
    assert.ok((await found('mode__iexact=forward_single&application__isnull=true')).includes('Filter-Me'));
    await api.ok('POST', 'core/applications/', { name: 'F', slug: 'f', provider: made.pk });
    assert.deepEqual(await found('application__isnull=false'), ['Filter-Me']);
    assert.deepEqual(await found('authorization_flow__slug__iexact=nonsense'), []);
    assert.deepEqual(await found('certificate__name__iexact=x'), []);
    assert.ok((await found(`property_mappings__iexact=${made.property_mappings[0] ?? ''}`)).includes('Filter-Me'));
    const read = decode<Provider>(strict.proxyProvider, await api.ok('GET', `providers/proxy/${made.pk}/`));
    assert.equal(read.assigned_application_slug, 'f');
  });

  it('keeps our own settings in a resource of their own', async () => {
    const made = await create({ name: 'ours', mode: 'forward_single', external_host: 'https://ours.example.test' });
    const path = `providers/proxy/${made.pk}/gatehouse/`;
    assert.deepEqual(await api.ok('GET', path), DEFAULT_PROVIDER_SETTINGS);
    assert.deepEqual(await api.ok('PATCH', path, { host: 'original' }), {
      ...DEFAULT_PROVIDER_SETTINGS,
      host: 'original',
    });
    assert.deepEqual(await api.ok('PATCH', path, { sign_out: 'application' }), {
      ...DEFAULT_PROVIDER_SETTINGS,
      host: 'original',
      sign_out: 'application',
    });
    const sent = {
      header_presets: ['remote', 'x_auth_request'],
      header_claims: [{ name: 'X-WEBAUTH-USER', claim: 'preferred_username' }],
      backend_hosts: ['foo.bar.baz', '*.apps.internal:8888'],
    };
    const changed = (await api.ok('PATCH', path, sent)) as Record<string, unknown>;
    assert.deepEqual({ ...changed, ...sent }, changed);
    for (const [field, value] of [
      ['header_presets', ['x-remote']],
      ['header_claims', [{ name: 'Host', claim: 'email' }]],
      ['header_claims', [{ name: 'X-A', claim: 'ak_proxy' }]],
      ['backend_hosts', ['http://foo.bar.baz']],
    ] as const) {
      const refused = await api.call('PATCH', path, { [field]: value });
      assert.deepEqual([refused.status, Object.keys(refused.body as object)], [400, [field]]);
    }
    const wrong = await api.call('PATCH', path, { host: 'other', shape: 1 });
    assert.deepEqual([wrong.status, Object.keys(wrong.body as object).sort()], [400, ['host', 'shape']]);
    assert.equal((await api.call('GET', 'providers/proxy/999/gatehouse/')).status, 404);
  });

  it('lists the built-in flows and scope mappings, which cannot be changed', async () => {
    const all = decodePage<{ slug: string }>(strict.flow, await api.ok('GET', 'flows/instances/'));
    for (const slug of [
      'default-authentication-flow',
      'default-provider-authorization-implicit-consent',
      'default-provider-authorization-explicit-consent',
      'default-invalidation-flow',
      'default-provider-invalidation-flow',
      'initial-setup',
    ]) {
      assert.ok(
        all.some((one) => one.slug === slug),
        slug,
      );
    }
    const one = await api.ok('GET', 'flows/instances/default-invalidation-flow/');
    assert.equal(decode(strict.flow, one)['designation'], 'invalidation');
    const byKind = decodePage<{ slug: string }>(
      strict.flow,
      await api.ok('GET', 'flows/instances/?designation=authorization'),
    );
    assert.ok(byKind.length >= 2 && byKind.every((f) => f.slug.includes('authorization')));
    assert.equal((await api.call('GET', 'flows/instances/nonsense/')).status, 404);
    assert.equal((await api.call('DELETE', 'flows/instances/default-invalidation-flow/')).status, 405);

    const scopes = (await api.ok('GET', 'propertymappings/provider/scope/')) as { results: unknown[] };
    const mappings = decodePage<{ pk: string; scope_name: string; managed: string }>(strict.scopeMapping, scopes);
    assert.deepEqual(
      new Set(mappings.map((mapping) => mapping.scope_name)),
      new Set(['openid', 'email', 'profile', 'entitlements', 'offline_access', 'goauthentik.io/api', 'ak_proxy']),
    );
    const byName = async (query: string) =>
      decodePage<{ scope_name: string }>(
        strict.scopeMapping,
        await api.ok('GET', `propertymappings/provider/scope/?${query}`),
      ).map((m) => m.scope_name);
    assert.deepEqual(await byName('managed=goauthentik.io/providers/proxy/scope-proxy'), ['ak_proxy']);
    assert.deepEqual(
      await byName(
        'managed=goauthentik.io/providers/proxy/scope-proxy&managed=goauthentik.io/providers/oauth2/scope-openid',
      ),
      ['ak_proxy', 'openid'],
    );
    assert.deepEqual(await byName('scope_name=email'), ['email']);
    decode(strict.scopeMapping, await api.ok('GET', `propertymappings/provider/scope/${mappings[0]?.pk ?? ''}/`));
  });
});
