import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { addClient, addUser, payloadOf, RelyingParty, startServer, Visitor } from './oidc.test-helper.ts';
import type { TestClient, TestServer } from './oidc.test-helper.ts';

describe('a sign-in with a code', () => {
  let server: TestServer;
  let wiki: TestClient;
  let rp: RelyingParty;

  before(async () => {
    server = await startServer();
    await addUser(server.ctx, 'alice', { name: 'Alice A', email: 'alice@example.test' });
    wiki = await addClient(server.ctx, 'wiki');
    rp = await RelyingParty.discover(server.base, wiki);
  });
  after(() => server.close());

  it('goes over the login page and back to the same request, and ends in verified tokens', async () => {
    const visitor = new Visitor(server.base);
    const attempt = await rp.attempt();
    const first = await visitor.ask(attempt.path);
    assert.equal(first.status, 302);
    const login = first.headers.get('location') ?? '';
    assert.match(login, /^\/if\/flow\/default-authentication-flow\/\?next=%2Fapplication%2Fo%2Fauthorize%2F/);
    assert.match(await (await visitor.ask(login)).text(), /Sign in to continue to wiki/);
    const signedIn = await visitor.submit(login, { username: 'ALICE', password: 'correct horse battery staple' });
    assert.equal(signedIn.status, 303);
    const answer = await visitor.ask(signedIn.headers.get('location') ?? '');
    assert.equal(answer.status, 302, await answer.text());
    assert.deepEqual(answer.headers.getSetCookie(), []);
    const location = answer.headers.get('location') ?? '';
    assert.equal(new URL(location).searchParams.get('X-authentik-auth-callback'), 'true');

    const { tokens, idClaims } = await rp.redeem(location, attempt);
    const session = await server.ctx.db.selectFrom('session').selectAll().executeTakeFirstOrThrow();
    const user = await server.ctx.db
      .selectFrom('user')
      .selectAll()
      .where('username', '=', 'alice')
      .executeTakeFirstOrThrow();
    assert.equal(idClaims?.sub, user.uid);
    const access = payloadOf(tokens.access_token);
    const { uid, iat, exp, at_hash: _, ...rest } = { at_hash: '', ...access } as Record<string, unknown>;
    assert.match(String(uid), /^[0-9a-f]{40}$/);
    assert.equal(Number(exp) - Number(iat), 3600);
    assert.deepEqual(rest, {
      iss: `${server.base}/application/o/wiki/`,
      sub: user.uid,
      aud: wiki.provider.client_id,
      azp: wiki.provider.client_id,
      auth_time: Math.floor(session.created / 1000),
      acr: 'goauthentik.io/providers/oauth2/default',
      amr: ['pwd'],
      nonce: attempt.nonce,
      sid: session.sid,
      scope: 'ak_proxy email entitlements openid profile',
      email: 'alice@example.test',
      email_verified: false,
      name: 'Alice A',
      given_name: 'Alice A',
      preferred_username: 'alice',
      nickname: 'alice',
      groups: [],
      entitlements: [],
      roles: [],
      ak_proxy: { user_attributes: {}, is_superuser: false },
    });
    assert.equal(tokens.expires_in, 3600);
    assert.equal(tokens.refresh_token, undefined);
    assert.equal('gatehouse' in tokens, false);
    const events = await server.ctx.db.selectFrom('event').select('action').execute();
    assert.ok(events.some((e) => e.action === 'authorize_application') && events.some((e) => e.action === 'login'));
  });

  it('is silent while the session lives, and asks for all scopes when none are named', async () => {
    const visitor = new Visitor(server.base);
    await visitor.signIn('alice');
    const attempt = await rp.attempt({ scope: '' });
    const answer = await visitor.ask(attempt.path);
    const { tokens } = await rp.redeem(answer.headers.get('location') ?? '', attempt);
    assert.equal(tokens.scope, 'ak_proxy email entitlements openid profile');
    const some = await rp.attempt({ scope: 'openid email unknown' });
    const other = await rp.redeem((await visitor.ask(some.path)).headers.get('location') ?? '', some);
    assert.equal(other.tokens.scope, 'email openid');
  });

  it('gives our own outposts the header entries beside the token, and no attributes in it', async () => {
    const { ctx } = server;
    const attributes = JSON.stringify({ additionalHeaders: { 'X-Team': 'blue' }, secret: 'tell nobody' });
    await ctx.db.updateTable('user').set({ attributes }).where('username', '=', 'alice').execute();
    const visitor = new Visitor(server.base);
    await visitor.signIn('alice');
    const ours = await rp.attempt();
    const location = (await visitor.ask(ours.path)).headers.get('location') ?? '';
    const { tokens } = await rp.redeem(location, ours, { 'X-Gatehouse-Extension': '1' });
    assert.deepEqual((payloadOf(tokens.access_token)['ak_proxy'] as Record<string, unknown>)['user_attributes'], {});
    const extension = tokens['gatehouse'] as { cursor: { epoch: string; n: number }; headers: unknown };
    assert.deepEqual(extension.headers, [['X-Team', 'blue']]);
    assert.equal(typeof extension.cursor.n, 'number');
    const theirs = await rp.attempt();
    const plain = await rp.redeem((await visitor.ask(theirs.path)).headers.get('location') ?? '', theirs);
    assert.deepEqual((payloadOf(plain.tokens.access_token)['ak_proxy'] as Record<string, unknown>)['user_attributes'], {
      additionalHeaders: { 'X-Team': 'blue' },
    });
    assert.ok(!JSON.stringify(payloadOf(plain.tokens.access_token)).includes('tell nobody'));
  });

  it('keeps two people apart, a hundred times side by side', async () => {
    await addUser(server.ctx, 'bob', { email: 'bob@example.test' });
    const people = await Promise.all(
      ['alice', 'bob'].map(async (name) => {
        const visitor = new Visitor(server.base);
        await visitor.signIn(name);
        return { name, visitor };
      }),
    );
    for (let round = 0; round < 5; round++) {
      const names = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const person = people[i % 2];
          assert.ok(person !== undefined);
          const attempt = await rp.attempt();
          const answer = await person.visitor.ask(attempt.path);
          const { tokens } = await rp.redeem(answer.headers.get('location') ?? '', attempt);
          return [person.name, payloadOf(tokens.access_token)['preferred_username']];
        }),
      );
      for (const [expected, got] of names) assert.equal(got, expected);
    }
  });

  it('works below a web path', async () => {
    const below = await startServer({ webPath: '/auth/' });
    try {
      await addUser(below.ctx, 'carol');
      const client = await addClient(below.ctx, 'wiki');
      const party = await RelyingParty.discover(`${below.base}/auth`, client);
      const visitor = new Visitor(below.base);
      const attempt = await party.attempt();
      const login = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
      assert.match(login, /^\/auth\/if\/flow\//);
      const back = await visitor.submit(login, { username: 'carol', password: 'correct horse battery staple' });
      const answer = await visitor.ask(back.headers.get('location') ?? '');
      const { tokens } = await party.redeem(answer.headers.get('location') ?? '', attempt);
      assert.equal(payloadOf(tokens.access_token)['iss'], `${below.base}/auth/application/o/wiki/`);
    } finally {
      await below.close();
    }
  });
});
