import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidInput } from '../contract/errors.ts';
import { openBaseAddress } from './base-address.ts';
import { testSettings } from '../settings/settings.test-helper.ts';
import { testServer } from './context.test-helper.ts';
import { defaultConfig } from './outposts/config.ts';
import { embeddedOutpost, ensureEmbeddedOutpost } from './outposts/embedded.ts';
import { updateOutpost } from './outposts/outposts.ts';

describe('the base address', () => {
  it('is localhost, then a learnt one that is better, then the configured one, without a restart', async () => {
    await using server = await testServer({ webPath: '/auth/' });
    const { ctx } = server;
    const base = ctx.baseAddress;
    assert.equal(base.current(), 'http://localhost:9000/auth');
    const learn = async (scheme: 'http' | 'https', host: string) => {
      await base.learn(ctx, scheme, host);
      return base.current();
    };
    assert.equal(await learn('http', 'gatehouse.localhost:9000'), 'http://gatehouse.localhost:9000/auth');
    assert.equal(await learn('http', '127.0.0.1:9000'), 'http://gatehouse.localhost:9000/auth');
    assert.equal(await learn('http', '192.0.2.7:9000'), 'http://192.0.2.7:9000/auth');
    assert.equal(await learn('http', 'localhost:9000'), 'http://192.0.2.7:9000/auth');
    assert.equal(await learn('https', 'auth.example.test'), 'https://auth.example.test/auth');
    for (const host of ['evil.test', '[::1]:9000', '198.51.100.1', 'a b', 'x/y', 'u@h', '']) {
      assert.equal(await learn('https', host), 'https://auth.example.test/auth', host);
    }
    const again = await openBaseAddress(ctx.db, ctx.settings, 9000);
    assert.equal(again.current(), 'https://auth.example.test/auth', 'survives a restart');
    const outpost = await embeddedOutpost(ctx.db);
    assert.ok(outpost);
    const config = defaultConfig('https://sso.example.test/auth/', 'info');
    await ctx.change((tx) => updateOutpost(tx, outpost.uuid, { config }));
    assert.equal(base.current(), 'https://sso.example.test/auth');
    assert.deepEqual(base.allowed(), [
      'https://sso.example.test/auth',
      'https://auth.example.test/auth',
      'http://localhost:9000/auth',
    ]);
    assert.equal((await openBaseAddress(ctx.db, ctx.settings, 9000)).current(), 'https://sso.example.test/auth');
  });

  it('keeps the path of the server, with which authentik_host may be written or without', async () => {
    await using server = await testServer({ webPath: '/auth/' });
    const { ctx } = server;
    const outpost = await embeddedOutpost(ctx.db);
    assert.ok(outpost);
    const configure = (host: string) =>
      ctx.change((tx) => updateOutpost(tx, outpost.uuid, { config: defaultConfig(host, 'info') }));
    for (const host of ['https://a.test', 'https://b.test/', 'https://c.test/auth', 'https://d.test/auth/']) {
      await configure(host);
      assert.equal(ctx.baseAddress.current(), `${new URL(host).origin}/auth`);
    }
    for (const host of ['https://e.test/other', 'https://e.test/auth/more', 'https://e.test/AUTH/']) {
      await assert.rejects(configure(host), (error) => {
        assert.ok(error instanceof InvalidInput);
        assert.match(String(error.fields['config']), /below \/auth\//);
        return true;
      });
    }
    assert.equal(ctx.baseAddress.current(), 'https://d.test/auth');
  });

  it('is never the host of a proxied application', async () => {
    await using server = await testServer();
    const { ctx } = server;
    await server.protect('wiki', { mode: 'proxy', internal_host: 'http://backend' });
    await ctx.baseAddress.learn(ctx, 'https', 'wiki.example.test');
    assert.equal(ctx.baseAddress.current(), 'http://localhost:9000');
    const outpost = await embeddedOutpost(ctx.db);
    assert.ok(outpost);
    const config = defaultConfig('https://WIKI.example.test', 'info');
    await assert.rejects(
      ctx.change((tx) => updateOutpost(tx, outpost.uuid, { config })),
      InvalidInput,
    );
  });

  it('a failed change leaves it alone', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const outpost = await embeddedOutpost(ctx.db);
    assert.ok(outpost);
    const failing = ctx.change(async (tx) => {
      await updateOutpost(tx, outpost.uuid, { config: defaultConfig('https://a.test', 'info') });
      throw new Error('late');
    });
    await assert.rejects(failing, /late/);
    assert.equal(ctx.baseAddress.current(), 'http://localhost:9000');
  });

  it('stays when the embedded outpost is switched off', async () => {
    await using server = await testServer();
    const { ctx } = server;
    await ctx.change((tx) => ensureEmbeddedOutpost(tx, testSettings(server.folder, { disableEmbeddedOutpost: true })));
    assert.equal(await embeddedOutpost(ctx.db), undefined);
    assert.equal((await openBaseAddress(ctx.db, ctx.settings, 9000)).current(), 'http://localhost:9000');
  });
});
