import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { InvalidInput } from '../../contract/errors.ts';
import { createBinding } from '../access/bindings.ts';
import type { ServerContext } from '../context.ts';
import { testServer } from '../context.test-helper.ts';
import { eventsAfter } from '../events/identity-log.ts';
import { tidy } from '../housekeeping.ts';
import { deepMerge, mergedAttributes } from './attributes.ts';
import { addMember, createGroup, deleteGroup, removeMember, updateGroup } from './groups.ts';
import { allGroups, directGroups, isSuperuser } from './membership.ts';
import { hashPassword, matchingHash } from './passwords.ts';
import { SESSION_ABSOLUTE_MS, SESSION_IDLE_MS } from './sessions.ts';
import { createToken, findToken, setTokenKey, tokenByIdentifier, updateToken, viewTokenKey } from './tokens.ts';
import type { TokenInput } from './tokens.ts';
import { createUser, deleteUser, setPassword, updateUser, userById, userByUsername } from './users.ts';

const fields =
  (...names: string[]) =>
  (error: unknown) =>
    error instanceof InvalidInput && assert.deepEqual(Object.keys(error.fields).sort(), names.sort()) === undefined;

/** What outposts are told by this work. */
async function told(ctx: ServerContext, work: () => Promise<unknown>): Promise<unknown[]> {
  const before = (await eventsAfter(ctx.db, 0, 0)).at(-1)?.n ?? 0;
  await work();
  return (await eventsAfter(ctx.db, before, 0)).map(({ n: _n, until: _until, ...event }) => event);
}

const signIn = (ctx: ServerContext, userId: number) =>
  ctx.change((tx) =>
    ctx.sessions.create(tx, {
      userId,
      ip: '192.0.2.1',
      userAgent: 'x',
      auth: { auth_method: 'password', amr: ['pwd'] },
    }),
  );

describe('users', () => {
  it('have a public identifier made of id and installation, and one account per spelling', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'Eve' }));
    assert.equal(eve.uid, createHash('sha256').update(`${eve.id}-${ctx.installation.id}`).digest('hex'));
    assert.equal((await userByUsername(ctx.db, 'EVE'))?.id, eve.id);
    await assert.rejects(
      ctx.change((tx) => createUser(tx, { username: 'eVE' })),
      fields('username'),
    );
  });

  it('report every problem at once and change nothing', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const input = {
      username: ' x',
      path: '/a/',
      groups: ['no-such-group'],
      attributes: { additionalHeaders: { Host: 'x', 'X-A': 'a\r\nb', 'X-Authentik-Username': 'y' } },
    };
    const rejected = (error: unknown) => {
      fields('username', 'path', 'groups', 'attributes')(error);
      return error instanceof InvalidInput && error.fields['attributes']?.length === 3;
    };
    await assert.rejects(
      ctx.change((tx) => createUser(tx, input)),
      rejected,
    );
    assert.equal(await userByUsername(ctx.db, ' x'), undefined);
  });

  it('have no control characters in what applications are told, as they would vanish on the way', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve', name: 'Eve', email: 'eve@example.test' }));
    for (const input of [
      { username: 'ad\u0001min' },
      { name: 'The\u0000 boss' },
      { email: 'al\u0001ice@example.test' },
    ]) {
      const named = fields(...Object.keys(input));
      await assert.rejects(
        ctx.change((tx) => updateUser(tx, eve.id, input)),
        named,
      );
      await assert.rejects(
        ctx.change((tx) => createUser(tx, { username: 'mallory', ...input })),
        named,
      );
    }
  });

  it('deactivated: sessions, tokens and artefacts are over, outposts are told', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve' }));
    const { key, session } = await signIn(ctx, eve.id);
    const { key: token } = await ctx.change((tx) => createToken(tx, { identifier: 't', intent: 'api', user: eve.id }));
    await ctx.db
      .insertInto('oidc_artefact')
      .values({
        model: 'RefreshToken',
        id: 'r',
        payload: '',
        grant_id: null,
        session_sid: null,
        client_id: 'c',
        user_id: eve.id,
        consumed: null,
        expires: null,
      })
      .execute();
    assert.equal((await ctx.sessions.findByKey(key))?.user.id, eve.id);
    const events = await told(ctx, () => ctx.change((tx) => updateUser(tx, eve.id, { is_active: false })));
    assert.deepEqual(events, [
      { kind: 'session-ended', sid: session.sid },
      { kind: 'user-changed', uid: eve.uid, effect: 'deny' },
    ]);
    assert.equal(await ctx.sessions.findByKey(key), undefined);
    assert.equal(await findToken(ctx.db, token, ['api']), undefined);
    assert.equal((await ctx.db.selectFrom('oidc_artefact').select('id').execute()).length, 0);
  });

  it('deleted: gone with what was theirs, and a rule that would open an application keeps them', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const { application } = await server.protect('wiki');
    const [eve, bob] = await ctx.change(async (tx) => [
      await createUser(tx, { username: 'eve' }),
      await createUser(tx, { username: 'bob' }),
    ]);
    assert.ok(eve && bob);
    await ctx.change((tx) => createBinding(tx, { target: application.uuid, user: bob.id, order: 0 }));
    await assert.rejects(
      ctx.change((tx) => deleteUser(tx, bob.id)),
      fields('non_field_errors'),
    );
    assert.ok(await userById(ctx.db, bob.id));
    await ctx.change((tx) => createBinding(tx, { target: application.uuid, user: eve.id, order: 1 }));
    await ctx.change((tx) => deleteUser(tx, bob.id));
    assert.equal(await userById(ctx.db, bob.id), undefined);
  });
});

describe('groups', () => {
  it('nest with many parents, never in a circle, and make superusers through ancestors', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const made = await ctx.change(async (tx) => {
      const top = await createGroup(tx, { name: 'top', is_superuser: true });
      const other = await createGroup(tx, { name: 'other' });
      const middle = await createGroup(tx, { name: 'middle', parents: [top.uuid, other.uuid] });
      const low = await createGroup(tx, { name: 'low', parents: [middle.uuid] });
      const eve = await createUser(tx, { username: 'eve', groups: [low.uuid] });
      return { top, low, eve };
    });
    const names = async () => (await allGroups(ctx.db, made.eve.id)).map((group) => group.name);
    assert.deepEqual(await names(), ['low', 'middle', 'other', 'top']);
    assert.deepEqual(
      (await directGroups(ctx.db, made.eve.id)).map((g) => g.name),
      ['low'],
    );
    assert.equal(await isSuperuser(ctx.db, made.eve.id), true);
    for (const parent of [made.low.uuid, made.top.uuid]) {
      const circle = ctx.change((tx) => updateGroup(tx, made.top.uuid, { parents: [parent] }));
      await assert.rejects(circle, fields('parents'));
    }
    await ctx.change((tx) => deleteGroup(tx, made.top.uuid));
    assert.deepEqual(await names(), ['low', 'middle', 'other']);
  });

  it('have names that stay the same in a header', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const group = await ctx.change((tx) => createGroup(tx, { name: 'staff' }));
    for (const name of ['ad\u0001mins', 'admins\n', ' admins', 'admins\t', '\u007fadmins', ' ']) {
      await assert.rejects(
        ctx.change((tx) => createGroup(tx, { name })),
        fields('name'),
      );
      await assert.rejects(
        ctx.change((tx) => updateGroup(tx, group.uuid, { name })),
        fields('name'),
      );
    }
  });

  it('tell outposts of everybody below, of who joins and of who leaves', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const { top, eve, bob } = await ctx.change(async (tx) => {
      const top = await createGroup(tx, { name: 'top' });
      const low = await createGroup(tx, { name: 'low', parents: [top.uuid] });
      const eve = await createUser(tx, { username: 'eve', groups: [low.uuid] });
      return { top, eve, bob: await createUser(tx, { username: 'bob' }) };
    });
    const changed = (uid: string) => ({ kind: 'user-changed', uid, effect: 'refresh' });
    const attributes = { a: 1 };
    assert.deepEqual(await told(ctx, () => ctx.change((tx) => updateGroup(tx, top.uuid, { attributes }))), [
      changed(eve.uid),
    ]);
    assert.deepEqual(await told(ctx, () => ctx.change((tx) => addMember(tx, top.uuid, bob.id))), [changed(bob.uid)]);
    assert.deepEqual(await told(ctx, () => ctx.change((tx) => updateGroup(tx, top.uuid, { users: [] }))), [
      changed(bob.uid),
      changed(eve.uid),
    ]);
    assert.deepEqual(await told(ctx, () => ctx.change((tx) => removeMember(tx, top.uuid, bob.id))), [changed(bob.uid)]);
  });

  it('with many members make one event for everybody', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const group = await ctx.change(async (tx) => {
      const group = await createGroup(tx, { name: 'crowd' });
      for (let i = 0; i <= 500; i++) await createUser(tx, { username: `u${i}`, groups: [group.uuid] });
      return group;
    });
    const events = await told(ctx, () => ctx.change((tx) => updateGroup(tx, group.uuid, { name: 'crowds' })));
    assert.deepEqual(events, [{ kind: 'everybody', effect: 'refresh' }]);
  });
});

describe('attributes', () => {
  it('merge objects, join lists, let later values win, and keep odd keys harmless', () => {
    const base = { a: { x: 1, l: [1] }, s: 'old', t: [1] };
    const merged = deepMerge(base, JSON.parse('{"a":{"y":2,"l":[2]},"s":"new","t":{"k":1},"__proto__":{"evil":1}}'));
    assert.deepEqual(Object.entries(merged), [
      ['a', { x: 1, l: [1, 2], y: 2 }],
      ['s', 'new'],
      ['t', { k: 1 }],
      ['__proto__', { evil: 1 }],
    ]);
    assert.equal(({} as { evil?: unknown }).evil, undefined);
    assert.deepEqual(base.a, { x: 1, l: [1] });
  });

  it('of a person: groups by name whatever the hierarchy, then their own', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change(async (tx) => {
      const parent = await createGroup(tx, { name: 'zz-parent', attributes: { k: 'parent', l: ['p'] } });
      const child = await createGroup(tx, {
        name: 'aa-child',
        attributes: { k: 'child', l: ['c'], own: 1 },
        parents: [parent.uuid],
      });
      return createUser(tx, { username: 'eve', groups: [child.uuid], attributes: { l: ['u'], own: 2 } });
    });
    assert.deepEqual(await mergedAttributes(ctx.db, eve), { k: 'parent', l: ['c', 'p', 'u'], own: 2 });
  });

  it('of a person: of headers the later source counts, whatever the spelling', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change(async (tx) => {
      const a = await createGroup(tx, {
        name: 'a',
        attributes: { additionalHeaders: { 'X-Team': 'a', 'X-Key': 'a' } },
      });
      const b = await createGroup(tx, { name: 'b', attributes: { additionalHeaders: { 'x-team': 'b' } } });
      const attributes = { additionalHeaders: { 'X-Team': 'own' } };
      return createUser(tx, { username: 'eve', groups: [a.uuid, b.uuid], attributes });
    });
    assert.deepEqual(await mergedAttributes(ctx.db, eve), { additionalHeaders: { 'X-Key': 'a', 'X-Team': 'own' } });
  });
});

describe('passwords', () => {
  it('match only the right one of an active person', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const hash = await hashPassword('Gr\u00fc\u00df dich');
    assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    const eve = await ctx.change(async (tx) => {
      const user = await createUser(tx, { username: 'eve' });
      await setPassword(tx, user.id, hash);
      return { ...user, password: hash };
    });
    assert.ok(await matchingHash(ctx, eve, 'Gru\u0308\u00df dich'), 'composed or not is one password');
    assert.equal(await matchingHash(ctx, eve, 'gr\u00fc\u00df dich'), undefined);
    assert.equal(await matchingHash(ctx, eve, ''), undefined);
    assert.equal(await matchingHash(ctx, undefined, 'x'), undefined);
    assert.equal(await matchingHash(ctx, { ...eve, password: '' }, ''), undefined);
    assert.equal(await matchingHash(ctx, { ...eve, is_active: 0 }, 'Gr\u00fc\u00df dich'), undefined);
  });

  it('are hashed anew when the parameters changed', async () => {
    await using server = await testServer();
    const { ctx } = server;
    // made with m=1024,t=2 by hashPassword's own algorithm
    const { argon2Sync } = await import('node:crypto');
    const salt = Buffer.alloc(16, 7);
    const tag = argon2Sync('argon2id', {
      message: 'pw',
      nonce: salt,
      memory: 1024,
      passes: 2,
      parallelism: 1,
      tagLength: 32,
    });
    const b64 = (b: Buffer) => b.toString('base64').replaceAll('=', '');
    const old = `$argon2id$v=19$m=1024,t=2,p=1$${b64(salt)}$${b64(tag)}`;
    const eve = await ctx.change(async (tx) => {
      const user = await createUser(tx, { username: 'eve' });
      await setPassword(tx, user.id, old);
      return user;
    });
    assert.ok(await matchingHash(ctx, { ...eve, password: old }, 'pw'));
    const now = await userById(ctx.db, eve.id);
    assert.match(now?.password ?? '', /m=19456,t=2/);
    assert.ok(now && (await matchingHash(ctx, now, 'pw')));
  });

  it('changed: other sessions end, the own one stays', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve' }));
    const [a, b] = [await signIn(ctx, eve.id), await signIn(ctx, eve.id)];
    const events = await told(ctx, () =>
      ctx.change((tx) => setPassword(tx, eve.id, 'hash', { keepSid: a.session.sid })),
    );
    assert.deepEqual(events, [{ kind: 'session-ended', sid: b.session.sid }]);
    assert.ok(await ctx.sessions.findByKey(a.key));
    assert.equal(await ctx.sessions.findByKey(b.key), undefined);
  });
});

describe('sessions', () => {
  it('are known by the hash of their key, and over at their limits', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve' }));
    const { key, session } = await signIn(ctx, eve.id);
    assert.equal(session.sid, createHash('sha256').update(key).digest('hex'));
    assert.equal(JSON.stringify(await ctx.db.selectFrom('session').selectAll().execute()).includes(key), false);
    assert.equal(session.expires - session.created, SESSION_ABSOLUTE_MS);
    const set = (change: Record<string, number>) =>
      ctx.db.updateTable('session').set(change).where('sid', '=', session.sid).execute();
    await set({ last_used: Date.now() - SESSION_IDLE_MS });
    assert.equal(await ctx.sessions.findByKey(key), undefined, 'idle');
    await set({ last_used: Date.now(), expires: Date.now() });
    assert.equal(await ctx.sessions.findByKey(key), undefined, 'absolute');
    const events = await told(ctx, () => ctx.change((tx) => ctx.sessions.prune(tx)));
    assert.deepEqual(events, [{ kind: 'session-ended', sid: session.sid }]);
  });

  it('note their use at most once a minute', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve' }));
    const { session } = await signIn(ctx, eve.id);
    await ctx.sessions.touch(session, '192.0.2.9', 'y');
    assert.equal((await ctx.sessions.findBySid(session.sid))?.session.last_ip, '192.0.2.1');
    await ctx.sessions.touch({ ...session, last_used: Date.now() - 61_000 }, '192.0.2.9', 'y');
    assert.equal((await ctx.sessions.findBySid(session.sid))?.session.last_ip, '192.0.2.9');
  });
});

describe('tokens', () => {
  it('are found by key while valid, and are stored sealed', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve' }));
    const { key } = await ctx.change((tx) =>
      createToken(tx, { identifier: 't', intent: 'app_password', user: eve.id }),
    );
    assert.match(key, /^[A-Za-z0-9]{60}$/);
    assert.equal((await findToken(ctx.db, key, ['app_password']))?.user.id, eve.id);
    assert.equal(await findToken(ctx.db, key, ['api']), undefined, 'another intent');
    assert.equal(JSON.stringify(await ctx.db.selectFrom('token').selectAll().execute()).includes(key), false);
    assert.equal(await ctx.change((tx) => viewTokenKey(tx, 't')), key);
    assert.ok(await ctx.db.selectFrom('event').select('uuid').where('action', '=', 'secret_view').executeTakeFirst());
    await ctx.change((tx) => setTokenKey(tx, 't', 'chosen'));
    assert.equal(await findToken(ctx.db, key, ['app_password']), undefined);
    assert.ok(await findToken(ctx.db, 'chosen', ['app_password']));
    await ctx.change((tx) => updateToken(tx, 't', { expires: Date.now() - 1 }));
    assert.equal(await findToken(ctx.db, 'chosen', ['app_password']), undefined, 'expired');
    await assert.rejects(
      ctx.change((tx) => createToken(tx, { identifier: 't', intent: 'api', user: 9999, key: 'chosen' })),
      fields('identifier', 'user', 'key'),
    );
  });

  it('that expired go away; those for the API get another key, except those of outposts', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve' }));
    const make = async (identifier: string, rest: Partial<TokenInput>) => {
      const input = { identifier, intent: 'api', user: eve.id, expires: Date.now() - 1, ...rest } as const;
      return (await ctx.change((tx) => createToken(tx, input))).key;
    };
    const old = await make('over', {});
    await make('password', { intent: 'app_password' });
    const kept = [
      await make('in-time', { expires: Date.now() + 60_000 }),
      await make('lasting', { expiring: false }),
      await make('outpost', { managed: 'goauthentik.io/outpost/ak-outpost-x-api' }),
    ];
    const before = Date.now();
    await tidy(ctx);
    await tidy(ctx); // what was rotated is in time again

    assert.equal(await findToken(ctx.db, old, ['api']), undefined);
    const fresh = await ctx.change((tx) => viewTokenKey(tx, 'over'));
    assert.notEqual(fresh, old);
    const { token } = (await findToken(ctx.db, fresh, ['api'])) ?? {};
    assert.ok((token?.expires ?? 0) >= before + 86_400_000 && (token?.expires ?? 0) <= Date.now() + 86_400_000);
    assert.equal(await tokenByIdentifier(ctx.db, 'password'), undefined);
    const shown = ['in-time', 'lasting', 'outpost'].map((name) => ctx.change((tx) => viewTokenKey(tx, name)));
    assert.deepEqual(await Promise.all(shown), kept);

    const told = await ctx.db.selectFrom('event').selectAll().where('action', '=', 'secret_rotate').execute();
    assert.deepEqual(
      told.map((event) => (JSON.parse(event.context) as { model: { name: string } }).model.name),
      ['over'],
    );
    assert.ok(!JSON.stringify(told).includes(fresh) && !JSON.stringify(told).includes(old));
  });
});
