import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_PROVIDER_SETTINGS } from '../../contract/provider-settings.ts';
import type { Cursor } from '../../contract/extension.ts';
import type { AccessRule } from '../../contract/provider-settings.ts';
import { InvalidInput } from '../../contract/errors.ts';
import { createBinding } from '../access/bindings.ts';
import { createEntitlement } from '../access/entitlements.ts';
import { flowsOf, testServer } from '../context.test-helper.ts';
import type { ServerContext } from '../context.ts';
import { mergedAttributes } from '../directory/attributes.ts';
import { createGroup } from '../directory/groups.ts';
import { createUser, updateUser } from '../directory/users.ts';
import { eventsAfter, readCursor } from '../events/identity-log.ts';
import type { ProviderRow, UserRow } from '../storage/rows.ts';
import { evaluateScopes } from './evaluate-scopes.ts';
import type { ScopeRequest } from './evaluate-scopes.ts';
import { outpostView } from './outpost-view.ts';
import { operatorHeaderNames, tokenExtension } from './person-headers.ts';
import {
  configureProvider,
  createProvider,
  deleteProvider,
  mappingsOf,
  providerSecrets,
  updateProvider,
} from './providers.ts';
import type { ProviderInput } from './providers.ts';
import { acceptedRedirectUris, redirectUris } from './redirect-uris.ts';
import { scopeNames } from './scope-mappings.ts';
import { auditSkipped } from './skipped-headers.ts';

const problems = async (work: Promise<unknown>): Promise<Record<string, readonly string[]>> => {
  try {
    await work;
    return {};
  } catch (error) {
    if (error instanceof InvalidInput) return error.fields;
    throw error;
  }
};

const claimsOf = async (ctx: ServerContext, request: ScopeRequest) => (await evaluateScopes(ctx, request)).claims;

/** What goes beside the token of somebody whose attributes are their own and those of their groups. */
const beside = async (ctx: ServerContext, provider: ProviderRow, user: UserRow, cursor: Cursor) =>
  tokenExtension(ctx.db, provider, user, { attributes: await mergedAttributes(ctx.db, user) }, cursor);

const FORCED = ['ak_proxy', 'email', 'entitlements', 'openid', 'profile'];

async function make(ctx: ServerContext, over: Partial<ProviderInput> = {}) {
  const flows = await flowsOf(ctx.db);
  const input: ProviderInput = {
    name: 'p',
    ...flows,
    mode: 'forward_single',
    external_host: 'https://p.example.test',
    ...over,
  };
  return ctx.change((tx) => createProvider(tx, input));
}

const SINGLE = { mode: 'forward_single' } as const;

describe('proxy providers', () => {
  it('get credentials, defaults and the mappings they need, also after a change that names none', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const provider = await make(ctx);
    const secrets = providerSecrets(ctx.keyring, provider);
    assert.match(provider.client_id, /^[A-Za-z0-9]{40}$/);
    assert.match(secrets.client_secret, /^[A-Za-z0-9]{128}$/);
    assert.match(secrets.cookie_secret, /^[A-Z0-9]{32}$/);
    assert.equal(JSON.stringify(provider).includes(secrets.client_secret), false);
    assert.deepEqual([provider.access_token_validity, provider.refresh_token_validity], ['hours=1', 'days=30']);
    assert.deepEqual(await scopeNames(ctx.db, provider.id), FORCED);
    const api = await ctx.db
      .selectFrom('scope_mapping')
      .select('uuid')
      .where('scope_name', '=', 'goauthentik.io/api')
      .executeTakeFirstOrThrow();
    await ctx.change((tx) => updateProvider(tx, provider.id, { ...SINGLE, property_mappings: [api.uuid] }));
    assert.deepEqual(await scopeNames(ctx.db, provider.id), [...FORCED, 'goauthentik.io/api'].sort());
    const after = await ctx.change((tx) => updateProvider(tx, provider.id, { ...SINGLE, property_mappings: [] }));
    assert.deepEqual(
      (await mappingsOf(ctx.db, provider.id)).map((m) => m.scope_name),
      FORCED,
    );
    assert.deepEqual(providerSecrets(ctx.keyring, after), secrets, 'credentials stay');
  });

  it('are checked field by field, all at once', async () => {
    await using server = await testServer();
    const { ctx } = server;
    await make(ctx);
    const wrong: [Partial<ProviderInput>, string[]][] = [
      [
        { name: ' ', external_host: 'ftp://x', access_token_validity: 'soon' },
        ['access_token_validity', 'external_host', 'name'],
      ],
      [{ name: 'p', external_host: 'https://P.example.test:443/x' }, ['external_host', 'name']],
      [{ name: 'x', external_host: 'https://a@x.test' }, ['external_host']],
      [{ name: 'x', external_host: 'https://x.test/?a' }, ['external_host']],
      [{ name: 'x', external_host: 'https://"x".test' }, ['external_host']],
      [{ name: 'x', external_host: "https://x';.test" }, ['external_host']],
      [{ name: 'x', external_host: 'https://x.test/\u0000' }, ['external_host']],
      [
        { name: 'x', external_host: 'https://x.test', authorization_flow: 'none', property_mappings: ['none'] },
        ['authorization_flow', 'property_mappings'],
      ],
      [{ name: 'x', external_host: 'https://x.test', mode: 'proxy' }, ['internal_host']],
      [{ name: 'x', external_host: 'https://x.test', mode: 'proxy', internal_host: 'x test' }, ['internal_host']],
      [
        { name: 'x', external_host: 'https://x.test', basic_auth_enabled: true, basic_auth_user_attribute: 'u' },
        ['basic_auth_enabled'],
      ],
      [
        { name: 'x', external_host: 'http://localhost:9000', mode: 'proxy', internal_host: 'http://a' },
        ['external_host'],
      ],
      [
        { name: 'x', external_host: 'https://a.x.test', mode: 'forward_domain', cookie_domain: 'y.test' },
        ['cookie_domain'],
      ],
      [
        { name: 'x', external_host: 'https://a.x.test', mode: 'forward_domain', cookie_domain: 'test' },
        ['cookie_domain'],
      ],
    ];
    for (const [input, fields] of wrong) {
      assert.deepEqual(Object.keys(await problems(make(ctx, input))).sort(), fields, JSON.stringify(input));
    }
    assert.equal((await ctx.db.selectFrom('proxy_provider').select('id').execute()).length, 1);
    await make(ctx, { name: 'd', external_host: 'https://a.x.test', mode: 'forward_domain', cookie_domain: '.x.test' });
  });

  it('name the line of a path rule that is none', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const found = await problems(make(ctx, { skip_path_regex: '^/ok\n\n(unclosed\n^/a\\?b' }));
    assert.deepEqual(
      found['skip_path_regex']?.map((text) => text.slice(0, 6)),
      ['Line 3', 'Line 4'],
    );
    assert.deepEqual(await problems(make(ctx, { skip_path_regex: '^/ok$\r\n\r\n/(?i)x' })), {});
  });

  it('are judged by the submitted body on PATCH, as published', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const provider = await make(ctx, { mode: 'proxy', internal_host: 'http://backend' });
    const patch = (p: Partial<ProviderInput>) => problems(ctx.change((tx) => updateProvider(tx, provider.id, p)));
    assert.deepEqual(Object.keys(await patch({ name: 'q' })), ['internal_host']);
    assert.deepEqual(await patch({ name: 'q', internal_host: 'http://other' }), {});
    assert.deepEqual(await patch({ mode: 'forward_single', name: 'r' }), {});
  });

  it('tell outposts when they change, and remember how long former sessions live', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const provider = await make(ctx, { access_token_validity: 'days=9' });
    const before = (await readCursor(ctx.db)).n;
    await ctx.change((tx) =>
      updateProvider(tx, provider.id, { mode: 'forward_single', access_token_validity: 'minutes=1' }),
    );
    await ctx.change((tx) => configureProvider(tx, provider.id, { host: 'original' }));
    await ctx.change((tx) => deleteProvider(tx, provider.id));
    const events = await eventsAfter(ctx.db, before, Date.now());
    assert.deepEqual(
      events.map((event) => event.kind),
      ['provider-changed', 'provider-changed', 'provider-changed'],
    );
    for (const event of events) assert.ok(event.until > Date.now() + 9 * 86_400_000);
  });
});

describe('redirect URIs', () => {
  it('resolve as RFC 3986 says, with and without a path', () => {
    const q = '?X-authentik-auth-callback=true';
    assert.deepEqual(redirectUris('https://h'), [`https://h/outpost.goauthentik.io/callback${q}`, `https://h${q}`]);
    assert.deepEqual(redirectUris('https://h/app')[0], `https://h/outpost.goauthentik.io/callback${q}`);
    assert.deepEqual(redirectUris('https://h/app/')[0], `https://h/app/outpost.goauthentik.io/callback${q}`);
    const older = 'https://h/akprox/callback';
    assert.deepEqual(acceptedRedirectUris('https://h').slice(2), [older + q, older]);
    assert.ok(acceptedRedirectUris('https://h/app').includes(`https://h/app/outpost.goauthentik.io/callback${q}`));
  });
});

/** Eve with attributes, Basic on, two entitlements. */
async function eveAtWiki(server: Awaited<ReturnType<typeof testServer>>) {
  const { ctx } = server;
  const basic = {
    basic_auth_enabled: true,
    basic_auth_user_attribute: 'wiki_user',
    basic_auth_password_attribute: 'wiki_pw',
  };
  const { provider, application } = await server.protect('wiki', basic);
  const eve = await ctx.change(async (tx) => {
    const staff = await createGroup(tx, {
      name: 'staff',
      is_superuser: true,
      attributes: { additionalHeaders: { 'X-Team': 'red' } },
    });
    const editors = await createGroup(tx, { name: 'editors', parents: [staff.uuid] });
    const eve = await createUser(tx, {
      username: 'eve',
      name: 'Eve',
      email: 'eve@x.test',
      groups: [editors.uuid],
      attributes: { wiki_pw: 's3cret', payroll: 1, additionalHeaders: { 'X-Nr': 7 } },
    });
    const entitlement = await createEntitlement(tx, { name: 'write', app: application.uuid });
    await createBinding(tx, { target: entitlement.uuid, user: eve.id, order: 0 });
    return eve;
  });
  return { ctx, provider, application, eve };
}

describe('evaluateScopes', () => {
  it('gives the published claims, and only what was granted', async () => {
    await using server = await testServer();
    const { ctx, ...request } = await eveAtWiki(server);
    const user = request.eve;
    const scopes = await scopeNames(ctx.db, request.provider.id);
    assert.deepEqual(await claimsOf(ctx, { ...request, user, scopes }), {
      ak_proxy: {
        user_attributes: { additionalHeaders: { 'X-Team': 'red', 'X-Nr': 7 }, wiki_pw: 's3cret' },
        is_superuser: true,
      },
      email: 'eve@x.test',
      email_verified: false,
      entitlements: ['write'],
      roles: ['write'],
      name: 'Eve',
      given_name: 'Eve',
      preferred_username: 'eve',
      nickname: 'eve',
      groups: ['editors'],
    });
    assert.deepEqual(await claimsOf(ctx, { ...request, user, scopes: ['email'] }), {
      email: 'eve@x.test',
      email_verified: false,
    });
    assert.deepEqual(await claimsOf(ctx, { ...request, user, scopes: [] }), {});
    assert.deepEqual(await claimsOf(ctx, { ...request, user, scopes: ['ak_proxy'], attributes: 'none' }), {
      ak_proxy: { user_attributes: {}, is_superuser: true },
    });
  });
});

describe('groups for access rules', () => {
  const rule = (groups: string[]): AccessRule => {
    return { match: 'glob', pattern: '/admin/**', methods: [], effect: 'groups', groups };
  };

  it('are those that rules name, also when the person is in them through others', async () => {
    await using server = await testServer();
    const { ctx, provider, eve } = await eveAtWiki(server);
    await ctx.change((tx) => createGroup(tx, { name: 'crew' }));
    const rules = [rule(['crew', 'staff']), rule(['staff'])];
    const configured = await ctx.change((tx) => configureProvider(tx, provider.id, { access_rules: rules }));
    const cursor = await readCursor(ctx.db);
    assert.deepEqual((await beside(ctx, configured, eve, cursor)).rule_groups, ['staff']);
    assert.deepEqual((await beside(ctx, provider, eve, cursor)).rule_groups, []);
    const [event] = await eventsAfter(ctx.db, cursor.n - 1, 0);
    assert.equal(event?.kind, 'provider-changed', 'sessions that know of fewer groups are stale');
  });

  it('must be there, and rules must be readable, before they are saved', async () => {
    await using server = await testServer();
    const { ctx, provider } = await eveAtWiki(server);
    const save = (...access_rules: AccessRule[]) =>
      ctx.change((tx) => configureProvider(tx, provider.id, { access_rules }));
    const says =
      (...sentences: RegExp[]) =>
      (error: unknown) => {
        assert.ok(error instanceof InvalidInput);
        const said = error.fields['access_rules'] ?? [];
        assert.equal(said.length, sentences.length, said.join(' '));
        return sentences.every((sentence, i) => sentence.test(said[i] ?? ''));
      };
    await assert.rejects(save(rule(['staff', 'stuff'])), says(/no group called "stuff"/));
    await assert.rejects(save(rule(['staff']), { ...rule(['staff']), pattern: 'x?' }), says(/^Rule 2: /));
    await assert.rejects(save({ ...rule([]), match: 'regex', pattern: '(' }), says(/^Rule 1: /, /name the groups/));
  });
});

describe('headers beside the token', () => {
  it('are the Basic credentials and the additional ones', async () => {
    await using server = await testServer();
    const { ctx, provider, eve } = await eveAtWiki(server);
    const cursor = await readCursor(ctx.db);
    const basic = (text: string) => ['Authorization', `Basic ${Buffer.from(text).toString('base64')}`];
    const extra = [
      ['X-Team', 'red'],
      ['X-Nr', '7'],
    ];
    assert.deepEqual(await beside(ctx, provider, eve, cursor), {
      cursor,
      headers: [basic('eve@x.test:s3cret'), ...extra],
      rule_groups: [],
    });
    const off = { ...provider, basic_auth_enabled: 0 };
    assert.deepEqual((await beside(ctx, off, eve, cursor)).headers, extra);
    const poor = { ...provider, basic_auth_password_attribute: 'none' };
    assert.deepEqual((await beside(ctx, poor, eve, cursor)).headers[0], basic('eve@x.test:'));
    const own = await ctx.change((tx) =>
      updateUser(tx, eve.id, { attributes: { additionalHeaders: { authorization: 'Token x' } } }),
    );
    assert.deepEqual((await beside(ctx, provider, own, cursor)).headers, [
      ['X-Team', 'red'],
      ['authorization', 'Token x'],
    ]);
    assert.deepEqual(await operatorHeaderNames(ctx.db), ['x-team']);
  });
});

describe('additional headers that cannot be sent', () => {
  it('are left out, and an event says so once in five minutes, without their values', async () => {
    await using server = await testServer();
    const { ctx, provider, eve } = await eveAtWiki(server);
    const cursor = await readCursor(ctx.db);
    // refused when it is saved, so this is from before the rule
    const attributes = JSON.stringify({ additionalHeaders: { Host: 'hidden-value', 'X-Nr': 7 } });
    await ctx.db.updateTable('user').set({ attributes }).where('id', '=', eve.id).execute();
    const changed = { ...eve, attributes };
    for (let i = 0; i < 3; i++) {
      const { headers } = await beside(ctx, provider, changed, cursor);
      assert.deepEqual(headers.filter(([name]) => name !== 'Authorization'), [['X-Team', 'red'], ['X-Nr', '7']]); // prettier-ignore
    }
    const told = () => ctx.db.selectFrom('event').selectAll().where('app', '=', 'gatehouse.headers').execute();
    const [event, ...more] = await told();
    assert.equal(more.length, 0);
    assert.equal(event?.action, 'configuration_error');
    assert.match(event.context, /eve.*additionalHeaders.*Host/);
    assert.doesNotMatch(event.context, /hidden-value/);
    const later = Date.now() + 6 * 60_000;
    await auditSkipped(
      ctx.db,
      provider,
      eve,
      [JSON.parse(event.context).message.split(': ').slice(1).join(': ')],
      later,
    );
    assert.equal((await told()).length, 2);
  });
});

const VIEW_KEYS =
  `pk name internal_host external_host internal_host_ssl_validation client_id client_secret oidc_configuration
  cookie_secret certificate skip_path_regex basic_auth_enabled basic_auth_password_attribute basic_auth_user_attribute mode
  cookie_domain access_token_validity intercept_header_auth scopes_to_request assigned_application_slug assigned_application_name`.split(
    /\s+/,
  );
const OIDC_KEYS =
  `issuer authorization_endpoint token_endpoint userinfo_endpoint end_session_endpoint introspection_endpoint jwks_uri
  response_types_supported id_token_signing_alg_values_supported subject_types_supported token_endpoint_auth_methods_supported`.split(
    /\s+/,
  );

describe('what an outpost is told', () => {
  it('has exactly the published keys, and our own beside them only when asked', async () => {
    await using server = await testServer();
    const { keyring, db } = server.ctx;
    const made = await server.protect('b', { access_token_validity: 'minutes=90' });
    const base = 'https://auth.example.test/auth';
    const domainApplications = [{ slug: 'c', name: 'C', host: 'c.test', path: '/' }];
    const input = { ...made, base, scopes: await scopeNames(db, made.provider.id), domainApplications };
    const view = outpostView(keyring, { ...input, managedHeaders: undefined });
    assert.deepEqual(Object.keys(view).sort(), VIEW_KEYS.toSorted());
    assert.deepEqual(Object.keys(view.oidc_configuration).sort(), OIDC_KEYS.toSorted());
    assert.equal(view.oidc_configuration.issuer, `${base}/application/o/b/`);
    assert.deepEqual(view.oidc_configuration.id_token_signing_alg_values_supported, ['RS256']);
    assert.equal(view.access_token_validity, 5400);
    assert.deepEqual(view.scopes_to_request, FORCED);
    assert.equal(view.client_secret, providerSecrets(keyring, made.provider).client_secret);
    const ours = outpostView(keyring, { ...input, managedHeaders: ['x-team'] });
    assert.deepEqual(ours, {
      ...view,
      gatehouse: {
        ...DEFAULT_PROVIDER_SETTINGS,
        managed_headers: ['x-team'],
        previous_cookie_secret: '',
        applications: domainApplications,
      },
    });
  });
});
