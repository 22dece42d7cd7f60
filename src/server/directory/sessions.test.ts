import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testServer } from '../context.test-helper.ts';
import { eventsAfter, readCursor } from '../events/identity-log.ts';
import { createUser } from './users.ts';

describe('the login at one application', () => {
  it('ends at the server and its outposts together, and the session goes on', async () => {
    await using server = await testServer();
    const { ctx } = server;
    const { provider } = await server.protect('wiki');
    const eve = await ctx.change((tx) => createUser(tx, { username: 'eve' }));
    const auth = { auth_method: 'password', amr: ['pwd'] };
    const { key, session } = await ctx.change((tx) =>
      ctx.sessions.create(tx, { userId: eve.id, ip: '192.0.2.1', userAgent: 'x', auth }),
    );
    const { n } = await readCursor(ctx.db);
    const told = async () => (await eventsAfter(ctx.db, n, 0)).map(({ n: _n, until: _until, ...event }) => event);

    await assert.rejects(
      ctx.change(async (tx) => {
        await ctx.sessions.forgetApplication(tx, session.sid, provider.client_id);
        throw new Error('undone');
      }),
      /undone/,
    );
    await ctx.change((tx) => ctx.sessions.forgetApplication(tx, 'no such session', provider.client_id));
    await ctx.change((tx) => ctx.sessions.forgetApplication(tx, session.sid, 'no such client'));
    assert.deepEqual(await told(), []);

    await ctx.change((tx) => ctx.sessions.forgetApplication(tx, session.sid, provider.client_id));
    assert.deepEqual(await told(), [{ kind: 'application-ended', sid: session.sid, provider: provider.id }]);
    assert.ok(await ctx.sessions.findByKey(key));
  });
});
