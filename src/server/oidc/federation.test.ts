import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createGroup } from '../directory/groups.ts';
import { updateProvider } from '../proxy-provider/providers.ts';
import { ASSERTION, Machines, OURS, refused, tokenOf } from './machine.test-helper.ts';
import { addClient, addUser, payloadOf, Visitor } from './oidc.test-helper.ts';
import type { TestClient } from './oidc.test-helper.ts';

describe('tokens of other providers', () => {
  let m: Machines;
  let forge: TestClient;
  before(async () => {
    m = await Machines.start();
    forge = await addClient(m.server.ctx, 'forge');
  });
  after(() => m.server.close());
  beforeEach(() => m.move());

  describe('with the token of a trusted provider', () => {
    let robot: TestClient;
    let outside: TestClient;
    before(async () => {
      robot = await addClient(m.server.ctx, 'trusting');
      outside = await addClient(m.server.ctx, 'outside');
      await m.server.ctx.change((tx) =>
        updateProvider(tx, robot.provider.id, {
          mode: 'forward_single',
          jwt_federation_providers: [m.wiki.provider.id],
        }),
      );
    });
    const assert_ = (token: string, client: TestClient, more: Record<string, string> = {}) =>
      m.ask({ client_assertion_type: ASSERTION, client_assertion: token, ...more }, {}, client);
    const issued = async (client = m.wiki) =>
      tokenOf(await m.ask({ username: 'alice', password: (await m.appPassword(m.alice)).key }, {}, client));

    it('as the person the token is about', async () => {
      const token = await issued();
      const derived = payloadOf(tokenOf(await assert_(token, robot)));
      assert.deepEqual([derived['sub'], derived['aud']], [m.alice.uid, robot.provider.client_id]);
      const fallback = await m.ask({ client_assertion_type: ASSERTION, client_secret: token }, {}, robot);
      assert.equal(payloadOf(tokenOf(fallback))['sub'], m.alice.uid);
      const reserved = await m.ask({ username: 'goauthentik.io/token', password: token }, {}, robot);
      assert.equal(payloadOf(tokenOf(reserved))['sub'], m.alice.uid);
      const jwt = (await m.events('login')).at(-1);
      assert.match(jwt?.context ?? '', /"auth_method":"jwt","auth_method_args":\{"provider":"wiki"\}/);
    });

    it('of no other provider, and nothing else', async () => {
      const answer = await m.ask({ username: 'alice', password: (await m.appPassword(m.alice)).key });
      refused(await assert_(tokenOf(answer), outside));
      refused(
        await assert_(
          tokenOf(await m.ask({ username: 'alice', password: (await m.appPassword(m.alice)).key }, {}, outside)),
          m.wiki,
        ),
      );
      refused(await assert_(String(answer.body['id_token']), robot));
      refused(await assert_(tokenOf(answer), robot, { client_assertion_type: 'urn:ietf:params:oauth:x' }));
      refused(await assert_('', robot));
      refused(await assert_('x.y.z', robot));
      refused(await assert_((await m.appPassword(m.alice)).key, robot));
      const [head = '', body = ''] = tokenOf(answer).split('.');
      refused(await assert_(`${head}.${body}.AAAA`, robot));
    });

    it('the rules of the application apply', async () => {
      const guarded = await addClient(m.server.ctx, 'guarded-trusting', { users: [m.eve] });
      await m.server.ctx.change((tx) =>
        updateProvider(tx, guarded.provider.id, {
          mode: 'forward_single',
          jwt_federation_providers: [m.wiki.provider.id],
        }),
      );
      const token = await issued();
      refused(await assert_(token, guarded), /denied/);
      assert.deepEqual(await m.introspect(token, guarded), { active: false });
      assert.deepEqual(await m.introspect(token, guarded, OURS), {
        active: false,
        gatehouse: { denied: 'user-not-named' },
      });
    });

    it('an own token is given out anew with what it had', async () => {
      const key = (await m.appPassword(m.alice)).key;
      const narrow = tokenOf(await m.ask({ username: 'alice', password: key, scope: 'openid' }));
      assert.equal((await assert_(narrow, m.wiki)).body['scope'], 'openid');
      const wide = await assert_(narrow, robot, { scope: 'openid profile' });
      assert.equal(wide.body['scope'], 'openid profile');
    });

    it('ends with the session of the person', async () => {
      const visitor = new Visitor(m.server.base, m.from);
      await visitor.signIn('alice');
      const attempt = await m.rp.attempt();
      const location = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
      const { tokens } = await m.rp.redeem(location, attempt);
      const derived = tokenOf(await assert_(tokens.access_token, robot));
      assert.equal((await m.introspect(derived, robot))['active'], true);
      const sid = String(payloadOf(tokens.access_token)['sid']);
      await m.server.ctx.change((tx) => m.server.ctx.sessions.end(tx, sid));
      assert.equal((await m.introspect(derived, robot))['active'], false);
      refused(await assert_(tokens.access_token, robot));
    });
  });

  describe('introspection', () => {
    it('tells about own tokens and those of trusted providers, with the claims as they are here and now', async () => {
      const trusting = await addClient(m.server.ctx, 'asking');
      await m.server.ctx.change((tx) =>
        updateProvider(tx, trusting.provider.id, {
          mode: 'forward_single',
          jwt_federation_providers: [m.wiki.provider.id],
        }),
      );
      const ben = await addUser(m.server.ctx, 'ben');
      const token = tokenOf(await m.ask({ username: 'ben', password: (await m.appPassword(ben)).key }));
      await m.server.ctx.change((tx) => createGroup(tx, { name: 'late', users: [ben.id] }));
      for (const client of [m.wiki, trusting]) {
        const told = await m.introspect(token, client);
        assert.deepEqual(
          [told['active'], told['sub'], told['groups'], told['client_id'], told['gatehouse']],
          [true, ben.uid, ['late'], client.provider.client_id, undefined],
        );
        const ours = (await m.introspect(token, client, OURS))['gatehouse'] as Record<string, unknown>;
        const own = payloadOf(String(ours['access_token']));
        assert.deepEqual([own['sub'], own['aud'], own['groups']], [ben.uid, client.provider.client_id, ['late']]);
        assert.ok(Number(own['exp']) <= Number(payloadOf(token)['exp']));
        assert.ok((ours['credentials'] as unknown[]).includes(payloadOf(token)['uid']));
        assert.equal((await m.introspect(String(ours['access_token']), client))['active'], true);
      }
      assert.deepEqual(await m.introspect(token, forge), { active: false });
      assert.deepEqual(await m.introspect(token, { ...m.wiki, secret: 'wrong' }), { active: false });
    });
  });
});
