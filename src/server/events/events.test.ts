import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { testSettings } from '../../settings/settings.test-helper.ts';
import { openContext } from '../context.ts';
import { EMBEDDED_TOKEN, testServer } from '../context.test-helper.ts';
import { tidy } from '../housekeeping.ts';
import { cleanse } from './cleanse.ts';
import { openDatabase } from '../storage/database.ts';
import { beginEpoch, eventsAfter, eventsSince, readCursor } from './identity-log.ts';

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

describe('identity log over starts of the server', () => {
  const log = pino({ level: 'silent' });
  const start = (folder: string) =>
    openContext({ settings: testSettings(folder), log, embeddedToken: EMBEDDED_TOKEN, httpPort: 9000 });
  const end = (ctx: Awaited<ReturnType<typeof start>>, sid: string) =>
    ctx.change((tx) => tx.identity({ kind: 'session-ended', sid }));
  const sids = (batch: Awaited<ReturnType<typeof eventsSince>>) =>
    batch.events.map((event) => (event.kind === 'session-ended' ? event.sid : event.kind));

  it('goes on from what was told before, and takes nothing told by a database that is not there any more for known', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-log-'));
    const backup = await mkdtemp(join(tmpdir(), 'gatehouse-log-'));
    try {
      const first = await start(folder);
      await end(first, 'a');
      const told = await readCursor(first.db);
      await end(first, 'b');
      await first.close();
      await cp(folder, backup, { recursive: true });

      const second = await start(folder);
      const rest = await eventsSince(second.db, told, Date.now());
      assert.notEqual(rest.epoch, told.epoch);
      assert.deepEqual([rest.snapshot, rest.n, sids(rest)], [false, told.n + 1, ['b']]);
      assert.deepEqual(rest.former, [{ epoch: told.epoch, n: told.n + 1 }]);
      await end(second, 'lost');
      await end(second, 'lost too');
      const lost = await readCursor(second.db);
      await second.close();

      const restored = await start(backup);
      for (let i = 0; i < 5; i++) await end(restored, `new ${i}`);
      const since = (epoch: string, n: number) => eventsSince(restored.db, { epoch, n }, Date.now());
      const whole = await since(lost.epoch, lost.n);
      assert.equal(whole.snapshot, true, 'although its number is one of ours again by now');
      assert.equal(whole.events.length, 7);
      assert.equal((await since(told.epoch, told.n + 1)).snapshot, false);
      assert.equal((await since(told.epoch, told.n + 2)).snapshot, true);
      await restored.close();
    } finally {
      for (const one of [folder, backup]) await rm(one, { recursive: true, force: true });
    }
  });

  it('remembers a bounded number of starts', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-log-'));
    try {
      const ctx = await start(folder);
      const { epoch } = await readCursor(ctx.db);
      await ctx.close();
      const raw = await openDatabase(folder);
      for (let i = 0; i < 70; i++) await beginEpoch(raw);
      const { former, snapshot } = await eventsSince(raw, { epoch, n: 0 }, Date.now());
      await raw.destroy();
      assert.deepEqual([former?.length, snapshot], [64, true]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
