/** Scope mappings of administrators on every way to claims. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { CodedError } from '../../contract/errors.ts';
import type { TokenExtension } from '../../contract/extension.ts';
import { createToken } from '../directory/tokens.ts';
import { eventsAfter } from '../events/identity-log.ts';
import { fakeExpressions, Unavailable } from '../expressions/fake.test-helper.ts';
import type { FakeExpressions } from '../expressions/fake.test-helper.ts';
import { embeddedOutpost } from '../outposts/embedded.ts';
import { refreshSession } from '../outposts/session-refresh.ts';
import { updateOutpost } from '../outposts/outposts.ts';
import { createMapping } from '../proxy-provider/custom-mappings.ts';
import { evaluateScopes } from '../proxy-provider/evaluate-scopes.ts';
import { updateProvider } from '../proxy-provider/providers.ts';
import type { OutpostRow, UserRow } from '../storage/rows.ts';
import { OURS } from './machine.test-helper.ts';
import { addClient, addUser, payloadOf, RelyingParty, startServer, Visitor } from './oidc.test-helper.ts';
import type { TestClient, TestServer } from './oidc.test-helper.ts';

const SCOPE = 'openid profile email entitlements custom ak_proxy';
const BROWSER = { 'user-agent': 'A Browser/1.0', 'x-test-client': '198.51.100.7' };

describe('mappings of administrators', () => {
  let python: FakeExpressions;
  let server: TestServer;
  let wiki: TestClient;
  let rp: RelyingParty;
  let alice: UserRow;
  let outpost: OutpostRow;
  let away = false;
  /** what a call that comes to Python waits for */
  let held: Promise<void> | undefined;

  before(async () => {
    python = fakeExpressions({
      custom: async ({ context }) => {
        await held;
        if (away) throw new Unavailable('Python is away.');
        return {
          from: context.client_ip ?? 'nowhere',
          sub: 'somebody else',
          active: false,
          ak_proxy: { user_attributes: { additionalHeaders: { 'X-Tier': 'gold' } } },
        };
      },
    });
    server = await startServer({ expressions: python });
    const { ctx } = server;
    alice = await addUser(ctx, 'alice');
    wiki = await addClient(ctx, 'wiki');
    const embedded = await embeddedOutpost(ctx.db);
    assert.ok(embedded);
    outpost = embedded;
    await ctx.change(async (tx) => {
      const { uuid } = await createMapping(tx, { name: 'custom', scope_name: 'custom', expression: 'custom' });
      await updateProvider(tx, wiki.provider.id, { mode: 'forward_single', property_mappings: [uuid] });
      await updateOutpost(tx, outpost.uuid, { providers: [wiki.provider.id] });
    });
    rp = await RelyingParty.discover(server.base, wiki);
  });
  after(() => server.close());
  beforeEach(() => {
    away = false;
    held = undefined;
    python.calls.length = 0;
  });

  const signedIn = async () => {
    const visitor = new Visitor(server.base, BROWSER);
    await visitor.signIn('alice');
    const attempt = await rp.attempt({ scope: SCOPE });
    const location = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
    const { tokens } = await rp.redeem(location, attempt, OURS);
    return { token: tokens.access_token, beside: tokens['gatehouse'] as unknown as TokenExtension };
  };
  const claimsOf = (token: string) => {
    const { sub, from, active, ak_proxy } = payloadOf(token);
    return { sub, from, active, ak_proxy };
  };
  const expected = () => ({
    sub: alice.uid,
    from: '198.51.100.7',
    active: undefined,
    ak_proxy: { user_attributes: {}, is_superuser: false },
  });

  it('are asked once for a login, and each refresh sees what the login saw', async () => {
    const { token, beside } = await signedIn();
    assert.equal(python.calls.length, 1);
    assert.deepEqual(claimsOf(token), expected());
    assert.deepEqual(beside.headers, [['X-Tier', 'gold']]);
    const { sid } = payloadOf(token);
    const request = { provider: wiki.provider.id, sid: String(sid), uid: alice.uid };
    const fresh = await refreshSession(server.ctx, outpost, request);
    assert.equal(python.calls.length, 2);
    assert.ok(fresh.result === 'token');
    assert.deepEqual(claimsOf(fresh.access_token), expected());
    assert.deepEqual(fresh.gatehouse.headers, [['X-Tier', 'gold']]);
    const [first, second] = python.calls.map((call) => call.context);
    assert.deepEqual(second, first);
    assert.deepEqual(first?.http_request?.headers, { 'User-Agent': 'A Browser/1.0' });
  });

  it('are asked once by userinfo and once by introspection, also of our outposts', async () => {
    const { token } = await signedIn();
    python.calls.length = 0;
    const userinfo = await fetch(`${server.base}/application/o/userinfo/`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const told = (await userinfo.json()) as Record<string, unknown>;
    assert.deepEqual([told['from'], told['sub']], ['198.51.100.7', alice.uid]);
    assert.equal(python.calls.length, 1);
    for (const headers of [{}, OURS]) {
      python.calls.length = 0;
      const form = { token, client_id: wiki.provider.client_id, client_secret: wiki.secret };
      const { body } = await rp.post(form, headers, '/application/o/introspect/');
      assert.deepEqual([body['from'], body['sub'], body['active']], ['198.51.100.7', alice.uid, true]);
      assert.equal(python.calls.length, 1);
    }
  });

  it('see the address of a machine, also later', async () => {
    const { key } = await server.ctx.change((tx) =>
      createToken(tx, { identifier: 'robot', intent: 'app_password', user: alice.id }),
    );
    const form = { grant_type: 'client_credentials', client_id: wiki.provider.client_id, scope: SCOPE };
    const shown = { ...form, client_secret: wiki.secret, username: 'alice', password: key };
    const { body } = await rp.post(shown, { ...OURS, 'x-test-client': '198.51.100.8' });
    const token = String(body['access_token']);
    assert.equal(payloadOf(token)['from'], '198.51.100.8');
    assert.deepEqual((body['gatehouse'] as TokenExtension).headers, [['X-Tier', 'gold']]);
    const request = { provider: wiki.provider.id, sid: '', uid: alice.uid, token };
    const fresh = await refreshSession(server.ctx, outpost, request);
    assert.ok(fresh.result === 'token');
    assert.equal(payloadOf(fresh.access_token)['from'], '198.51.100.8');
  });

  it('that Python does not come to: the login goes on, and its claims are asked for again', async () => {
    away = true;
    const { token, beside } = await signedIn();
    assert.deepEqual([payloadOf(token)['from'], beside.headers], [undefined, []]);
    const after = await eventsAfter(server.ctx.db, beside.cursor.n, 0);
    assert.deepEqual(
      after.map((event) => (event.kind === 'user-changed' ? [event.uid, event.effect] : [])),
      [[alice.uid, 'refresh']],
    );
    const request = { provider: wiki.provider.id, sid: String(payloadOf(token)['sid']), uid: alice.uid };
    const incomplete = (error: unknown) =>
      error instanceof CodedError && error.code === 'claims-incomplete' && error.status === 503;
    await assert.rejects(refreshSession(server.ctx, outpost, request), incomplete);
    away = false;
    const fresh = await refreshSession(server.ctx, outpost, request);
    assert.ok(fresh.result === 'token');
    assert.equal(payloadOf(fresh.access_token)['from'], '198.51.100.7');
  });

  it('do not wait for the many calls of a person when an outpost asks what holds now', async (t) => {
    const { token } = await signedIn();
    const { key } = await server.ctx.change((tx) =>
      createToken(tx, { identifier: 'flood', intent: 'app_password', user: alice.id }),
    );
    const hold = Promise.withResolvers<void>();
    t.after(() => hold.resolve());
    held = hold.promise;
    python.calls.length = 0;
    const body = new URLSearchParams({
      ...{ grant_type: 'client_credentials', client_id: wiki.provider.client_id, scope: SCOPE },
      ...{ username: 'alice', password: key },
    });
    const answered: Response[] = [];
    const flood = Array.from({ length: 40 }, async () => {
      answered.push(await fetch(`${server.base}/application/o/token/`, { method: 'POST', body }));
    });
    while (answered.length < 19 || python.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    held = undefined; // one is at work, and holds up the line behind it
    for (const answer of answered.slice(0, 19)) {
      assert.deepEqual([answer.status, answer.headers.get('retry-after')], [429, '5']);
      assert.equal(((await answer.json()) as { error: string }).error, 'temporarily_unavailable');
    }
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await fetch(`${server.base}/application/o/userinfo/`, { headers })).status, 429);
    const request = { provider: wiki.provider.id, sid: String(payloadOf(token)['sid']), uid: alice.uid };
    const fresh = await refreshSession(server.ctx, outpost, request);
    assert.ok(fresh.result === 'token');
    assert.equal(payloadOf(fresh.access_token)['from'], '198.51.100.7');
    const login = await signedIn();
    assert.equal(payloadOf(login.token)['from'], undefined, 'a login goes on');
    const after = await eventsAfter(server.ctx.db, login.beside.cursor.n, 0);
    assert.deepEqual(
      after.map((event) => event.kind),
      ['user-changed'],
      'and its claims are asked for',
    );
    hold.resolve();
    await Promise.all(flood);
    assert.ok(answered.some(({ status }) => status === 200));
    assert.ok(answered.every(({ status }) => status === 200 || status === 429));
  });

  it('that Python does not come to for long are left out as failing ones are', async (t) => {
    away = true;
    const { token } = await signedIn();
    const request = { provider: wiki.provider.id, sid: String(payloadOf(token)['sid']), uid: alice.uid };
    const { now } = Date;
    t.mock.method(Date, 'now', () => now() + 121_000);
    const fresh = await refreshSession(server.ctx, outpost, request);
    assert.ok(fresh.result === 'token');
    assert.equal(payloadOf(fresh.access_token)['from'], undefined);
  });

  it('that Python does not come to for long are left out, whomever else it comes to', async (t) => {
    away = true;
    const { token } = await signedIn();
    away = false;
    const bob = await addUser(server.ctx, 'bob');
    const scopes = ['custom'];
    const { incomplete } = await evaluateScopes(server.ctx, { ...wiki, user: bob, scopes });
    assert.equal(incomplete, false);
    away = true;
    const request = { provider: wiki.provider.id, sid: String(payloadOf(token)['sid']), uid: alice.uid };
    const { now } = Date;
    t.mock.method(Date, 'now', () => now() + 121_000);
    const fresh = await refreshSession(server.ctx, outpost, request);
    assert.ok(fresh.result === 'token');
    assert.equal(payloadOf(fresh.access_token)['from'], undefined);
  });
});
