import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testServer } from '../context.test-helper.ts';
import { tidy } from '../housekeeping.ts';
import { cleanse } from './cleanse.ts';
import { eventsAfter, readCursor } from './identity-log.ts';

describe('cleanse', () => {
  it('masks what looks secret, at every depth, and bounds the rest', () => {
    const long = 'x'.repeat(5000);
    const deep: Record<string, unknown> = {};
    let at = deep;
    for (let i = 0; i < 50; i++) at = at['d'] = {};
    const cleansed = cleanse({
      model: { pk: '4f4d3c1e-7b8a-4c4d-9f3c-0a1b2c3d4e5f', name: 'n' },
      password: 'p',
      nested: [{ client_secret: 's', api_key: 'k', key: 'k', Authorization: 'b', name: 'kept', monkey: 'kept' }],
      long,
      deep,
      when: new Date(0),
      odd: undefined,
    });
    assert.deepEqual(cleansed['model'], { pk: '4f4d3c1e7b8a4c4d9f3c0a1b2c3d4e5f', name: 'n' });
    const mask = '*'.repeat(20);
    assert.equal(cleansed['password'], mask);
    const nested = { client_secret: mask, api_key: mask, key: mask, Authorization: mask, name: 'kept', monkey: 'kept' };
    assert.deepEqual(cleansed['nested'], [nested]);
    assert.equal(String(cleansed['long']).length, 4001);
    assert.ok(JSON.stringify(cleansed['deep']).length < 200);
    assert.deepEqual([cleansed['when'], cleansed['odd']], ['1970-01-01T00:00:00.000Z', null]);
  });
});

describe('audit log', () => {
  it('names who acted and is kept a year', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const actor = { user: { pk: 1, username: 'eve', email: 'e@x.test' }, clientIp: '192.0.2.1' };
    await ctx.change((tx) => tx.audit('login', { context: { auth_method: 'password' } }), actor);
    const row = await ctx.db.selectFrom('event').selectAll().where('action', '=', 'login').executeTakeFirstOrThrow();
    assert.deepEqual(JSON.parse(row.user_json), actor.user);
    assert.deepEqual([JSON.parse(row.context), row.client_ip], [{ auth_method: 'password' }, '192.0.2.1']);
    assert.equal(row.expires - row.created, 365 * 86_400_000);
    await ctx.db.updateTable('event').set({ expires: 1 }).where('uuid', '=', row.uuid).execute();
    await tidy(ctx);
    assert.equal(
      await ctx.db.selectFrom('event').select('uuid').where('action', '=', 'login').executeTakeFirst(),
      undefined,
    );
  });
});

describe('identity log', () => {
  it('numbers events, keeps its position when old ones are forgotten, and never gives a number twice', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const append = (sid: string) => ctx.change((tx) => tx.identity({ kind: 'session-ended', sid }));
    const start = await readCursor(ctx.db);
    await append('a');
    await append('b');
    const events = await eventsAfter(ctx.db, start.n, Date.now());
    assert.deepEqual(
      events.map((event) => [event.kind, event.n - start.n]),
      [
        ['session-ended', 1],
        ['session-ended', 2],
      ],
    );
    for (const event of events) assert.ok(event.until >= Date.now() + 3_600_000, 'outlives the default session');
    await ctx.db.updateTable('identity_event').set({ until: 1 }).execute();
    await tidy(ctx);
    assert.deepEqual(await readCursor(ctx.db), { epoch: start.epoch, n: start.n + 2 });
    assert.equal((await ctx.db.selectFrom('identity_event').select('n').execute()).length, 1);
    await append('c');
    assert.equal((await readCursor(ctx.db)).n, start.n + 3);
  });

  it('a change that fails leaves no event behind', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const before = await readCursor(ctx.db);
    const failing = ctx.change(async (tx) => {
      await tx.identity({ kind: 'everybody', effect: 'deny' });
      throw new Error('no');
    });
    await assert.rejects(failing, /no/);
    assert.deepEqual(await readCursor(ctx.db), before);
  });
});

describe('ctx.change', () => {
  it('refuses what would wait for itself', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const beside = ctx.change(() => ctx.db.selectFrom('user').selectAll().execute());
    await assert.rejects(beside, TypeError);
    const inside = ctx.change(() => ctx.change(async () => 1));
    await assert.rejects(inside, TypeError);
    assert.equal(await ctx.change(async () => 2), 2, 'and goes on');
  });
});
