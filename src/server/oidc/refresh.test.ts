import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { updateUser } from '../directory/users.ts';
import { updateProvider } from '../proxy-provider/providers.ts';
import { addClient, addUser, payloadOf, RelyingParty, startServer, Visitor } from './oidc.test-helper.ts';
import type { TestClient, TestServer } from './oidc.test-helper.ts';

describe('refresh tokens', () => {
  let server: TestServer;
  let wiki: TestClient;
  let rp: RelyingParty;

  before(async () => {
    server = await startServer();
    await addUser(server.ctx, 'alice');
    wiki = await addClient(server.ctx, 'wiki');
    rp = await RelyingParty.discover(server.base, wiki);
  });
  after(() => server.close());

  const signedIn = async (name = 'alice') => {
    const visitor = new Visitor(server.base);
    await visitor.signIn(name);
    return visitor;
  };
  const tokens = async (visitor: Visitor) => {
    const attempt = await rp.attempt({ scope: 'openid profile offline_access' });
    const location = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
    return (await rp.redeem(location, attempt)).tokens;
  };
  const refresh = (refresh_token: string, more: Record<string, string> = {}) =>
    rp.post({
      grant_type: 'refresh_token',
      refresh_token,
      client_id: wiki.provider.client_id,
      client_secret: wiki.secret,
      ...more,
    });

  it('are given only where the provider has offline_access', async () => {
    const visitor = await signedIn();
    assert.equal((await tokens(visitor)).refresh_token, undefined);
    const { uuid } = await server.ctx.db
      .selectFrom('scope_mapping')
      .select('uuid')
      .where('scope_name', '=', 'offline_access')
      .executeTakeFirstOrThrow();
    await server.ctx.change((tx) =>
      updateProvider(tx, wiki.provider.id, { mode: 'forward_single', property_mappings: [uuid] }),
    );
    const given = await tokens(visitor);
    assert.equal(typeof given.refresh_token, 'string');
    assert.equal(given.scope, 'offline_access openid profile');
  });

  it('work once, and a second use revokes what came of them', async () => {
    const visitor = await signedIn();
    const first = await tokens(visitor);
    const second = await refresh(first.refresh_token ?? '');
    assert.equal(second.status, 200, JSON.stringify(second.body));
    const claims = payloadOf(String(second.body['access_token']));
    const before = payloadOf(first.access_token);
    for (const name of ['sub', 'sid', 'auth_time', 'aud', 'preferred_username'])
      assert.equal(claims[name], before[name], name);
    const successor = String(second.body['refresh_token']);
    assert.notEqual(successor, first.refresh_token);
    assert.equal((await refresh(successor, { scope: 'openid ak_proxy' })).body['error'], 'invalid_scope');
    assert.equal((await refresh(first.refresh_token ?? '')).body['error'], 'invalid_grant');
    assert.equal((await refresh(successor)).body['error'], 'invalid_grant');
  });

  it('die with the session, with the account, and when revoked; another client cannot use them', async () => {
    const visitor = await signedIn();
    const forge = await addClient(server.ctx, 'forge');
    const { refresh_token: token = '' } = await tokens(visitor);
    const foreign = await refresh(token, { client_id: forge.provider.client_id, client_secret: forge.secret });
    assert.equal(foreign.body['error'], 'invalid_grant');
    const revocation = { token, client_id: wiki.provider.client_id, client_secret: wiki.secret };
    await rp.post(
      { ...revocation, client_id: forge.provider.client_id, client_secret: forge.secret },
      {},
      '/application/o/revoke/',
    );
    const { body } = await refresh(token);
    const next = String(body['refresh_token']);
    const active = async () =>
      (await rp.post({ ...revocation, token: String(body['access_token']) }, {}, '/application/o/introspect/')).body[
        'active'
      ];
    assert.equal(await active(), true);
    await rp.post({ ...revocation, token: next }, {}, '/application/o/revoke/');
    assert.equal((await refresh(next)).body['error'], 'invalid_grant');
    assert.equal(await active(), false, 'with the access tokens of its authorization (RFC 7009 2.1)');

    const { refresh_token: third = '' } = await tokens(visitor);
    await visitor.submit('/if/flow/default-invalidation-flow/', {});
    assert.equal((await refresh(third)).body['error'], 'invalid_grant');

    const mallory = await addUser(server.ctx, 'mallory');
    const { refresh_token: fourth = '' } = await tokens(await signedIn('mallory'));
    await server.ctx.change((tx) => updateUser(tx, mallory.id, { is_active: false }));
    assert.equal((await refresh(fourth)).body['error'], 'invalid_grant');
    await server.ctx.change((tx) => updateUser(tx, mallory.id, { is_active: true }));
    assert.equal((await refresh(fourth)).body['error'], 'invalid_grant', 'for good');
  });
});
