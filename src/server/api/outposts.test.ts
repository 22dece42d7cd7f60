import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EMBEDDED_OUTPOST_MANAGED } from '../../contract/api.ts';
import {
  EXTENSION_HEADER,
  EXTENSION_VERSION,
  LINK_HEADERS,
  REFRESH_PATH,
  SIGN_OUT_PATH,
} from '../../contract/extension.ts';
import { GATEHOUSE_VERSION } from '../../contract/version.ts';
import type { Api, CallOptions, Flows } from './server.test-helper.ts';
import { EMBEDDED_TOKEN, flows, startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

interface Outpost {
  pk: string;
  name: string;
  providers: number[];
  providers_obj: { name: string }[];
  config: Record<string, unknown>;
  managed: string | null;
  token_identifier: string;
  refresh_interval_s: number;
  service_connection: string | null;
  service_connection_obj: Record<string, unknown>;
}

const EMBEDDED: CallOptions = { token: EMBEDDED_TOKEN, internal: true };
const OURS: CallOptions = { ...EMBEDDED, headers: { [EXTENSION_HEADER]: EXTENSION_VERSION } };

describe('outposts', () => {
  let api: Api;
  let flow: Flows;
  let embedded: Outpost;
  before(async () => {
    api = await startApi();
    flow = await flows(api);
    const all = decodePage<Outpost>(strict.outpost, await api.ok('GET', 'outposts/instances/'));
    assert.equal(all.length, 1);
    embedded = all[0] as Outpost;
  });
  after(() => api.close());

  const provider = async (name: string, application = true) => {
    const made = await api.ok('POST', 'providers/proxy/', {
      ...flow,
      name,
      mode: 'forward_single',
      external_host: `https://${name}.example.test`,
      access_token_validity: 'hours=2',
    });
    if (application)
      await api.ok('POST', 'core/applications/', { name: `App ${name}`, slug: name, provider: made['pk'] });
    return Number(made['pk']);
  };
  const create = async (body: Record<string, unknown>) =>
    decode<Outpost>(
      strict.outpost,
      await api.ok('POST', 'outposts/instances/', { type: 'proxy', config: {}, ...body }),
    );
  const keyOf = async (outpost: Outpost) =>
    String((await api.ok('GET', `core/tokens/${outpost.token_identifier}/view_key/`))['key']);

  it('there is an embedded one from the start', () => {
    assert.equal(embedded.managed, EMBEDDED_OUTPOST_MANAGED);
    assert.equal(embedded.name, 'authentik Embedded Outpost');
    assert.equal(embedded.token_identifier, `ak-outpost-${embedded.pk}-api`);
    assert.equal(embedded.refresh_interval_s, 300);
    assert.equal(embedded.config['authentik_host'], '');
    // null would break older clients (spec/server.md 7.2)
    assert.equal(embedded.service_connection_obj['pk'], '00000000-0000-0000-0000-000000000000');
  });

  it('creates, reads, changes and deletes; config comes back unchanged', async () => {
    const pk = await provider('crud');
    const config = {
      authentik_host: 'https://auth.example.test/',
      refresh_interval: 'minutes=1',
      of_tomorrow: [1, null],
    };
    const made = await create({ name: 'Crud', providers: [pk], config, service_connection: '' });
    assert.deepEqual(made.config, config);
    assert.deepEqual([made.refresh_interval_s, made.service_connection, made.managed], [60, null, null]);
    assert.equal(made.providers_obj[0]?.name, 'crud');
    assert.deepEqual(await api.ok('GET', `outposts/instances/${made.pk}/`), { ...made });
    const put = await api.ok('PUT', `outposts/instances/${made.pk}/`, { ...made, name: 'Crud 2' });
    assert.deepEqual(decode<Outpost>(strict.outpost, put), { ...made, name: 'Crud 2' });
    const patched = await api.ok('PATCH', `outposts/instances/${made.pk}/`, { config: { log_level: 'debug' } });
    assert.deepEqual(decode<Outpost>(strict.outpost, patched).config, { log_level: 'debug' });
    const read = await api.ok('GET', `providers/proxy/${pk}/`);
    assert.deepEqual(read['outpost_set'], ['Outpost Crud 2']);
    const key = await keyOf(made);
    assert.equal((await api.call('DELETE', `outposts/instances/${made.pk}/`)).status, 204);
    assert.equal((await api.call('GET', `outposts/instances/${made.pk}/`)).status, 404);
    assert.equal((await api.call('GET', 'outposts/instances/', undefined, { token: key })).status, 403);
  });

  it('refuses what cannot work', async () => {
    const pk = await provider('refused');
    for (const [field, body] of [
      ['type', { name: 'x', type: 'ldap', providers: [pk], config: {} }],
      ['providers', { name: 'x', type: 'proxy', providers: [], config: {} }],
      ['providers', { name: 'x', type: 'proxy', providers: [999_999], config: {} }],
      ['config', { name: 'x', type: 'proxy', providers: [pk], config: { refresh_interval: 'often' } }],
      ['config', { name: 'x', type: 'proxy', providers: [pk] }],
      [
        'service_connection',
        { name: 'x', type: 'proxy', providers: [pk], config: {}, service_connection: embedded.pk },
      ],
      ['name', { name: embedded.name, type: 'proxy', providers: [pk], config: {} }],
    ] as const) {
      const answer = await api.call('POST', 'outposts/instances/', body);
      assert.deepEqual([answer.status, Object.keys(answer.body as object)], [400, [field]]);
    }
    const renamed = await api.call('PATCH', `outposts/instances/${embedded.pk}/`, { name: 'Mine' });
    assert.deepEqual([renamed.status, Object.keys(renamed.body as object)], [400, ['name']]);
    assert.equal((await api.call('DELETE', `outposts/instances/${embedded.pk}/`)).status, 400);
  });

  it('gives default settings and the health list in their published shapes', async () => {
    const settings = (await api.ok('GET', 'outposts/instances/default_settings/')) as {
      config: Record<string, unknown>;
    };
    assert.deepEqual(Object.keys(settings), ['config']);
    assert.equal(Object.keys(settings.config).length, 22);
    assert.match(String(settings.config['authentik_host']), /^https?:\/\/.*\/$/);
    const health = await api.call('GET', `outposts/instances/${embedded.pk}/health/`);
    strict.health(health.body, 'health');
    assert.equal((await api.call('GET', 'outposts/instances/nonsense/health/')).status, 404);
  });

  it('the account of an outpost sees its own outpost and providers, and nothing else', async () => {
    const [mine, other] = [await provider('mine'), await provider('other')];
    const outpost = await create({ name: 'Own', providers: [mine] });
    const as = { token: await keyOf(outpost) };
    const seen = decodePage<Outpost>(strict.outpost, await api.ok('GET', 'outposts/instances/', undefined, as));
    assert.deepEqual(
      seen.map((one) => one.pk),
      [outpost.pk],
    );
    assert.equal((await api.call('GET', `outposts/instances/${embedded.pk}/`, undefined, as)).status, 404);
    assert.equal((await api.call('GET', `outposts/instances/${embedded.pk}/health/`, undefined, as)).status, 404);
    const providers = (await api.ok('GET', 'providers/proxy/', undefined, as)) as { results: { pk: number }[] };
    assert.deepEqual(
      providers.results.map((one) => one.pk),
      [mine],
    );
    assert.equal((await api.call('GET', `providers/proxy/${other}/`, undefined, as)).status, 404);
    assert.equal((await api.call('GET', `providers/proxy/${mine}/`, undefined, as)).status, 200);
    assert.equal((await api.call('PATCH', `outposts/instances/${outpost.pk}/`, { config: {} }, as)).status, 403);
    assert.equal((await api.call('GET', 'core/users/', undefined, as)).status, 403);
    assert.equal((await api.call('GET', 'events/events/', undefined, as)).status, 403);
    const serves = (await api.ok('GET', 'outposts/proxy/', undefined, as)) as { results: { pk: number }[] };
    assert.deepEqual(
      serves.results.map((one) => one.pk),
      [mine],
    );
    assert.equal((await api.call('GET', `outposts/proxy/${other}/`, undefined, as)).status, 404);
  });

  it('tells an outpost exactly the published keys, and ours only when asked', async () => {
    const ids = [await provider('b-config'), await provider('a-config'), await provider('no-application', false)];
    await api.ok('PATCH', `outposts/instances/${embedded.pk}/`, { providers: ids });
    const official = await api.call('GET', 'outposts/proxy/?page=1&page_size=100', undefined, EMBEDDED);
    const views = decodePage<{
      name: string;
      access_token_validity: number;
      oidc_configuration: { issuer: string; id_token_signing_alg_values_supported: string[] };
      client_secret: string;
      scopes_to_request: string[];
    }>(strict.proxyOutpostConfig, official.body);
    assert.equal(official.headers['cache-control'], 'no-store');
    assert.deepEqual(
      views.map((view) => view.name),
      ['a-config', 'b-config'],
    ); // by name, with an application
    const [first] = views;
    assert.equal(first?.access_token_validity, 7200);
    assert.match(first?.oidc_configuration.issuer ?? '', /\/application\/o\/a-config\/$/);
    assert.deepEqual(first?.oidc_configuration.id_token_signing_alg_values_supported, ['RS256']);
    assert.equal(first?.client_secret.length, 128);
    assert.deepEqual(first?.scopes_to_request.toSorted(), ['ak_proxy', 'email', 'entitlements', 'openid', 'profile']);

    const ours = decodePage<{ name: string }>(
      strict.ourProxyOutpostConfig,
      await api.ok('GET', 'outposts/proxy/', undefined, OURS),
    );
    assert.deepEqual(
      ours.map((view) => view.name),
      ['a-config', 'b-config'],
    );
    const second = await api.ok('GET', 'outposts/proxy/?page=2&page_size=1', undefined, EMBEDDED);
    assert.deepEqual(
      (second as { results: { name: string }[] }).results.map((view) => view.name),
      ['b-config'],
    );
    decode(strict.proxyOutpostConfig, await api.ok('GET', `outposts/proxy/${ids[0] ?? 0}/`, undefined, EMBEDDED));
    // the secrets in it are for the outpost, not for people, not even superusers
    assert.equal((await api.call('GET', 'outposts/proxy/')).status, 403);
  });

  it('names the configured address, whatever Host was used', async () => {
    const pk = await provider('addresses');
    const outpost = await create({ name: 'Addresses', providers: [pk] });
    const as = { token: await keyOf(outpost) };
    const config = { ...embedded.config, authentik_host: 'https://login.example.test/' };
    await api.ok('PATCH', `outposts/instances/${embedded.pk}/`, { providers: [pk], config });
    const addresses = async (options: CallOptions) => {
      const list = (await api.ok('GET', 'outposts/proxy/', undefined, options)) as {
        results: { oidc_configuration: Record<string, string | string[]> }[];
      };
      const values = list.results.flatMap((view) => Object.values(view.oidc_configuration).flat());
      const urls = values.filter((value) => value.includes('://'));
      assert.equal(urls.length, 7);
      return [...new Set(urls.map((url) => new URL(url).origin))];
    };
    const asked = (scheme: string, host: string) => ({ [LINK_HEADERS.scheme]: scheme, [LINK_HEADERS.host]: host });
    try {
      for (const host of ['control-plane', 'localhost:9000', 'evil.test']) {
        const internal = { ...OURS, headers: { ...OURS.headers, ...asked('http', host), host } };
        assert.deepEqual(await addresses(internal), ['https://login.example.test'], host);
      }
      const foreign = { ...as, headers: { ...asked('https', 'evil.test'), host: 'evil.test' } };
      assert.deepEqual(await addresses(foreign), ['https://login.example.test']);
      // an outpost elsewhere is answered with the address it uses, if that is one of ours
      const known = { ...as, headers: asked('http', 'localhost:9000') };
      assert.deepEqual(await addresses(known), ['http://localhost:9000']);
    } finally {
      await api.ok('PATCH', `outposts/instances/${embedded.pk}/`, { config: embedded.config });
    }
  });

  it('reports of outposts are kept without what they must not tell', async () => {
    const answer = await api.call(
      'POST',
      'events/events/',
      {
        action: 'configuration_error',
        app: 'authentik.providers.proxy',
        client_ip: '192.0.2.7:51234',
        context: {
          message: 'failed to detect a forward URL from nginx',
          url: '/outpost.goauthentik.io/auth/nginx?code=SECRETCODE',
          headers: {
            Cookie: 'authentik_proxy_x=SECRETCOOKIE',
            Authorization: 'Basic SECRETBASIC',
            'X-Forwarded-Host': 'a.example.test',
            'X-Original-Url': 'https://a/?state=SECRETSTATE',
            'X-Custom': 'SECRETCUSTOM',
          },
        },
      },
      EMBEDDED,
    );
    assert.equal(answer.status, 201);
    const event = decode<{
      client_ip: string;
      context: { headers: Record<string, string> };
      user: { username: string };
    }>(strict.event, answer.body);
    assert.equal(event.client_ip, '192.0.2.7');
    assert.match(event.user.username, /^ak-outpost-/);
    assert.ok(!JSON.stringify(event).includes('SECRET'));
    assert.equal(event.context.headers['X-Forwarded-Host'], 'a.example.test');
    decode(strict.event, await api.ok('GET', `events/events/${String((answer.body as { pk: string }).pk)}/`));
    const wrong = await api.call('POST', 'events/events/', { action: 'login', app: 'x' }, EMBEDDED);
    assert.deepEqual([wrong.status, Object.keys(wrong.body as object)], [400, ['action']]);
    assert.equal((await api.call('POST', 'events/events/', { action: 'configuration_error', app: 'x' })).status, 403);
    assert.equal((await api.call('GET', 'events/events/nonsense/')).status, 404);
  });

  it('speaks the extension with outposts only', async () => {
    assert.deepEqual(await api.ok('GET', 'gatehouse/capabilities/', undefined, OURS), {
      extension: EXTENSION_VERSION,
      version: GATEHOUSE_VERSION,
    });
    const pk = await provider('extension');
    await api.ok('PATCH', `outposts/instances/${embedded.pk}/`, { providers: [pk] });
    const session = { provider: pk, sid: 'f'.repeat(64), uid: 'e'.repeat(64) };
    assert.deepEqual(await api.ok('POST', REFRESH_PATH, session, OURS), { result: 'ended' });
    assert.equal((await api.call('POST', SIGN_OUT_PATH, session, OURS)).status, 204);
    for (const path of [REFRESH_PATH, SIGN_OUT_PATH]) {
      assert.equal((await api.call('POST', path, session)).status, 403, path);
      assert.equal((await api.call('POST', path, { provider: pk }, OURS)).status, 400, path);
    }
  });
});
