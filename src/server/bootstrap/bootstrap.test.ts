import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jwtVerify, importJWK, SignJWT } from 'jose';
import { CodedError } from '../../contract/errors.ts';
import { testServer } from '../context.test-helper.ts';
import { isSuperuser } from '../directory/membership.ts';
import { hashPassword, matchingHash } from '../directory/passwords.ts';
import { findToken } from '../directory/tokens.ts';
import { createUser, setPassword, userByUsername } from '../directory/users.ts';
import { bootstrap } from './first-start.ts';
import { completeSetup, setupTokenValid } from './setup-token.ts';
import { signingKeys } from './signing-keys.ts';

const closed = (error: unknown) => error instanceof CodedError && error.code === 'setup-closed';

describe('first start', () => {
  it('makes the administrator with password, e-mail and token of the settings', async () => {
    const settings = { bootstrap: { password: 'first', token: 'boot-token', email: 'root@x.test' } };
    await using server = await testServer(settings);
    const { ctx } = server;
    assert.equal(server.setupToken, undefined);
    const admin = await userByUsername(ctx.db, 'akadmin');
    assert.ok(admin);
    assert.equal(admin.email, 'root@x.test');
    assert.equal(await isSuperuser(ctx.db, admin.id), true);
    assert.ok(await matchingHash(ctx, admin, 'first'));
    assert.equal((await findToken(ctx.db, 'boot-token', ['api']))?.token.expiring, 0);
  });

  it('is only the first one: later starts change nothing', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const tables = ['user', 'group_', 'flow', 'scope_mapping', 'signing_key', 'outpost', 'token'] as const;
    const state = async () =>
      JSON.stringify(await Promise.all(tables.map((table) => ctx.db.selectFrom(table).selectAll().execute())));
    const before = await state();
    await bootstrap({ ...ctx, settings: { ...ctx.settings, bootstrap: { password: 'x', token: 'x', email: 'x' } } });
    assert.equal(await state(), before);
    const flows = await ctx.db.selectFrom('flow').select('slug').execute();
    assert.equal(flows.length, 6);
  });

  it('makes a signing key that signs', async () => {
    await using server = await testServer();
    const [key, ...others] = await signingKeys(server.ctx);
    assert.ok(key);
    assert.equal(others.length, 0);
    const token = await new SignJWT({}).setProtectedHeader({ alg: 'RS256', kid: key.kid }).sign(key.privateKey);
    await jwtVerify(token, await importJWK(key.publicJwk, 'RS256'));
    assert.deepEqual(Object.keys(key.publicJwk).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
    const row = await server.ctx.db.selectFrom('signing_key').selectAll().executeTakeFirstOrThrow();
    assert.equal(row.private_jwk.includes(String(key.privateJwk.d)), false);
  });
});

describe('set-up link', () => {
  it('works once', async () => {
    await using server = await testServer();
    const { ctx, setupToken } = server;
    assert.ok(setupToken);
    assert.equal(
      JSON.stringify(await ctx.db.selectFrom('installation').selectAll().execute()).includes(setupToken),
      false,
    );
    const hash = await hashPassword('chosen');
    for (const wrong of ['', 'x', setupToken.slice(1)]) {
      assert.equal(await setupTokenValid(ctx.db, wrong), false);
      await assert.rejects(
        ctx.change((tx) => completeSetup(tx, wrong, hash)),
        closed,
      );
    }
    assert.equal(await setupTokenValid(ctx.db, setupToken), true);
    const admin = await ctx.change((tx) => completeSetup(tx, setupToken, hash));
    assert.ok(await matchingHash(ctx, await userByUsername(ctx.db, admin.username), 'chosen'));
    assert.equal(await setupTokenValid(ctx.db, setupToken), false);
    await assert.rejects(
      ctx.change((tx) => completeSetup(tx, setupToken, hash)),
      closed,
    );
    assert.equal(await bootstrap(ctx), undefined, 'no new link at later starts');
  });

  it('ends when an administrator gets a password another way, and is renewed by a restart until then', async () => {
    await using server = await testServer();
    const { ctx, setupToken } = server;
    assert.ok(setupToken);
    const second = await bootstrap(ctx);
    assert.ok(second);
    assert.equal(await setupTokenValid(ctx.db, setupToken), false);
    const hash = await hashPassword('x');
    await ctx.change(async (tx) => setPassword(tx, (await createUser(tx, { username: 'eve' })).id, hash));
    assert.equal(await setupTokenValid(ctx.db, second), true, 'an ordinary person does not close it');
    const admin = await userByUsername(ctx.db, 'akadmin');
    await ctx.change((tx) => setPassword(tx, admin?.id ?? 0, hash));
    assert.equal(await setupTokenValid(ctx.db, second), false);
    await assert.rejects(
      ctx.change((tx) => completeSetup(tx, second, hash)),
      closed,
    );
  });

  it('does not open again when that password is lost', async () => {
    await using server = await testServer();
    const { ctx, setupToken } = server;
    assert.ok(setupToken);
    const admin = await userByUsername(ctx.db, 'akadmin');
    assert.ok(admin);
    const hash = await hashPassword('set over the API');
    await ctx.change((tx) => setPassword(tx, admin.id, hash));
    await ctx.db.updateTable('user').set({ password: '' }).where('id', '=', admin.id).execute();
    assert.equal(await setupTokenValid(ctx.db, setupToken), false);
  });

  it('of two who use it at once only one wins', async () => {
    await using server = await testServer();
    const { ctx, setupToken } = server;
    assert.ok(setupToken);
    const use = () => ctx.change((tx) => completeSetup(tx, setupToken, 'hash'));
    const results = await Promise.allSettled([use(), use(), use()]);
    assert.deepEqual(results.map((result) => result.status).sort(), ['fulfilled', 'rejected', 'rejected']);
  });
});
