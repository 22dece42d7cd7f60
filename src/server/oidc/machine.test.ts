import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { EXTENSION_HEADER } from '../../contract/extension.ts';
import { createGroup } from '../directory/groups.ts';
import { createToken, deleteToken, setTokenKey, updateToken } from '../directory/tokens.ts';
import type { TokenIntent } from '../directory/tokens.ts';
import { deleteUser, updateUser, userByUid, userByUsername } from '../directory/users.ts';
import { defaultConfig } from '../outposts/config.ts';
import { embeddedOutpost } from '../outposts/embedded.ts';
import { createOutpost, updateOutpost } from '../outposts/outposts.ts';
import { refreshSession } from '../outposts/session-refresh.ts';
import { updateProvider } from '../proxy-provider/providers.ts';
import type { OutpostRow, UserRow } from '../storage/rows.ts';
import { addClient, addUser, PASSWORD, payloadOf, RelyingParty, startServer, Visitor } from './oidc.test-helper.ts';
import type { TestClient, TestServer } from './oidc.test-helper.ts';

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const SCOPE = 'openid profile email ak_proxy';
const OURS = { [EXTENSION_HEADER]: '1' };

type Answer = Awaited<ReturnType<RelyingParty['post']>>;

describe('signing in without a browser', () => {
  let server: TestServer;
  let wiki: TestClient;
  let forge: TestClient;
  let closed: TestClient;
  let rp: RelyingParty;
  let alice: UserRow;
  let eve: UserRow;
  let made = 0;

  before(async () => {
    server = await startServer();
    alice = await addUser(server.ctx, 'alice', { email: 'alice@example.test' });
    eve = await addUser(server.ctx, 'eve');
    wiki = await addClient(server.ctx, 'wiki');
    forge = await addClient(server.ctx, 'forge');
    closed = await addClient(server.ctx, 'closed', { users: [alice] });
    rp = await RelyingParty.discover(server.base, wiki);
  });
  after(() => server.close());

  /** Every test from an address of its own: failures of one are not those of another. */
  let from = { 'x-test-client': '' };
  beforeEach(() => {
    from = { 'x-test-client': `198.51.100.${++made}` };
  });

  const appPassword = (user: UserRow, more: { intent?: TokenIntent; expires?: number } = {}) =>
    server.ctx.change((tx) =>
      createToken(tx, { identifier: `t${++made}`, intent: 'app_password', user: user.id, ...more }),
    );
  const ask = (form: Record<string, string>, headers: Record<string, string> = {}, client = wiki) =>
    rp.post(
      { grant_type: 'client_credentials', client_id: client.provider.client_id, scope: SCOPE, ...form },
      { ...from, ...headers },
    );
  const introspect = async (token: string, client = wiki, headers: Record<string, string> = {}) =>
    (
      await rp.post(
        { token, client_id: client.provider.client_id, client_secret: client.secret },
        headers,
        '/application/o/introspect/',
      )
    ).body;
  const tokenOf = (answer: Answer) => {
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return String(answer.body['access_token']);
  };
  const refused = (answer: Answer, about: RegExp = /not valid/) => {
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    assert.equal(answer.body['error'], 'invalid_grant');
    assert.match(String(answer.body['error_description']), about);
    assert.ok(!('access_token' in answer.body));
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  };
  const events = (action: string) =>
    server.ctx.db.selectFrom('event').selectAll().where('action', '=', action).orderBy('created').execute();
  const userinfo = (token: string) =>
    fetch(`${server.base}/application/o/userinfo/`, { headers: { authorization: `Bearer ${token}` } });

  describe('with an app password', () => {
    it('as the published outpost asks: without a client secret', async () => {
      const { token, key } = await appPassword(alice);
      const answer = await ask({ username: 'alice', password: key });
      const claims = payloadOf(tokenOf(answer));
      assert.equal(claims['sub'], alice.uid);
      assert.equal(claims['aud'], wiki.provider.client_id);
      assert.equal(claims['preferred_username'], 'alice');
      assert.equal(claims['sid'], undefined);
      assert.deepEqual(
        [answer.body['token_type'], answer.body['scope'], answer.body['refresh_token'], answer.body['gatehouse']],
        ['Bearer', 'ak_proxy email openid profile', undefined, undefined],
      );
      assert.equal(payloadOf(String(answer.body['id_token']))['sub'], alice.uid);
      assert.equal((await userinfo(tokenOf(answer))).status, 200);
      const last = (await events('login')).at(-1);
      assert.match(last?.user_json ?? '', /"username":"alice"/);
      assert.deepEqual(JSON.parse(last?.context ?? '{}'), {
        auth_method: 'token',
        auth_method_args: { identifier: token.identifier },
        application: 'wiki',
      });
    });

    it('in all the ways clients write it', async () => {
      const { key } = await appPassword(alice);
      const pair = Buffer.from(`alice:${key}`).toString('base64');
      const header = (secret: string) => ({
        authorization: `Basic ${Buffer.from(`${wiki.provider.client_id}:${secret}`).toString('base64')}`,
      });
      for (const answer of [
        await ask({ username: 'ALICE', password: key }),
        await ask({ grant_type: 'password', username: 'alice', password: key }),
        await ask({ client_id: '', username: 'alice', password: key }, header('')),
        await ask({ client_id: '', username: 'alice', password: key }, header(wiki.secret)),
        await ask({ client_secret: pair }),
        await ask({ client_id: '' }, header(encodeURIComponent(pair))),
      ]) {
        assert.equal(payloadOf(tokenOf(answer))['sub'], alice.uid);
      }
    });

    it('refuses everything that is not an app password of this account', async () => {
      const { key } = await appPassword(alice);
      const over = await appPassword(alice, { expires: Date.now() - 1 });
      const api = await appPassword(alice, { intent: 'api' });
      const recovery = await appPassword(alice, { intent: 'recovery' });
      const verification = await appPassword(alice, { intent: 'verification' });
      for (const [username, password] of [
        ['alice', PASSWORD],
        ['alice', ''],
        ['alice', 'x'],
        ['alice', key.toLowerCase()],
        ['alice', ` ${key}`],
        ['eve', key],
        ['', key],
        ['alice@example.test', key],
        ['nobody', key],
        ['alice', over.key],
      ] as const) {
        refused(await ask({ username, password }));
        from = { 'x-test-client': `198.51.100.${++made}` };
      }
      for (const wrong of [api, recovery, verification]) refused(await ask({ username: 'alice', password: wrong.key }));
      refused(await ask({ client_secret: Buffer.from(`eve:${key}`).toString('base64') }));
      refused(await ask({ client_secret: Buffer.from(`alice:${PASSWORD}`).toString('base64') }));
      const twice = await rp.post({ grant_type: 'client_credentials', client_id: wiki.provider.client_id }, from);
      refused(twice);
      assert.equal(
        (await ask({ client_id: 'unknown', username: 'alice', password: key })).body['error'],
        'invalid_client',
      );
    });

    it('the rules of the application apply', async () => {
      const [hers, his] = [await appPassword(alice), await appPassword(eve)];
      tokenOf(await ask({ username: 'alice', password: hers.key }, {}, closed));
      refused(await ask({ username: 'eve', password: his.key }, {}, closed), /denied/);
      const told = await ask({ username: 'eve', password: his.key, client_secret: closed.secret }, OURS, closed);
      assert.deepEqual(told.body['gatehouse'], { denied: 'user-not-named' });
    });

    it('grants what is asked for and configured, nothing else', async () => {
      const { key } = await appPassword(alice);
      const scoped = async (scope: string) => (await ask({ username: 'alice', password: key, scope })).body['scope'];
      assert.equal(await scoped('email  goauthentik.io/api offline_access unknown email'), 'email');
      const none = await ask({ username: 'alice', password: key, scope: '' });
      const claims = payloadOf(tokenOf(none));
      assert.deepEqual([none.body['scope'], claims['ak_proxy'], claims['groups']], ['', undefined, undefined]);
      assert.equal((await userinfo(tokenOf(none))).status, 403);
    });

    it('tells attributes and headers only who proves to be the outpost', async () => {
      const attributes = { additionalHeaders: { 'X-Secret': 'of-the-application' } };
      const zoe = await addUser(server.ctx, 'zoe');
      await server.ctx.change((tx) => updateUser(tx, zoe.id, { attributes }));
      const { key } = await appPassword(zoe);
      const pair = { username: 'zoe', password: key };
      for (const answer of [await ask(pair), await ask(pair, OURS), await ask({ ...pair, client_secret: 'x' }, OURS)]) {
        assert.ok(!JSON.stringify(payloadOf(tokenOf(answer))).includes('of-the-application'));
        assert.equal(answer.body['gatehouse'], undefined);
        assert.ok(!(await (await userinfo(tokenOf(answer))).text()).includes('of-the-application'));
      }
      const ours = (await ask({ ...pair, client_secret: wiki.secret }, OURS)).body;
      const { headers, credentials, cursor } = ours['gatehouse'] as Record<string, unknown>;
      assert.deepEqual(headers, [['X-Secret', 'of-the-application']]);
      assert.equal((credentials as string[]).length, 2);
      assert.equal(typeof cursor, 'object');
      const official = payloadOf(tokenOf(await ask({ ...pair, client_secret: wiki.secret })));
      assert.deepEqual((official['ak_proxy'] as Record<string, unknown>)['user_attributes'], attributes);
    });
  });

  it('an official outpost gets the attributes it needs inside the token', async () => {
    const served = await addClient(server.ctx, 'served');
    const attributes = { additionalHeaders: { 'X-Secret': 'of-the-application' } };
    const yan = await addUser(server.ctx, 'yan');
    await server.ctx.change(async (tx) => {
      await updateUser(tx, yan.id, { attributes });
      const config = defaultConfig('', 'info');
      await createOutpost(tx, { name: 'far away', type: 'proxy', providers: [served.provider.id], config });
    });
    const answer = await ask({ username: 'yan', password: (await appPassword(yan)).key }, {}, served);
    const proxy = payloadOf(tokenOf(answer))['ak_proxy'] as Record<string, unknown>;
    assert.deepEqual(proxy['user_attributes'], attributes);
  });

  describe('an outpost of ours refreshes the session it made', () => {
    let outpost: OutpostRow;
    before(async () => {
      const found = await embeddedOutpost(server.ctx.db);
      assert.ok(found !== undefined);
      outpost = found;
      await server.ctx.change((tx) => updateOutpost(tx, outpost.uuid, { providers: [wiki.provider.id] }));
    });

    it('with the claims as they are now, not wider and not longer', async () => {
      const tom = await addUser(server.ctx, 'tom');
      const { token, key } = await appPassword(tom, { expires: Date.now() + 60_000 });
      const issued = tokenOf(await ask({ username: 'tom', password: key, scope: 'openid profile' }));
      await server.ctx.change((tx) => createGroup(tx, { name: 'new', users: [tom.id] }));
      const request = { provider: wiki.provider.id, sid: '', uid: tom.uid, token: issued };
      const answer = await refreshSession(server.ctx, outpost, request);
      assert.ok(answer.result === 'token');
      const claims = payloadOf(answer.access_token);
      assert.deepEqual([claims['sub'], claims['groups'], claims['scope']], [tom.uid, ['new'], 'openid profile']);
      assert.ok(Number(claims['exp']) <= Number(payloadOf(issued)['exp']));
      assert.ok(answer.gatehouse.credentials?.includes(token.uuid));
      // the token a session has now is as good as the first
      const again = { ...request, token: answer.access_token };
      assert.equal((await refreshSession(server.ctx, outpost, again)).result, 'token');
      for (const wrong of [
        { ...request, uid: alice.uid },
        { ...request, sid: 'another' },
        { ...request, token: `${issued}x` },
        { provider: wiki.provider.id, sid: '', uid: tom.uid },
      ]) {
        assert.deepEqual(await refreshSession(server.ctx, outpost, wrong), { result: 'ended' });
      }
      // ended at the very moment when a token was made
      const issue = server.ctx.tokens.issue;
      server.ctx.tokens.issue = async (asked) => {
        assert.ok(issue !== undefined);
        const given = await issue(asked);
        await server.ctx.change((tx) => deleteToken(tx, token.identifier));
        return given;
      };
      assert.deepEqual(await refreshSession(server.ctx, outpost, request), { result: 'ended' });
      server.ctx.tokens.issue = issue;
      assert.deepEqual(await refreshSession(server.ctx, outpost, request), { result: 'ended' });
      assert.deepEqual(await refreshSession(server.ctx, outpost, again), { result: 'ended' });
    });
  });

  describe('what it made dies with it', () => {
    const alive = async (token: string) => {
      const known = (await introspect(token))['active'];
      assert.equal((await userinfo(token)).status, known === true ? 200 : 401);
      return known;
    };
    const ended = async () => {
      const rows = await server.ctx.db
        .selectFrom('identity_event')
        .select('body')
        .orderBy('n', 'desc')
        .limit(1)
        .execute();
      return JSON.parse(rows[0]?.body ?? '{}') as Record<string, unknown>;
    };

    it('deletion, another key, an earlier end, another intent', async () => {
      const ends = [
        (id: string) => server.ctx.change((tx) => deleteToken(tx, id)),
        (id: string) => server.ctx.change((tx) => setTokenKey(tx, id, 'another-key-of-at-least-32-characters')),
        (id: string) => server.ctx.change((tx) => updateToken(tx, id, { expires: Date.now() - 1 })),
        (id: string) => server.ctx.change((tx) => updateToken(tx, id, { intent: 'api' })),
      ];
      for (const end of ends) {
        const { token, key } = await appPassword(alice);
        const issued = tokenOf(await ask({ username: 'alice', password: key }));
        const kept = tokenOf(await ask({ username: 'alice', password: (await appPassword(alice)).key }));
        const derived = tokenOf(await ask({ client_assertion_type: ASSERTION, client_assertion: issued }));
        assert.equal(await alive(issued), true);
        await end(token.identifier);
        assert.deepEqual(await ended(), { kind: 'credential-ended', credential: token.uuid });
        assert.deepEqual([await alive(issued), await alive(derived), await alive(kept)], [false, false, true]);
        refused(await ask({ username: 'alice', password: key }));
      }
    });

    it('at whatever moment of a sign-in it ends', async () => {
      const { token, key } = await appPassword(alice);
      const asked = Array.from({ length: 24 }, () => ask({ username: 'alice', password: key }));
      await Promise.race(asked);
      await server.ctx.change((tx) => deleteToken(tx, token.identifier));
      for (const { status, body } of await Promise.all(asked)) {
        if (status === 200) assert.equal(await alive(String(body['access_token'])), false);
      }
    });

    it('a longer life ends nothing, and nothing outlives the end', async () => {
      const { token, key } = await appPassword(alice, { expires: Date.now() + 90_000 });
      const answer = await ask({ username: 'alice', password: key });
      const seconds = Number(answer.body['expires_in']);
      assert.ok(seconds > 80 && seconds <= 90, String(seconds));
      assert.equal(payloadOf(tokenOf(answer))['exp'], Number(payloadOf(tokenOf(answer))['iat']) + seconds);
      const derived = await ask({ client_assertion_type: ASSERTION, client_assertion: tokenOf(answer) });
      assert.ok(Number(derived.body['expires_in']) <= seconds);
      await server.ctx.change((tx) => updateToken(tx, token.identifier, { expires: Date.now() + 500_000 }));
      assert.equal(await alive(tokenOf(answer)), true);
    });

    it('deactivation and deletion of the account', async () => {
      for (const end of [
        (id: number) => server.ctx.change((tx) => updateUser(tx, id, { is_active: false })),
        (id: number) => server.ctx.change((tx) => deleteUser(tx, id)),
      ]) {
        const user = await addUser(server.ctx, `gone${++made}`);
        const { key } = await appPassword(user);
        const issued = tokenOf(await ask({ username: user.username, password: key }));
        await end(user.id);
        assert.equal(await alive(issued), false);
        refused(await ask({ username: user.username, password: key }));
        refused(await ask({ client_assertion_type: ASSERTION, client_assertion: issued }));
      }
    });

    it('revocation of a token ends what was made from it', async () => {
      const issued = tokenOf(await ask({ username: 'alice', password: (await appPassword(alice)).key }));
      const derived = tokenOf(await ask({ client_assertion_type: ASSERTION, client_assertion: issued }));
      const basics = { client_id: wiki.provider.client_id, client_secret: wiki.secret };
      await rp.post({ token: issued, ...basics }, {}, '/application/o/revoke/');
      assert.deepEqual(await ended(), { kind: 'credential-ended', credential: payloadOf(issued)['uid'] });
      assert.deepEqual([await alive(issued), await alive(derived)], [false, false]);
    });
  });

  describe('with the client secret', () => {
    it('as the account of the provider, made at its first use', async () => {
      const robot = await addClient(server.ctx, 'robot', { name: 'Robot' });
      const answer = await ask({ client_secret: robot.secret }, {}, robot);
      const claims = payloadOf(tokenOf(answer));
      assert.equal(claims['preferred_username'], 'ak-Robot-client_credentials');
      const user = await userByUid(server.ctx.db, String(claims['sub']));
      assert.deepEqual([user?.type, user?.path], ['service_account', 'goauthentik.io/apps/robot']);
      assert.deepEqual(JSON.parse(user?.attributes ?? ''), { 'goauthentik.io/user/generated': true });
      const again = payloadOf(tokenOf(await ask({ client_secret: robot.secret }, {}, robot)));
      assert.equal(again['sub'], claims['sub']);
      refused(await ask({ client_secret: wiki.secret }, {}, robot));
      refused(await ask({ client_secret: robot.secret.toLowerCase() }, {}, robot));
      refused(await ask({ client_secret: '' }, {}, robot));
      await server.ctx.change((tx) => updateUser(tx, user?.id ?? 0, { is_active: false }));
      refused(await ask({ client_secret: robot.secret }, {}, robot));
    });

    it('never becomes an account that was there before', async () => {
      const name = 'ak-Shadow-client_credentials';
      const person = await addUser(server.ctx, name);
      const shadow = await addClient(server.ctx, 'shadow', { name: 'Shadow' });
      const claims = payloadOf(tokenOf(await ask({ client_secret: shadow.secret }, {}, shadow)));
      assert.notEqual(claims['sub'], person.uid);
      assert.notEqual(claims['preferred_username'], name);
      const long = 'L'.repeat(140);
      const subjects = new Set<unknown>();
      for (const slug of ['long-a', 'long-b']) {
        const client = await addClient(server.ctx, slug, { name: long + slug });
        subjects.add(payloadOf(tokenOf(await ask({ client_secret: client.secret }, {}, client)))['sub']);
      }
      assert.equal(subjects.size, 2);
      assert.ok((await userByUsername(server.ctx.db, `ak-${'L'.repeat(128)}-client_credentials`)) !== undefined);
    });

    it('the rules of the application apply to it', async () => {
      const group = await server.ctx.change((tx) => createGroup(tx, { name: 'machines' }));
      const guarded = await addClient(server.ctx, 'guarded', { users: [eve] });
      refused(await ask({ client_secret: guarded.secret }, {}, guarded), /denied/);
      assert.notEqual(group.uuid, '');
    });
  });

  describe('with the token of a trusted provider', () => {
    let robot: TestClient;
    let outside: TestClient;
    before(async () => {
      robot = await addClient(server.ctx, 'trusting');
      outside = await addClient(server.ctx, 'outside');
      await server.ctx.change((tx) =>
        updateProvider(tx, robot.provider.id, { mode: 'forward_single', jwt_federation_providers: [wiki.provider.id] }),
      );
    });
    const assert_ = (token: string, client: TestClient, more: Record<string, string> = {}) =>
      ask({ client_assertion_type: ASSERTION, client_assertion: token, ...more }, {}, client);
    const issued = async (client = wiki) =>
      tokenOf(await ask({ username: 'alice', password: (await appPassword(alice)).key }, {}, client));

    it('as the person the token is about', async () => {
      const token = await issued();
      const derived = payloadOf(tokenOf(await assert_(token, robot)));
      assert.deepEqual([derived['sub'], derived['aud']], [alice.uid, robot.provider.client_id]);
      const fallback = await ask({ client_assertion_type: ASSERTION, client_secret: token }, {}, robot);
      assert.equal(payloadOf(tokenOf(fallback))['sub'], alice.uid);
      const reserved = await ask({ username: 'goauthentik.io/token', password: token }, {}, robot);
      assert.equal(payloadOf(tokenOf(reserved))['sub'], alice.uid);
      const jwt = (await events('login')).at(-1);
      assert.match(jwt?.context ?? '', /"auth_method":"jwt","auth_method_args":\{"provider":"wiki"\}/);
    });

    it('of no other provider, and nothing else', async () => {
      const answer = await ask({ username: 'alice', password: (await appPassword(alice)).key });
      refused(await assert_(tokenOf(answer), outside));
      refused(
        await assert_(
          tokenOf(await ask({ username: 'alice', password: (await appPassword(alice)).key }, {}, outside)),
          wiki,
        ),
      );
      refused(await assert_(String(answer.body['id_token']), robot));
      refused(await assert_(tokenOf(answer), robot, { client_assertion_type: 'urn:ietf:params:oauth:x' }));
      refused(await assert_('', robot));
      refused(await assert_('x.y.z', robot));
      refused(await assert_((await appPassword(alice)).key, robot));
      const [head = '', body = ''] = tokenOf(answer).split('.');
      refused(await assert_(`${head}.${body}.AAAA`, robot));
    });

    it('the rules of the application apply', async () => {
      const guarded = await addClient(server.ctx, 'guarded-trusting', { users: [eve] });
      await server.ctx.change((tx) =>
        updateProvider(tx, guarded.provider.id, {
          mode: 'forward_single',
          jwt_federation_providers: [wiki.provider.id],
        }),
      );
      const token = await issued();
      refused(await assert_(token, guarded), /denied/);
      assert.deepEqual(await introspect(token, guarded), { active: false });
      assert.deepEqual(await introspect(token, guarded, OURS), {
        active: false,
        gatehouse: { denied: 'user-not-named' },
      });
    });

    it('an own token is given out anew with what it had', async () => {
      const key = (await appPassword(alice)).key;
      const narrow = tokenOf(await ask({ username: 'alice', password: key, scope: 'openid' }));
      assert.equal((await assert_(narrow, wiki)).body['scope'], 'openid');
      const wide = await assert_(narrow, robot, { scope: 'openid profile' });
      assert.equal(wide.body['scope'], 'openid profile');
    });

    it('ends with the session of the person', async () => {
      const visitor = new Visitor(server.base, from);
      await visitor.signIn('alice');
      const attempt = await rp.attempt();
      const location = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
      const { tokens } = await rp.redeem(location, attempt);
      const derived = tokenOf(await assert_(tokens.access_token, robot));
      assert.equal((await introspect(derived, robot))['active'], true);
      const sid = String(payloadOf(tokens.access_token)['sid']);
      await server.ctx.change((tx) => server.ctx.sessions.end(tx, sid));
      assert.equal((await introspect(derived, robot))['active'], false);
      refused(await assert_(tokens.access_token, robot));
    });
  });

  describe('introspection', () => {
    it('tells about own tokens and those of trusted providers, with the claims as they are here and now', async () => {
      const trusting = await addClient(server.ctx, 'asking');
      await server.ctx.change((tx) =>
        updateProvider(tx, trusting.provider.id, {
          mode: 'forward_single',
          jwt_federation_providers: [wiki.provider.id],
        }),
      );
      const ben = await addUser(server.ctx, 'ben');
      const token = tokenOf(await ask({ username: 'ben', password: (await appPassword(ben)).key }));
      await server.ctx.change((tx) => createGroup(tx, { name: 'late', users: [ben.id] }));
      for (const client of [wiki, trusting]) {
        const told = await introspect(token, client);
        assert.deepEqual(
          [told['active'], told['sub'], told['groups'], told['client_id'], told['gatehouse']],
          [true, ben.uid, ['late'], client.provider.client_id, undefined],
        );
        const ours = (await introspect(token, client, OURS))['gatehouse'] as Record<string, unknown>;
        const own = payloadOf(String(ours['access_token']));
        assert.deepEqual([own['sub'], own['aud'], own['groups']], [ben.uid, client.provider.client_id, ['late']]);
        assert.ok(Number(own['exp']) <= Number(payloadOf(token)['exp']));
        assert.ok((ours['credentials'] as unknown[]).includes(payloadOf(token)['uid']));
        assert.equal((await introspect(String(ours['access_token']), client))['active'], true);
      }
      assert.deepEqual(await introspect(token, forge), { active: false });
      assert.deepEqual(await introspect(token, { ...wiki, secret: 'wrong' }), { active: false });
    });
  });

  describe('failures', () => {
    it('are limited and noted, each credential once', async () => {
      const count = async () =>
        (await events('login_failed')).filter((e) => e.client_ip === from['x-test-client']).length;
      for (let i = 0; i < 10; i++) refused(await ask({ username: 'alice', password: `guess ${i}` }));
      for (let i = 0; i < 3; i++) refused(await ask({ username: 'Alice', password: 'guess 1' }));
      assert.equal(await count(), 10);
      const { key } = await appPassword(alice);
      const late = await ask({ username: 'alice', password: key });
      refused(late, /too many/);
      assert.ok(Number(late.headers.get('retry-after')) > 500);
      assert.equal(await count(), 10);
      const told = await ask({ username: 'alice', password: key, client_secret: wiki.secret }, OURS);
      assert.ok(Number((told.body['gatehouse'] as Record<string, unknown>)['wait']) > 500);
      tokenOf(await ask({ username: 'alice', password: key }, { 'x-test-client': '192.0.2.77' }));
      // the login page is another door
      assert.equal((await new Visitor(server.base, from).signIn('alice')).status, 303);
    });
  });
});
