import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createApplication } from '../access/applications.ts';
import { createDomainApplication } from '../access/domain-bindings.ts';
import { createGroup } from '../directory/groups.ts';
import { deleteToken, setTokenKey, updateToken } from '../directory/tokens.ts';
import { deleteUser, updateUser, userByUid, userByUsername } from '../directory/users.ts';
import { defaultConfig } from '../outposts/config.ts';
import { embeddedOutpost } from '../outposts/embedded.ts';
import { createOutpost, updateOutpost } from '../outposts/outposts.ts';
import { refreshSession } from '../outposts/session-refresh.ts';
import { updateProvider } from '../proxy-provider/providers.ts';
import type { OutpostRow } from '../storage/rows.ts';
import { MAX_HANDLES } from './accepted.ts';
import { ASSERTION, Machines, OURS, refused, tokenOf } from './machine.test-helper.ts';
import { addClient, addUser, PASSWORD, payloadOf, Visitor } from './oidc.test-helper.ts';
import type { TestClient } from './oidc.test-helper.ts';

describe('signing in without a browser', () => {
  let m: Machines;
  let closed: TestClient;
  before(async () => {
    m = await Machines.start();
    closed = await addClient(m.server.ctx, 'closed', { users: [m.alice] });
  });
  after(() => m.server.close());
  beforeEach(() => m.move());

  describe('with an app password', () => {
    it('as the published outpost asks: without a client secret', async () => {
      const { token, key } = await m.appPassword(m.alice);
      const answer = await m.ask({ username: 'alice', password: key });
      const claims = payloadOf(tokenOf(answer));
      assert.equal(claims['sub'], m.alice.uid);
      assert.equal(claims['aud'], m.wiki.provider.client_id);
      assert.equal(claims['preferred_username'], 'alice');
      assert.equal(claims['sid'], undefined);
      assert.deepEqual(
        [answer.body['token_type'], answer.body['scope'], answer.body['refresh_token'], answer.body['gatehouse']],
        ['Bearer', 'ak_proxy email openid profile', undefined, undefined],
      );
      assert.equal(payloadOf(String(answer.body['id_token']))['sub'], m.alice.uid);
      assert.equal((await m.userinfo(tokenOf(answer))).status, 200);
      const last = (await m.events('login')).at(-1);
      assert.match(last?.user_json ?? '', /"username":"alice"/);
      assert.deepEqual(JSON.parse(last?.context ?? '{}'), {
        auth_method: 'token',
        auth_method_args: { identifier: token.identifier },
        application: 'wiki',
      });
    });

    it('in all the ways clients write it', async () => {
      const { key } = await m.appPassword(m.alice);
      const pair = Buffer.from(`alice:${key}`).toString('base64');
      const header = (secret: string) => ({
        authorization: `Basic ${Buffer.from(`${m.wiki.provider.client_id}:${secret}`).toString('base64')}`,
      });
      for (const answer of [
        await m.ask({ username: 'ALICE', password: key }),
        await m.ask({ grant_type: 'password', username: 'alice', password: key }),
        await m.ask({ client_id: '', username: 'alice', password: key }, header('')),
        await m.ask({ client_id: '', username: 'alice', password: key }, header(m.wiki.secret)),
        await m.ask({ client_secret: pair }),
        await m.ask({ client_id: '' }, header(encodeURIComponent(pair))),
      ]) {
        assert.equal(payloadOf(tokenOf(answer))['sub'], m.alice.uid);
      }
    });

    it('refuses everything that is not an app password of this account', async () => {
      const { key } = await m.appPassword(m.alice);
      const over = await m.appPassword(m.alice, { expires: Date.now() - 1 });
      const api = await m.appPassword(m.alice, { intent: 'api' });
      const recovery = await m.appPassword(m.alice, { intent: 'recovery' });
      const verification = await m.appPassword(m.alice, { intent: 'verification' });
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
        refused(await m.ask({ username, password }));
        m.move();
      }
      for (const wrong of [api, recovery, verification])
        refused(await m.ask({ username: 'alice', password: wrong.key }));
      refused(await m.ask({ client_secret: Buffer.from(`eve:${key}`).toString('base64') }));
      refused(await m.ask({ client_secret: Buffer.from(`alice:${PASSWORD}`).toString('base64') }));
      const twice = await m.rp.post({ grant_type: 'client_credentials', client_id: m.wiki.provider.client_id }, m.from);
      refused(twice);
      assert.equal(
        (await m.ask({ client_id: 'unknown', username: 'alice', password: key })).body['error'],
        'invalid_client',
      );
    });

    it('the rules of the application apply', async () => {
      const [hers, his] = [await m.appPassword(m.alice), await m.appPassword(m.eve)];
      tokenOf(await m.ask({ username: 'alice', password: hers.key }, {}, closed));
      refused(await m.ask({ username: 'eve', password: his.key }, {}, closed), /denied/);
      const told = await m.ask({ username: 'eve', password: his.key, client_secret: closed.secret }, OURS, closed);
      assert.deepEqual(told.body['gatehouse'], { denied: 'user-not-named' });
    });

    it('at domain level only our own outposts get tokens for who may open a part of it', async () => {
      const domain = await addClient(m.server.ctx, 'dom', { users: [m.alice] });
      await m.server.ctx.change(async (tx) => {
        const { uuid } = await createApplication(tx, { name: 'part', slug: 'part' });
        await updateProvider(tx, domain.provider.id, {
          mode: 'forward_domain',
          external_host: 'https://login.dom.test',
          cookie_domain: 'dom.test',
        });
        await createDomainApplication(tx, { application: uuid, provider: domain.provider.id, host: 'part.dom.test' });
      });
      const pair = { username: 'eve', password: (await m.appPassword(m.eve)).key };
      const proven = { ...pair, client_secret: domain.secret };
      for (const headers of [{}, OURS]) refused(await m.ask(pair, headers, domain), /denied/);
      refused(await m.ask(proven, {}, domain), /denied/);
      const answer = await m.ask(proven, OURS, domain);
      const token = tokenOf(answer);
      assert.deepEqual((answer.body['gatehouse'] as Record<string, unknown>)['applications'], ['part']);
      // an application below it is told the token, and may show it around
      assert.deepEqual(await m.introspect(token, domain), { active: false });
      assert.equal((await m.introspect(token, domain, OURS))['active'], true);
      refused(await m.ask({ client_assertion_type: ASSERTION, client_assertion: token }, {}, domain), /denied/);
    });

    it('grants what is asked for and configured, nothing else', async () => {
      const { key } = await m.appPassword(m.alice);
      const scoped = async (scope: string) => (await m.ask({ username: 'alice', password: key, scope })).body['scope'];
      assert.equal(await scoped('email  goauthentik.io/api offline_access unknown email'), 'email');
      const none = await m.ask({ username: 'alice', password: key, scope: '' });
      const claims = payloadOf(tokenOf(none));
      assert.deepEqual([none.body['scope'], claims['ak_proxy'], claims['groups']], ['', undefined, undefined]);
      assert.equal((await m.userinfo(tokenOf(none))).status, 403);
    });

    it('tells attributes and headers only who proves to be the outpost', async () => {
      const attributes = { additionalHeaders: { 'X-Secret': 'of-the-application' } };
      const zoe = await addUser(m.server.ctx, 'zoe');
      await m.server.ctx.change((tx) => updateUser(tx, zoe.id, { attributes }));
      const { key } = await m.appPassword(zoe);
      const pair = { username: 'zoe', password: key };
      for (const answer of [
        await m.ask(pair),
        await m.ask(pair, OURS),
        await m.ask({ ...pair, client_secret: 'x' }, OURS),
      ]) {
        assert.ok(!JSON.stringify(payloadOf(tokenOf(answer))).includes('of-the-application'));
        assert.equal(answer.body['gatehouse'], undefined);
        assert.ok(!(await (await m.userinfo(tokenOf(answer))).text()).includes('of-the-application'));
      }
      const ours = (await m.ask({ ...pair, client_secret: m.wiki.secret }, OURS)).body;
      const { headers, credentials, cursor } = ours['gatehouse'] as Record<string, unknown>;
      assert.deepEqual(headers, [['X-Secret', 'of-the-application']]);
      assert.equal((credentials as string[]).length, 2);
      assert.equal(typeof cursor, 'object');
      const official = payloadOf(tokenOf(await m.ask({ ...pair, client_secret: m.wiki.secret })));
      assert.deepEqual((official['ak_proxy'] as Record<string, unknown>)['user_attributes'], attributes);
    });
  });

  it('an official outpost gets the attributes it needs inside the token', async () => {
    const served = await addClient(m.server.ctx, 'served');
    const attributes = { additionalHeaders: { 'X-Secret': 'of-the-application' } };
    const yan = await addUser(m.server.ctx, 'yan');
    await m.server.ctx.change(async (tx) => {
      await updateUser(tx, yan.id, { attributes });
      const config = defaultConfig('', 'info');
      await createOutpost(tx, { name: 'far away', type: 'proxy', providers: [served.provider.id], config });
    });
    const answer = await m.ask({ username: 'yan', password: (await m.appPassword(yan)).key }, {}, served);
    const proxy = payloadOf(tokenOf(answer))['ak_proxy'] as Record<string, unknown>;
    assert.deepEqual(proxy['user_attributes'], attributes);
  });

  describe('an outpost of ours refreshes the session it made', () => {
    let outpost: OutpostRow;
    before(async () => {
      const found = await embeddedOutpost(m.server.ctx.db);
      assert.ok(found !== undefined);
      outpost = found;
      await m.server.ctx.change((tx) => updateOutpost(tx, outpost.uuid, { providers: [m.wiki.provider.id] }));
    });

    it('with the claims as they are now, not wider and not longer', async () => {
      const tom = await addUser(m.server.ctx, 'tom');
      const { token, key } = await m.appPassword(tom, { expires: Date.now() + 60_000 });
      const issued = tokenOf(await m.ask({ username: 'tom', password: key, scope: 'openid profile' }));
      await m.server.ctx.change((tx) => createGroup(tx, { name: 'new', users: [tom.id] }));
      const request = { provider: m.wiki.provider.id, sid: '', uid: tom.uid, token: issued };
      const answer = await refreshSession(m.server.ctx, outpost, request);
      assert.ok(answer.result === 'token');
      const claims = payloadOf(answer.access_token);
      assert.deepEqual([claims['sub'], claims['groups'], claims['scope']], [tom.uid, ['new'], 'openid profile']);
      assert.ok(Number(claims['exp']) <= Number(payloadOf(issued)['exp']));
      assert.ok(answer.gatehouse.credentials?.includes(token.uuid));
      // the token a session has now is as good as the first
      const again = { ...request, token: answer.access_token };
      assert.equal((await refreshSession(m.server.ctx, outpost, again)).result, 'token');
      for (const wrong of [
        { ...request, uid: m.alice.uid },
        { ...request, sid: 'another' },
        { ...request, token: `${issued}x` },
        { provider: m.wiki.provider.id, sid: '', uid: tom.uid },
      ]) {
        assert.deepEqual(await refreshSession(m.server.ctx, outpost, wrong), { result: 'ended' });
      }
      // ended at the very moment when a token was made
      const issue = m.server.ctx.tokens.issue;
      m.server.ctx.tokens.issue = async (asked) => {
        assert.ok(issue !== undefined);
        const given = await issue(asked);
        await m.server.ctx.change((tx) => deleteToken(tx, token.identifier));
        return given;
      };
      assert.deepEqual(await refreshSession(m.server.ctx, outpost, request), { result: 'ended' });
      m.server.ctx.tokens.issue = issue;
      assert.deepEqual(await refreshSession(m.server.ctx, outpost, request), { result: 'ended' });
      assert.deepEqual(await refreshSession(m.server.ctx, outpost, again), { result: 'ended' });
    });
  });

  describe('what it made dies with it', () => {
    const alive = async (token: string) => {
      const known = (await m.introspect(token))['active'];
      assert.equal((await m.userinfo(token)).status, known === true ? 200 : 401);
      return known;
    };
    const ended = async () => {
      const rows = await m.server.ctx.db
        .selectFrom('identity_event')
        .select('body')
        .orderBy('n', 'desc')
        .limit(1)
        .execute();
      return JSON.parse(rows[0]?.body ?? '{}') as Record<string, unknown>;
    };

    it('deletion, another key, an earlier end, another intent', async () => {
      const ends = [
        (id: string) => m.server.ctx.change((tx) => deleteToken(tx, id)),
        (id: string) => m.server.ctx.change((tx) => setTokenKey(tx, id, 'another-key-of-at-least-32-characters')),
        (id: string) => m.server.ctx.change((tx) => updateToken(tx, id, { expires: Date.now() - 1 })),
        (id: string) => m.server.ctx.change((tx) => updateToken(tx, id, { intent: 'api' })),
      ];
      for (const end of ends) {
        const { token, key } = await m.appPassword(m.alice);
        const issued = tokenOf(await m.ask({ username: 'alice', password: key }));
        const kept = tokenOf(await m.ask({ username: 'alice', password: (await m.appPassword(m.alice)).key }));
        const derived = tokenOf(await m.ask({ client_assertion_type: ASSERTION, client_assertion: issued }));
        assert.equal(await alive(issued), true);
        await end(token.identifier);
        assert.deepEqual(await ended(), { kind: 'credential-ended', credential: token.uuid });
        assert.deepEqual([await alive(issued), await alive(derived), await alive(kept)], [false, false, true]);
        refused(await m.ask({ username: 'alice', password: key }));
      }
    });

    it('at whatever moment of a sign-in it ends', async () => {
      const { token, key } = await m.appPassword(m.alice);
      const asked = Array.from({ length: 24 }, () => m.ask({ username: 'alice', password: key }));
      await Promise.race(asked);
      await m.server.ctx.change((tx) => deleteToken(tx, token.identifier));
      for (const { status, body } of await Promise.all(asked)) {
        if (status === 200) assert.equal(await alive(String(body['access_token'])), false);
      }
    });

    it('a longer life ends nothing, and nothing outlives the end', async () => {
      const { token, key } = await m.appPassword(m.alice, { expires: Date.now() + 90_000 });
      const answer = await m.ask({ username: 'alice', password: key });
      const seconds = Number(answer.body['expires_in']);
      assert.ok(seconds > 80 && seconds <= 90, String(seconds));
      assert.equal(payloadOf(tokenOf(answer))['exp'], Number(payloadOf(tokenOf(answer))['iat']) + seconds);
      const derived = await m.ask({ client_assertion_type: ASSERTION, client_assertion: tokenOf(answer) });
      assert.ok(Number(derived.body['expires_in']) <= seconds);
      await m.server.ctx.change((tx) => updateToken(tx, token.identifier, { expires: Date.now() + 500_000 }));
      assert.equal(await alive(tokenOf(answer)), true);
    });

    it('deactivation and deletion of the account', async () => {
      for (const end of [
        (id: number) => m.server.ctx.change((tx) => updateUser(tx, id, { is_active: false })),
        (id: number) => m.server.ctx.change((tx) => deleteUser(tx, id)),
      ]) {
        const user = await addUser(m.server.ctx, `gone${m.next()}`);
        const { key } = await m.appPassword(user);
        const issued = tokenOf(await m.ask({ username: user.username, password: key }));
        await end(user.id);
        assert.equal(await alive(issued), false);
        refused(await m.ask({ username: user.username, password: key }));
        refused(await m.ask({ client_assertion_type: ASSERTION, client_assertion: issued }));
      }
    });

    it('revocation of a token ends what was made from it', async () => {
      const issued = tokenOf(await m.ask({ username: 'alice', password: (await m.appPassword(m.alice)).key }));
      const derived = tokenOf(await m.ask({ client_assertion_type: ASSERTION, client_assertion: issued }));
      const basics = { client_id: m.wiki.provider.client_id, client_secret: m.wiki.secret };
      await m.rp.post({ token: issued, ...basics }, {}, '/application/o/revoke/');
      assert.deepEqual(await ended(), { kind: 'credential-ended', credential: payloadOf(issued)['uid'] });
      assert.deepEqual([await alive(issued), await alive(derived)], [false, false]);
    });

    describe('over several steps', () => {
      const proven = () => ({ client_id: m.wiki.provider.client_id, client_secret: m.wiki.secret });
      const revoke = (token: string) => m.rp.post({ token, ...proven() }, {}, '/application/o/revoke/');
      const next = (token: string, headers = {}) =>
        m.ask({ client_assertion_type: ASSERTION, client_assertion: token, ...proven() }, headers);
      const uid = (token: string) => String(payloadOf(token)['uid']);
      const sorted = (texts: readonly string[]) => texts.toSorted((a, b) => (a < b ? -1 : 1));
      const handles = (body: Record<string, unknown>) =>
        sorted((body['gatehouse'] as { credentials: string[] }).credentials);

      it('each of which ends what comes after it, nothing before', async () => {
        const { token: password, key } = await m.appPassword(m.alice);
        const first = tokenOf(await m.ask({ username: 'alice', password: key }));
        const second = tokenOf(await next(first));
        const third = tokenOf(await next(second));
        const answer = await next(third, OURS);
        const fourth = tokenOf(answer);
        const made = [password.uuid, ...[first, second, third].map(uid)];
        assert.deepEqual(handles(answer.body), sorted([...made, uid(fourth)]));
        const told = await m.introspect(third, m.wiki, OURS);
        const own = String((told['gatehouse'] as Record<string, unknown>)['access_token']);
        assert.deepEqual(handles(told), sorted([...made, uid(own)]));
        await revoke(second);
        assert.deepEqual(await ended(), { kind: 'credential-ended', credential: uid(second) });
        const all = [first, second, third, fourth, own];
        assert.deepEqual(await Promise.all(all.map(alive)), [true, false, false, false, false]);
        assert.deepEqual(
          await m.server.ctx.db
            .selectFrom('oidc_artefact_origin')
            .select('handle')
            .where('handle', '=', uid(second))
            .execute(),
          [],
        );
        await m.server.ctx.change((tx) => deleteToken(tx, password.identifier));
        assert.equal(await alive(first), false);
      });

      it('up to a number of them', async () => {
        let token = tokenOf(await m.ask({ username: 'alice', password: (await m.appPassword(m.alice)).key }));
        for (let made = 2; made < MAX_HANDLES; made++) token = tokenOf(await next(token));
        const ours = await m.introspect(token, m.wiki, OURS);
        assert.equal(handles(ours).length, MAX_HANDLES + 1);
        const last = tokenOf(await next(token));
        for (let i = 0; i < 20; i++) refused(await next(last), /too many steps/);
        assert.equal(await alive(last), true);
        assert.deepEqual(await m.introspect(last, m.wiki, OURS), { active: false });
      });

      it('and a session of an outpost, however often its claims were fetched anew', async () => {
        const { ctx } = m.server;
        const outpost = await embeddedOutpost(ctx.db);
        assert.ok(outpost !== undefined);
        await ctx.change((tx) => updateOutpost(tx, outpost.uuid, { providers: [m.wiki.provider.id] }));
        const first = tokenOf(await m.ask({ username: 'alice', password: (await m.appPassword(m.alice)).key }));
        const told = (await m.introspect(first, m.wiki, OURS))['gatehouse'] as Record<string, unknown>;
        const begun = String(told['access_token']);
        const request = { provider: m.wiki.provider.id, sid: '', uid: m.alice.uid };
        const tokens = [begun];
        for (let i = 0; i < MAX_HANDLES + 2; i++) {
          const answer = await refreshSession(ctx, outpost, { ...request, token: tokens.at(-1) ?? '' });
          assert.ok(answer.result === 'token');
          assert.deepEqual(sorted(answer.gatehouse.credentials ?? []), handles({ gatehouse: told }));
          tokens.push(answer.access_token);
        }
        const last = tokens.at(-1) ?? '';
        assert.deepEqual([await alive(begun), await alive(last)], [true, true]);
        await revoke(tokens[3] ?? '');
        for (const token of tokens) assert.equal(await alive(token), false);
        assert.deepEqual(await refreshSession(ctx, outpost, { ...request, token: last }), { result: 'ended' });
        assert.equal(await alive(first), true);
      });
    });
  });

  describe('with the client secret', () => {
    it('as the account of the provider, made at its first use', async () => {
      const robot = await addClient(m.server.ctx, 'robot', { name: 'Robot' });
      const answer = await m.ask({ client_secret: robot.secret }, {}, robot);
      const claims = payloadOf(tokenOf(answer));
      assert.equal(claims['preferred_username'], 'ak-Robot-client_credentials');
      const user = await userByUid(m.server.ctx.db, String(claims['sub']));
      assert.deepEqual([user?.type, user?.path], ['service_account', 'goauthentik.io/apps/robot']);
      assert.deepEqual(JSON.parse(user?.attributes ?? ''), { 'goauthentik.io/user/generated': true });
      const again = payloadOf(tokenOf(await m.ask({ client_secret: robot.secret }, {}, robot)));
      assert.equal(again['sub'], claims['sub']);
      refused(await m.ask({ client_secret: m.wiki.secret }, {}, robot));
      refused(await m.ask({ client_secret: robot.secret.toLowerCase() }, {}, robot));
      refused(await m.ask({ client_secret: '' }, {}, robot));
      await m.server.ctx.change((tx) => updateUser(tx, user?.id ?? 0, { is_active: false }));
      refused(await m.ask({ client_secret: robot.secret }, {}, robot));
    });

    it('never becomes an account that was there before', async () => {
      const name = 'ak-Shadow-client_credentials';
      const person = await addUser(m.server.ctx, name);
      const shadow = await addClient(m.server.ctx, 'shadow', { name: 'Shadow' });
      const claims = payloadOf(tokenOf(await m.ask({ client_secret: shadow.secret }, {}, shadow)));
      assert.notEqual(claims['sub'], person.uid);
      assert.notEqual(claims['preferred_username'], name);
      const long = 'L'.repeat(140);
      const subjects = new Set<unknown>();
      for (const slug of ['long-a', 'long-b']) {
        const client = await addClient(m.server.ctx, slug, { name: long + slug });
        subjects.add(payloadOf(tokenOf(await m.ask({ client_secret: client.secret }, {}, client)))['sub']);
      }
      assert.equal(subjects.size, 2);
      assert.ok((await userByUsername(m.server.ctx.db, `ak-${'L'.repeat(128)}-client_credentials`)) !== undefined);
    });

    it('the rules of the application apply to it', async () => {
      const group = await m.server.ctx.change((tx) => createGroup(tx, { name: 'machines' }));
      const guarded = await addClient(m.server.ctx, 'guarded', { users: [m.eve] });
      refused(await m.ask({ client_secret: guarded.secret }, {}, guarded), /denied/);
      assert.notEqual(group.uuid, '');
    });
  });

  describe('failures', () => {
    it('are limited and noted, each credential once', async () => {
      const count = async () =>
        (await m.events('login_failed')).filter((e) => e.client_ip === m.from['x-test-client']).length;
      for (let i = 0; i < 10; i++) refused(await m.ask({ username: 'alice', password: `guess ${i}` }));
      for (let i = 0; i < 3; i++) refused(await m.ask({ username: 'Alice', password: 'guess 1' }));
      assert.equal(await count(), 10);
      const { key } = await m.appPassword(m.alice);
      const late = await m.ask({ username: 'alice', password: key });
      refused(late, /too many/);
      assert.ok(Number(late.headers.get('retry-after')) > 500);
      assert.equal(await count(), 10);
      const told = await m.ask({ username: 'alice', password: key, client_secret: m.wiki.secret }, OURS);
      assert.ok(Number((told.body['gatehouse'] as Record<string, unknown>)['wait']) > 500);
      tokenOf(await m.ask({ username: 'alice', password: key }, { 'x-test-client': '192.0.2.77' }));
      // the login page is another door
      assert.equal((await new Visitor(m.server.base, m.from).signIn('alice')).status, 303);
    });
  });
});
