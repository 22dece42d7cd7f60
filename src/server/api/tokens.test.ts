import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Api } from './server.test-helper.ts';
import { flows, startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

interface Token {
  identifier: string;
  user: number;
  intent: string;
  expires: string;
  expiring: boolean;
  description: string;
  user_obj: { username: string };
}

const DAY_MS = 86_400_000;

describe('core/tokens', () => {
  let api: Api;
  let eve: number;
  let eveKey: string;
  before(async () => {
    api = await startApi();
    eve = Number((await api.ok('POST', 'core/users/', { username: 'eve', name: 'Eve' }))['pk']);
    await create({ identifier: 'eve-api', user: eve });
    eveKey = String((await api.ok('GET', 'core/tokens/eve-api/view_key/'))['key']);
  });
  after(() => api.close());

  const create = async (body: Record<string, unknown>, token?: string) =>
    decode<Token>(strict.token, await api.ok('POST', 'core/tokens/', body, token === undefined ? {} : { token }));

  it('creates, reads, changes and deletes', async () => {
    const made = await create({ identifier: 'crud', description: 'first', expiring: false });
    assert.deepEqual([made.intent, made.user_obj.username, made.expiring], ['api', 'akadmin', false]);
    assert.deepEqual(await api.ok('GET', 'core/tokens/crud/'), { ...made });
    const put = await api.ok('PUT', 'core/tokens/crud/', { ...made, description: 'second' });
    assert.deepEqual(decode<Token>(strict.token, put), { ...made, description: 'second' });
    const patched = await api.ok('PATCH', 'core/tokens/crud/', { identifier: 'crud2' });
    assert.equal(decode<Token>(strict.token, patched).description, 'second');
    assert.equal((await api.call('GET', 'core/tokens/crud/')).status, 404);
    assert.equal((await api.call('DELETE', 'core/tokens/crud2/')).status, 204);
    assert.equal((await api.call('GET', 'core/tokens/crud2/')).status, 404);
  });

  it('shows attributes, which hold credentials for applications, to administrators only', async () => {
    const attributes = { app_password: 'hidden-value' };
    await api.ok('PATCH', `core/users/${eve}/`, { attributes });
    await api.ok('POST', 'core/groups/', { name: 'shared', users: [eve], attributes });
    const shown = JSON.stringify(await api.ok('GET', 'core/tokens/eve-api/'));
    assert.equal(shown.split('hidden-value').length, 3);
    for (const path of ['core/tokens/eve-api/', 'core/tokens/', 'core/users/me/']) {
      const own = JSON.stringify(await api.ok('GET', path, undefined, { token: eveKey }));
      assert.match(own, /"eve"/);
      assert.doesNotMatch(own, /hidden-value/);
    }
  });

  it('decides the expiry by the published rules', async () => {
    const far = new Date(Date.now() + 90 * DAY_MS).toISOString();
    const inADay = (text: string) => Math.abs(Date.parse(text) - Date.now() - DAY_MS) < 60_000;
    assert.ok(inADay((await create({ identifier: 'x1', expires: far })).expires));
    assert.equal((await create({ identifier: 'x2', intent: 'app_password', expires: far })).expires, far);
    const bounded = { 'goauthentik.io/user/token-maximum-lifetime': 'days=30' };
    const fay = await api.ok('POST', 'core/users/', { username: 'fay', name: 'Fay', attributes: bounded });
    const late = await api.call('POST', 'core/tokens/', {
      identifier: 'x3',
      intent: 'app_password',
      user: fay['pk'],
      expires: far,
    });
    assert.deepEqual([late.status, Object.keys(late.body as object)], [400, ['expires']]);
  });

  it('decides the expiry anew when the intent changes', async () => {
    const lasts = async (body: object, path = 'x5', method: 'PATCH' | 'PUT' = 'PATCH') => {
      const token = decode<Token>(strict.token, await api.ok(method, `core/tokens/${path}/`, body));
      return Math.round((Date.parse(token.expires) - Date.now()) / 60_000);
    };
    const far = new Date(Date.now() + 90 * DAY_MS).toISOString();
    const day = 24 * 60;
    await create({ identifier: 'x5', intent: 'app_password', expires: far });
    assert.equal(await lasts({ description: 'kept' }), 90 * day);
    assert.equal(await lasts({ intent: 'api' }), day);
    assert.equal(await lasts({ intent: 'app_password', expires: far }), 90 * day);
    assert.equal(await lasts({ identifier: 'x5', intent: 'api', expires: far }, 'x5', 'PUT'), day);
    const attributes = { 'goauthentik.io/user/token-maximum-lifetime': 'hours=1' };
    const gil = await api.ok('POST', 'core/users/', { username: 'gil', name: 'Gil', attributes });
    await create({ identifier: 'x6', user: gil['pk'] });
    assert.equal(await lasts({ intent: 'app_password' }, 'x6'), 60);
    await create({ identifier: 'x7', user: gil['pk'], intent: 'app_password' });
    assert.equal(await lasts({}, 'x7'), 60);
  });

  it('refuses intents and identifiers that cannot be made here', async () => {
    for (const [field, body] of [
      ['intent', { identifier: 'r1', intent: 'recovery' }],
      ['intent', { identifier: 'r2', intent: 'nonsense' }],
      ['identifier', { identifier: 'with space' }],
      ['identifier', { identifier: 'eve-api' }],
      ['user', { identifier: 'r3', user: 999_999 }],
      ['expires', { identifier: 'r4', expires: 'tomorrow' }],
    ] as const) {
      const answer = await api.call('POST', 'core/tokens/', body);
      assert.deepEqual([answer.status, Object.keys(answer.body as object)], [400, [field]]);
    }
  });

  it('shows a key only on request, and says so in the audit log', async () => {
    const list = await api.ok('GET', 'core/tokens/');
    assert.ok(!JSON.stringify(list).includes(eveKey));
    assert.match(eveKey, /^[A-Za-z0-9]{60}$/);
    const answer = await api.call('GET', 'core/tokens/eve-api/view_key/');
    assert.deepEqual([answer.status, answer.body], [200, { key: eveKey }]);
    assert.equal(answer.headers['cache-control'], 'no-store');
    const events = decodePage(strict.event, await api.ok('GET', 'events/events/?action=secret_view'));
    assert.ok(events.length >= 2);
    assert.ok(!JSON.stringify(events).includes(eveKey));
  });

  it('sets a key, which works at once instead of the former one', async () => {
    await create({ identifier: 'set' });
    const old = String((await api.ok('GET', 'core/tokens/set/view_key/'))['key']);
    const key = 'k'.repeat(40);
    assert.equal((await api.call('POST', 'core/tokens/set/set_key/', { key })).status, 204);
    assert.equal((await api.call('GET', 'core/users/me/', undefined, { token: key })).status, 200);
    assert.equal((await api.call('GET', 'core/users/me/', undefined, { token: old })).status, 403);
    assert.equal((await api.call('POST', 'core/tokens/set/set_key/', { key: 'short' })).status, 400);
    const taken = await api.call('POST', 'core/tokens/set/set_key/', { key: eveKey });
    assert.deepEqual([taken.status, taken.body], [400, { key: ['Choose another key.'] }]);
  });

  it('lets people see and make their own tokens, and nobody else’s', async () => {
    const own = { token: eveKey };
    assert.equal((await api.call('GET', 'core/tokens/authentik-bootstrap-token/', undefined, own)).status, 404);
    assert.equal(
      (await api.call('GET', 'core/tokens/authentik-bootstrap-token/view_key/', undefined, own)).status,
      404,
    );
    assert.equal((await api.call('DELETE', 'core/tokens/authentik-bootstrap-token/', undefined, own)).status, 404);
    const list = decodePage<Token>(strict.token, await api.ok('GET', 'core/tokens/', undefined, own));
    assert.deepEqual([...new Set(list.map((token) => token.user))], [eve]);
    // a token asked for in somebody else's name, never expiring, is one's own and expires
    const made = await create({ identifier: 'mine', user: 1, intent: 'app_password', expiring: false }, eveKey);
    assert.deepEqual([made.user, made.expiring], [eve, true]);
    assert.equal((await api.call('POST', 'core/tokens/mine/set_key/', { key: 'k'.repeat(50) }, own)).status, 403);
    const stolen = await api.call('PATCH', 'core/tokens/mine/', { user: 1 }, own);
    assert.equal(stolen.status === 200 && (stolen.body as Token).user !== eve, false);
  });

  it('does not let the token of an outpost make tokens, read keys or make itself last', async () => {
    const provider = await api.ok('POST', 'providers/proxy/', {
      ...(await flows(api)),
      name: 'wiki',
      mode: 'forward_single',
      external_host: 'https://wiki.example.test',
    });
    const outpost = await api.ok('POST', 'outposts/instances/', {
      name: 'edge',
      type: 'proxy',
      providers: [provider['pk']],
      config: {},
    });
    const path = `core/tokens/${String(outpost['token_identifier'])}/`;
    const token = String((await api.ok('GET', `${path}view_key/`))['key']);
    const own = { token };
    assert.equal((await api.call('GET', 'outposts/instances/', undefined, own)).status, 200);
    assert.equal((await api.call('GET', 'core/users/me/', undefined, own)).status, 200);
    for (const [method, to, body] of [
      ['POST', 'core/tokens/', { identifier: 'spare' }],
      ['GET', 'core/tokens/', undefined],
      ['GET', path, undefined],
      ['GET', `${path}view_key/`, undefined],
      ['PATCH', path, { description: 'mine' }],
      ['DELETE', path, undefined],
    ] as const) {
      assert.equal((await api.call(method, to, body, own)).status, 403, `${method} ${to}`);
    }
    assert.equal((await api.call('GET', 'core/tokens/spare/')).status, 404);
  });

  it('lets only administrators change tokens that something else manages', async () => {
    await create({ identifier: 'kept', user: eve });
    await api.ctx.db.updateTable('token').set({ managed: 'by.something' }).where('identifier', '=', 'kept').execute();
    const own = { token: eveKey };
    assert.equal((await api.call('GET', 'core/tokens/kept/', undefined, own)).status, 200);
    assert.equal((await api.call('PATCH', 'core/tokens/kept/', { intent: 'app_password' }, own)).status, 403);
    assert.equal((await api.call('PUT', 'core/tokens/kept/', { identifier: 'loose' }, own)).status, 403);
    assert.equal((await api.call('DELETE', 'core/tokens/kept/', undefined, own)).status, 403);
    assert.equal((await api.call('PATCH', 'core/tokens/kept/', { description: 'x' })).status, 200);
    assert.equal((await api.call('DELETE', 'core/tokens/kept/')).status, 204);
  });

  it('looks whose token it is when it is changed, not a moment before', async (t) => {
    const own = { token: eveKey };
    const stored = async () =>
      api.ctx.db.selectFrom('token').selectAll().where('identifier', '=', 'swap').executeTakeFirstOrThrow();
    for (const [method, to, body] of [
      ['PATCH', 'core/tokens/swap/', { description: 'changed' }],
      ['PUT', 'core/tokens/swap/', { identifier: 'swap', description: 'changed' }],
      ['DELETE', 'core/tokens/swap/', undefined],
      ['GET', 'core/tokens/swap/view_key/', undefined],
    ] as const) {
      await create({ identifier: 'swap', user: eve });
      // just before the change, the name goes to a token of the administrator
      const { change } = api.ctx;
      const changing = t.mock.method(api.ctx, 'change', async (...args: Parameters<typeof change>) => {
        changing.mock.restore();
        assert.equal((await api.call('DELETE', 'core/tokens/swap/')).status, 204);
        await create({ identifier: 'swap' });
        return change(...args);
      });
      assert.equal((await api.call(method, to, body, own)).status, 404, method);
      const { user_id, description } = await stored();
      assert.notEqual(user_id, eve);
      assert.equal(description, '');
      await api.call('DELETE', 'core/tokens/swap/');
    }
  });

  it('filters', async () => {
    const found = async (query: string) =>
      decodePage<Token>(strict.token, await api.ok('GET', `core/tokens/?${query}`)).map((token) => token.identifier);
    assert.deepEqual(await found('identifier=eve-api'), ['eve-api']);
    assert.deepEqual(await found('user__username=eve&intent=api'), ['eve-api']);
    assert.ok((await found('expiring=false')).includes('authentik-bootstrap-token'));
    assert.deepEqual(await found('search=bootstrap'), ['authentik-bootstrap-token']);
  });

  it('does not open the API with an app password, an expired key or an inactive owner', async () => {
    await create({ identifier: 'app', intent: 'app_password', user: eve });
    const app = String((await api.ok('GET', 'core/tokens/app/view_key/'))['key']);
    assert.equal((await api.call('GET', 'core/users/me/', undefined, { token: app })).status, 403);
    await create({ identifier: 'old', user: eve });
    const old = String((await api.ok('GET', 'core/tokens/old/view_key/'))['key']);
    await api.ctx.db.updateTable('token').set({ expires: 1 }).where('identifier', '=', 'old').execute();
    const expired = await api.call('GET', 'core/users/me/', undefined, { token: old });
    assert.deepEqual([expired.status, expired.body], [403, { detail: 'Token invalid/expired' }]);
    await api.ok('PATCH', `core/users/${eve}/`, { is_active: false });
    assert.equal((await api.call('GET', 'core/users/me/', undefined, { token: eveKey })).status, 403);
  });
});
