import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CodedError, InvalidInput } from '../../contract/errors.ts';
import { testServer } from '../context.test-helper.ts';
import type { TestServer } from '../context.test-helper.ts';
import { createGroup } from '../directory/groups.ts';
import { createUser } from '../directory/users.ts';
import { eventsAfter, readCursor } from '../events/identity-log.ts';
import { fakeExpressions, Raised } from '../expressions/fake.test-helper.ts';
import type { ExpressionCall, Json } from '../expressions/types.ts';
import { createMapping, deleteMapping, runsExpressions, updateMapping } from './custom-mappings.ts';
import { evaluateScopes } from './evaluate-scopes.ts';
import { writtenNames } from './mapping-headers.ts';
import { operatorHeaderNames, tokenExtension } from './person-headers.ts';
import { mappingsOf, updateProvider } from './providers.ts';
import { scopeNames } from './scope-mappings.ts';
import { Turns } from './turns.ts';

type Written = (call: ExpressionCall) => Promise<Json> | Json;

/** Eve at the provider `wiki`, to which these mappings are attached: scope name -> what the expression does. */
async function scene(written: Readonly<Record<string, Written>>) {
  const python = fakeExpressions(written);
  const server = await testServer({}, python);
  const { ctx } = server;
  const { provider, application } = await server.protect('wiki', {
    basic_auth_enabled: true,
    basic_auth_user_attribute: 'wiki_user',
    basic_auth_password_attribute: 'wiki_pw',
  });
  const user = await ctx.change(async (tx) => {
    const staff = await createGroup(tx, { name: 'staff', attributes: { team: 'red' } });
    const editors = await createGroup(tx, { name: 'editors', parents: [staff.uuid] });
    return createUser(tx, {
      username: 'eve',
      name: 'Eve',
      email: 'eve@x.test',
      groups: [editors.uuid],
      attributes: { wiki_pw: 's3cret!', additionalHeaders: { 'X-Own': 'a' } },
    });
  });
  const mappings = [];
  for (const expression of Object.keys(written)) {
    const input = { name: `${expression} of ours`, scope_name: expression, expression };
    mappings.push(await ctx.change((tx) => createMapping(tx, input)));
  }
  const property_mappings = mappings.map((mapping) => mapping.uuid);
  await ctx.change((tx) => updateProvider(tx, provider.id, { mode: 'forward_single', property_mappings }));
  const scopes = await scopeNames(ctx.db, provider.id);
  const evaluate = (attributes: 'filtered' | 'none' = 'none', granted = scopes) =>
    evaluateScopes(ctx, { provider, application, user, scopes: granted, attributes });
  return {
    ...{ ctx, python, provider, application, user, mappings, scopes, evaluate },
    [Symbol.asyncDispose]: () => (server as TestServer)[Symbol.asyncDispose](),
  };
}

async function events(ctx: TestServer['ctx']) {
  const rows = await ctx.db.selectFrom('event').selectAll().where('app', '=', 'gatehouse.mappings').execute();
  return rows.map(({ action, context }) => ({ action, ...(JSON.parse(context) as { message: string }) }));
}

describe('mappings that administrators write', () => {
  it('add claims in the order of scope names, merged into each other and the built-in ones', async () => {
    await using s = await scene({
      b_second: () => ({ ak_proxy: { host_header: 'b.test' }, level: 2, tags: ['b'] }),
      a_first: () => ({ ak_proxy: { backend_override: 'http://a.test/eve' }, level: 1, tags: ['a'], name: 'Eva' }),
      zz_nothing: () => null,
    });
    assert.ok(s.scopes.includes('a_first') && s.scopes.includes('zz_nothing'));
    const { claims } = await s.evaluate();
    assert.deepEqual(claims['ak_proxy'], {
      backend_override: 'http://a.test/eve',
      host_header: 'b.test',
      is_superuser: false,
      user_attributes: {},
    });
    assert.deepEqual([claims['level'], claims['tags']], [2, ['a', 'b']]);
    assert.equal(claims['name'], 'Eve', 'profile comes later');
    assert.equal(s.python.calls.length, 3, 'each is asked once');
  });

  it('run for granted scopes only, and not at all where nothing is attached', async () => {
    await using s = await scene({ one: () => ({ one: 1 }), two: () => ({ two: 2 }) });
    assert.deepEqual((await s.evaluate('none', ['two'])).claims, { two: 2 });
    assert.deepEqual(
      s.python.calls.map((call) => call.expression),
      ['two'],
    );
    await s.evaluate('none', ['openid', 'profile']);
    assert.equal(s.python.calls.length, 1);
  });

  it('never replace what the protocol rests on', async () => {
    const protocol = { sub: 'admin', iss: 'x', aud: 'y', exp: 1, sid: 's', amr: ['mfa'], active: false, nonce: 'n' };
    await using s = await scene({ evil: () => ({ ...protocol, fine: true }) });
    assert.deepEqual((await s.evaluate('none', ['evil'])).claims, { fine: true });
  });

  it('add attributes for headers beside the token, and names no client may send from then on', async () => {
    await using s = await scene({
      headers: () => ({
        ak_proxy: { user_attributes: { wiki_user: 'eve-w', additionalHeaders: { 'X-Tier': 'gold', x_own: 'b' } } },
      }),
    });
    const evaluated = await s.evaluate();
    const { claims } = evaluated;
    assert.deepEqual(claims['ak_proxy'], { is_superuser: false, user_attributes: {} }, 'nothing inside');
    const { headers } = await tokenExtension(s.ctx.db, s.provider, s.user, evaluated, await readCursor(s.ctx.db));
    assert.deepEqual(headers, [
      ['Authorization', `Basic ${Buffer.from('eve-w:s3cret!').toString('base64')}`],
      ['X-Tier', 'gold'],
      ['x_own', 'b'],
    ]);
    assert.deepEqual(await operatorHeaderNames(s.ctx.db), ['x-own', 'x-tier']);
    const official = await s.evaluate('filtered');
    assert.deepEqual(official.claims['ak_proxy'], {
      is_superuser: false,
      user_attributes: { wiki_pw: 's3cret!', wiki_user: 'eve-w', additionalHeaders: { 'X-Tier': 'gold', x_own: 'b' } },
    });
    const alone = await s.evaluate('filtered', ['headers']);
    const own = { wiki_user: 'eve-w', additionalHeaders: { 'X-Tier': 'gold', x_own: 'b' } };
    assert.deepEqual(alone.claims, { ak_proxy: { user_attributes: own } }, 'not those of a scope that was not granted');
    assert.equal(alone.attributes['wiki_pw'], 's3cret!');
    await s.ctx.change((tx) => deleteMapping(tx, s.mappings[0]?.uuid ?? ''));
    assert.deepEqual(await operatorHeaderNames(s.ctx.db), ['x-own'], 'the person still has it');
  });

  it('see who asks and nothing secret', async () => {
    await using s = await scene({ look: () => null });
    await s.evaluate();
    const [call] = s.python.calls;
    assert.ok(call);
    const { user, provider, application, token, obj } = call.context;
    assert.deepEqual([user.username, user.uid, user.is_superuser], ['eve', s.user.uid, false]);
    assert.deepEqual(
      [user.groups, user.all_groups].map((groups) => groups.map((group) => group.name)),
      [['editors'], ['editors', 'staff']],
    );
    assert.deepEqual(user.group_attributes, { team: 'red', wiki_pw: 's3cret!', additionalHeaders: { 'X-Own': 'a' } });
    assert.deepEqual([provider?.['name'], application?.['slug'], obj?.['scope_name']], ['wiki', 'wiki', 'look']);
    assert.deepEqual(token, { scope: s.scopes });
    const told = JSON.stringify(call.context);
    for (const secret of [s.user.password, s.provider.client_secret, s.provider.cookie_secret]) {
      assert.ok(secret === '' || !told.includes(secret));
    }
    assert.equal(await call.ask?.({ kind: 'user_by', filters: { username: 'nobody' } }), undefined);
    assert.equal(await call.ask?.({ kind: 'user_by', filters: { password: '' } }), undefined);
    assert.equal(await call.ask?.({ kind: 'user_by', filters: {} }), undefined);
    assert.equal((await call.ask?.({ kind: 'user_by', filters: { email__iexact: 'EVE@x.test' } }))?.pk, s.user.id);
    assert.equal((await call.ask?.({ kind: 'user_by', filters: { pk: s.user.id, is_active: true } }))?.pk, s.user.id);
  });

  it('that fail are left out with both events, once in a while and without values of attributes', async () => {
    await using s = await scene({
      broken: () => {
        throw new Raised("ValueError: invalid literal for int() with base 10: 's3cret!'");
      },
      fine: () => ({ fine: true }),
      listed: () => ['a'],
      odd: () => ({ ak_proxy: 'x', still: 1 }),
    });
    for (let i = 0; i < 5; i++) {
      const { claims } = await s.evaluate();
      assert.deepEqual([claims['fine'], claims['still']], [true, 1]);
    }
    const told = await events(s.ctx);
    assert.deepEqual(told.map(({ action }) => action).sort(), [
      'configuration_error',
      'configuration_warning',
      'configuration_warning',
      'property_mapping_exception',
    ]);
    const message = told.find(({ action }) => action === 'property_mapping_exception')?.message;
    assert.match(message ?? '', /broken of ours was left out, line 3: ValueError: invalid literal .*'…'/);
    assert.doesNotMatch(JSON.stringify(told), /s3cret/);
  });

  it('may not give more than a token can carry', async () => {
    await using s = await scene({
      a_big: () => ({ big: 'x'.repeat(20_000) }),
      b_big: () => ({ b: 'x'.repeat(20_000) }),
    });
    const { claims } = await s.evaluate();
    assert.deepEqual([Object.hasOwn(claims, 'big'), Object.hasOwn(claims, 'b')], [true, false]);
    assert.match((await events(s.ctx))[0]?.message ?? '', /32768/);
  });

  it('are left out when Python does not come to them in time', async (t) => {
    const going = Promise.withResolvers<null>();
    await using s = await scene({ late: () => going.promise });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const evaluated = s.evaluate();
    while (s.python.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
    t.mock.timers.tick(8000);
    assert.equal((await evaluated).claims['name'], 'Eve');
    going.resolve(null);
    assert.match((await events(s.ctx))[0]?.message ?? '', /took too long/);
  });

  it('run outside of changes: others can write meanwhile', async () => {
    const going = Promise.withResolvers<void>();
    await using s = await scene({ slow: () => going.promise.then(() => ({ slow: true })) });
    const claims = s.evaluate();
    await s.ctx.change((tx) => createGroup(tx, { name: 'meanwhile' }));
    going.resolve();
    assert.equal((await claims).claims['slow'], true);
    await assert.rejects(
      s.ctx.change(() => s.evaluate()),
      TypeError,
    );
  });

  it('are a reason to start Python with the server, once one is attached', async () => {
    await using s = await scene({ custom: () => null });
    assert.equal(await runsExpressions(s.ctx.db), true);
    await s.ctx.change((tx) => updateProvider(tx, s.provider.id, { mode: 'forward_single', property_mappings: [] }));
    assert.equal(await runsExpressions(s.ctx.db), false);
  });

  it('are ended with the server', async () => {
    const s = await scene({ one: () => ({}) });
    await s[Symbol.asyncDispose]();
    assert.equal(s.python.closed, true);
  });
});

describe('a change of a mapping', () => {
  it('makes sessions of the providers it is attached to stale, unless it changes nothing for them', async () => {
    await using s = await scene({ one: () => ({ v: 1 }), two: () => ({ v: 2 }) });
    const { n } = await readCursor(s.ctx.db);
    const uuid = s.mappings[0]?.uuid ?? '';
    const since = async () => (await eventsAfter(s.ctx.db, n, 0)).map((event) => event.kind);
    await s.ctx.change((tx) => updateMapping(tx, uuid, { description: 'says more' }));
    assert.deepEqual(await since(), []);
    await s.ctx.change((tx) => updateMapping(tx, uuid, { expression: 'two' }));
    assert.deepEqual(await since(), ['provider-changed']);
    await s.ctx.change((tx) => deleteMapping(tx, uuid));
    assert.deepEqual(await since(), ['provider-changed', 'provider-changed']);
    assert.ok(!(await scopeNames(s.ctx.db, s.provider.id)).includes('one'));
  });

  it('is refused for built-in ones, taken names and scopes that are none', async () => {
    await using s = await scene({ one: () => null });
    const builtIn = (await mappingsOf(s.ctx.db, s.provider.id)).find((mapping) => mapping.scope_name === 'email');
    const uuid = builtIn?.uuid ?? '';
    const refused = (error: unknown) => error instanceof CodedError && error.code === 'mapping-built-in';
    await assert.rejects(
      s.ctx.change((tx) => updateMapping(tx, uuid, { name: 'mine' })),
      refused,
    );
    await assert.rejects(
      s.ctx.change((tx) => deleteMapping(tx, uuid)),
      refused,
    );
    const fields = (field: string) => (error: unknown) => error instanceof InvalidInput && field in error.fields;
    const make = (over: object) =>
      s.ctx.change((tx) => createMapping(tx, { name: 'n', scope_name: 's', expression: 'one', ...over }));
    await assert.rejects(make({ name: 'one of ours' }), fields('name'));
    for (const scope_name of ['goauthentik.io/api', 'two words', 'ünï', 'a"b', 'x'.repeat(101)]) {
      await assert.rejects(make({ scope_name }), fields('scope_name'));
    }
    await make({ scope_name: 'goauthentik.io/custom:all' });
  });
});

describe('header names written in an expression', () => {
  it('are found, and others are not', () => {
    const literal = `return {"ak_proxy": {"user_attributes": {"additionalHeaders": {"X-Team": "red", 'X_Tier' : t}}}}`;
    assert.deepEqual(writtenNames(literal), ['x-team', 'x-tier']);
    assert.deepEqual(
      writtenNames('h = {}\nh["X-A"] = 1\nreturn {"ak_proxy": {"user_attributes": {"additionalHeaders": h}}}'),
      ['x-a'],
    );
    assert.deepEqual(writtenNames('return {"X-Team": "red"}'), []);
    const both =
      'return {"accept": 1, "shoe_size": 2, "ak_proxy": {"user_attributes": {"additionalHeaders": {"Tier": f"{x}", "Authorization": b}, "door": 3}}}';
    assert.deepEqual(writtenNames(both), ['tier']);
  });
});

describe('Turns', () => {
  it('does one thing at a time for a key, goes on after failures, and takes no more than so many', async () => {
    const turns = new Turns<string>(1);
    const going = Promise.withResolvers<string>();
    const order: string[] = [];
    const first = turns.take('a', () => going.promise);
    const failing = turns.take('a', async () => {
      order.push('second');
      throw new Error('no');
    });
    assert.equal(await turns.take('a', async () => 'third'), undefined);
    assert.equal(await turns.take('b', async () => 'other'), 'other');
    assert.deepEqual(order, []);
    going.resolve('first');
    assert.equal(await first, 'first');
    await assert.rejects(failing, /no/);
    assert.equal(await turns.take('a', async () => 'again'), 'again');
  });
});
