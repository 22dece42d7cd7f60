import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { deleteApplication, updateApplication } from '../access/applications.ts';
import type { Change } from '../context.ts';
import { createGroup } from '../directory/groups.ts';
import { eventsAfter, readCursor } from '../events/identity-log.ts';
import { embeddedOutpost } from '../outposts/embedded.ts';
import { updateOutpost } from '../outposts/outposts.ts';
import { refreshSession } from '../outposts/session-refresh.ts';
import { deleteProvider, updateProvider } from '../proxy-provider/providers.ts';
import { ASSERTION, Machines, OURS, refused, tokenOf } from './machine.test-helper.ts';
import { addClient, addUser, payloadOf, RelyingParty, Visitor } from './oidc.test-helper.ts';
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

  describe('what was made at a trusting provider', () => {
    let front: TestClient;
    before(async () => {
      front = await addClient(m.server.ctx, 'front');
    });
    const trusting = async (slug: string, ...trusted: TestClient[]) => {
      const client = await addClient(m.server.ctx, slug);
      await m.server.ctx.change((tx) =>
        updateProvider(tx, client.provider.id, {
          mode: 'forward_single',
          jwt_federation_providers: trusted.map(({ provider }) => provider.id),
        }),
      );
      return client;
    };
    /** A login at a client, and tokens made from its token at two others, one after the other. */
    const made = async (client: TestClient, ...others: TestClient[]) => {
      const visitor = new Visitor(m.server.base, m.from);
      await visitor.signIn('alice');
      const rp = await RelyingParty.discover(m.server.base, client);
      const attempt = await rp.attempt();
      const location = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
      const tokens = [(await rp.redeem(location, attempt)).tokens.access_token];
      for (const other of others) {
        const form = { client_assertion_type: ASSERTION, client_assertion: tokens.at(-1) ?? '' };
        tokens.push(tokenOf(await m.ask(form, {}, other)));
      }
      return { tokens, sid: String(payloadOf(tokens[0] ?? '')['sid']), code: { rp, location, attempt } };
    };
    const alive = (tokens: readonly string[]) =>
      Promise.all(tokens.map(async (token) => (await m.userinfo(token)).status === 200));
    /** Handles that outposts are told the end of. */
    const told = async (work: () => Promise<unknown>) => {
      const { n } = await readCursor(m.server.ctx.db);
      await work();
      const events = await eventsAfter(m.server.ctx.db, n, 0);
      return events.flatMap((event) => (event.kind === 'credential-ended' ? [event.credential] : []));
    };
    const uid = (token: string | undefined) => String(payloadOf(token ?? '')['uid']);

    it('ends with the sign-out of the application it began at, and only then', async () => {
      const [back, deep] = [await trusting('back', front), await trusting('deep', front, m.wiki)];
      const { ctx } = m.server;
      const { tokens, sid } = await made(front, back, back);
      const kept = await made(front, deep);
      const out = (client: TestClient) => () =>
        ctx.change((tx) => ctx.sessions.forgetApplication(tx, sid, client.provider.client_id));
      assert.deepEqual(await told(out(m.wiki)), []);
      assert.deepEqual(await alive([...tokens, ...kept.tokens]), [true, true, true, true, true]);
      const ended = await told(out(front));
      assert.ok(ended.includes(uid(tokens[0])), String(ended));
      assert.deepEqual(await alive([...tokens, ...kept.tokens]), [false, false, false, true, true]);
      assert.ok(await ctx.sessions.findBySid(sid));
      // in the middle: what came before goes on
      const inside = await told(() =>
        ctx.change((tx) => ctx.sessions.forgetApplication(tx, kept.sid, deep.provider.client_id)),
      );
      assert.deepEqual([inside, await alive(kept.tokens)], [[], [true, false]]);
    });

    it('ends with that sign-out, too, where it began with fresh claims for an outpost', async () => {
      const { ctx } = m.server;
      const [origin, outpost] = [await addClient(ctx, 'fresh'), await embeddedOutpost(ctx.db)];
      assert.ok(outpost !== undefined);
      await ctx.change((tx) => updateOutpost(tx, outpost.uuid, { providers: [origin.provider.id] }));
      const heir = await trusting('fresh-heir', origin);
      const { sid } = await made(origin);
      const request = { provider: origin.provider.id, sid, uid: m.alice.uid };
      const answer = await refreshSession(ctx, outpost, request);
      assert.ok(answer.result === 'token');
      const form = { client_assertion_type: ASSERTION, client_assertion: answer.access_token };
      const tokens = [answer.access_token, tokenOf(await m.ask(form, {}, heir))];
      assert.deepEqual(await alive(tokens), [true, true]);
      const ended = await told(() =>
        ctx.change((tx) => ctx.sessions.forgetApplication(tx, sid, origin.provider.client_id)),
      );
      assert.deepEqual(ended, [uid(answer.access_token)]);
      assert.deepEqual(await alive(tokens), [false, false]);
    });

    it('ends with the provider or the application it began at', async () => {
      const ends: ((tx: Change, client: TestClient) => Promise<unknown>)[] = [
        (tx, { provider }) => deleteProvider(tx, provider.id),
        (tx, { application }) => deleteApplication(tx, application.slug),
        (tx, { application }) => updateApplication(tx, application.slug, { provider: null }),
      ];
      for (const [i, end] of ends.entries()) {
        const origin = await addClient(m.server.ctx, `origin${i}`);
        const heir = await trusting(`heir${i}`, origin);
        const { tokens } = await made(origin, heir);
        await m.server.ctx.change((tx) => updateApplication(tx, origin.application.slug, { name: 'renamed' }));
        assert.deepEqual(await alive(tokens), [true, true]);
        const ended = await told(() => m.server.ctx.change((tx) => end(tx, origin)));
        assert.ok(ended.includes(uid(tokens[0])), String(ended));
        assert.deepEqual(await alive(tokens), [false, false]);
      }
    });

    it('ends when the code it began with is used again, and outposts hear of it', async () => {
      const back = await trusting('again', front);
      const { tokens, code } = await made(front, back);
      const { ctx } = m.server;
      const answer = await m.introspect(tokens[1] ?? '', back, OURS);
      const { credentials } = answer['gatehouse'] as { credentials: string[] };
      const codes = () =>
        ctx.db
          .selectFrom('oidc_artefact')
          .select('id')
          .where('model', '=', 'AuthorizationCode')
          .where('consumed', 'is not', null)
          .where('client_id', '=', front.provider.client_id)
          .execute();
      const before = await codes();
      const { rp, location, attempt } = code;
      const ended = await told(() => assert.rejects(rp.redeem(location, attempt)));
      assert.equal(ended.length, 1);
      assert.ok(credentials.includes(ended[0] ?? ''), `${ended.join()} is none of ${credentials.join()}`);
      assert.deepEqual(await alive(tokens), [false, false]);
      assert.deepEqual(await codes(), before, 'a third use must be noticed, too');
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
