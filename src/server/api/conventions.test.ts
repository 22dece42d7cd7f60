import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { applicationBySlug } from '../access/applications.ts';
import { userByUsername } from '../directory/users.ts';
import { issuerOf } from '../oidc/issuer.ts';
import { issueTokens } from '../oidc/tokens.ts';
import { providerById } from '../proxy-provider/providers.ts';
import { CSRF_COOKIE, SESSION_COOKIE } from '../flows/cookies.ts';
import type { Api } from './server.test-helper.ts';
import { EMBEDDED_TOKEN, flows, startApi } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

interface Pagination {
  next: number;
  previous: number;
  count: number;
  current: number;
  total_pages: number;
  start_index: number;
  end_index: number;
}

describe('conventions of the REST API', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
    for (let i = 0; i < 7; i++) await api.ok('POST', 'core/users/', { username: `page-${i}`, name: `P ${i}` });
  });
  after(() => api.close());

  describe('pages', () => {
    const page = async (query: string) => {
      const answer = await api.ok('GET', `core/users/?search=page-&${query}`);
      decodePage(strict.user, answer);
      const { pagination, results } = answer as unknown as { pagination: Pagination; results: { username: string }[] };
      return { pagination, names: results.map((user) => user.username) };
    };

    it('are numbered with 0 for no neighbour', async () => {
      assert.deepEqual(await page('page_size=3'), {
        pagination: { next: 2, previous: 0, count: 7, current: 1, total_pages: 3, start_index: 1, end_index: 3 },
        names: ['page-0', 'page-1', 'page-2'],
      });
      assert.deepEqual(await page('page_size=3&page=3'), {
        pagination: { next: 0, previous: 2, count: 7, current: 3, total_pages: 3, start_index: 7, end_index: 7 },
        names: ['page-6'],
      });
    });

    it('of an empty list: one, from 0 to 0', async () => {
      const { pagination } = await page('username=nobody');
      assert.deepEqual(pagination, {
        next: 0,
        previous: 0,
        count: 0,
        current: 1,
        total_pages: 1,
        start_index: 0,
        end_index: 0,
      });
    });

    it('that are none are not found; a size that is none is an error', async () => {
      for (const wrong of ['page=4&page_size=3', 'page=0', 'page=-1', 'page=x']) {
        const answer = await api.call('GET', `core/users/?search=page-&${wrong}`);
        assert.deepEqual([answer.status, answer.body], [404, { detail: 'Invalid page.' }], wrong);
      }
      for (const wrong of ['page_size=0', 'page_size=x', 'page_size=1001']) {
        const answer = await api.call('GET', `core/users/?${wrong}`);
        assert.deepEqual([answer.status, Object.keys(answer.body as object)], [400, ['page_size']], wrong);
      }
    });

    it('hold 100 entries by default', async () => {
      await api.ctx.change(async (tx) => {
        const template = await tx.db.selectFrom('user').selectAll().limit(1).executeTakeFirstOrThrow();
        const { id: _, ...rest } = template;
        for (let i = 0; i < 120; i++) {
          const name = `bulk-${i}`;
          await tx.db
            .insertInto('user')
            .values({ ...rest, uuid: `bulk-${i}`, uid: name, username: name, username_folded: name })
            .execute();
        }
      });
      const first = (await api.ok('GET', 'core/users/?username=none')) as unknown as { pagination: Pagination };
      assert.equal(first.pagination.count, 0);
      const all = (await api.ok('GET', 'core/users/')) as unknown as { pagination: Pagination; results: unknown[] };
      assert.equal(all.results.length, 100);
      const whole = (await api.ok('GET', 'core/users/?page_size=1000')) as unknown as { results: unknown[] };
      assert.equal(whole.results.length, all.pagination.count);
    });
  });

  describe('addresses and bodies', () => {
    it('a missing trailing slash is not found, not a redirect', async () => {
      const answer = await api.call('GET', 'core/users');
      assert.equal(answer.status, 404);
      assert.match((answer.body as { detail: string }).detail, /^Not found\..*end with a slash/);
      assert.equal((await api.call('GET', 'core/nonsense/')).status, 404);
    });

    it('a method an address does not have is refused with those it has', async () => {
      const refused = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, options = {}) => {
        const { status, body, headers } = await api.call(method, path, undefined, options);
        return [status, body, headers['allow']];
      };
      assert.deepEqual(await refused('DELETE', 'core/users/'), [
        405,
        { detail: 'Method "DELETE" not allowed.' },
        'GET, HEAD, POST',
      ]);
      const of = (method: string) => ({ detail: `Method "${method}" not allowed.` });
      assert.deepEqual(await refused('PUT', 'core/users/me/'), [405, of('PUT'), 'GET, HEAD']);
      assert.deepEqual(await refused('POST', 'core/users/1/'), [405, of('POST'), 'DELETE, GET, HEAD, PATCH, PUT']);
      assert.deepEqual(await refused('GET', 'core/users/1/set_password/'), [405, of('GET'), 'POST']);
      const foreign = await api.call('POST', 'core/users/me/', 'x', { headers: { 'content-type': 'text/plain' } });
      assert.equal(foreign.status, 405, 'before the body is looked at');
      // without credentials that comes first, except where none are needed
      assert.equal((await refused('DELETE', 'core/users/', { token: '' }))[0], 403);
      assert.deepEqual(await refused('POST', 'root/config/', { token: '' }), [405, of('POST'), 'GET, HEAD']);
      assert.deepEqual(await refused('PUT', 'core/nonsense/'), [404, { detail: 'Not found.' }, undefined]);
    });

    it('unknown filters and orders are errors that name themselves', async () => {
      const filter = await api.call('GET', 'core/users/?usernme=x');
      assert.deepEqual([filter.status, filter.body], [400, { usernme: ['Unknown field.'] }]);
      const order = await api.call('GET', 'core/users/?ordering=password');
      assert.deepEqual([order.status, Object.keys(order.body as object)], [400, ['ordering']]);
      assert.equal((await api.call('GET', 'core/users/?attributes=nonsense')).status, 400);
    });

    it('broken, foreign and missing bodies get a sentence', async () => {
      const broken = await api.call('POST', 'core/users/', '{"password": "secret"');
      assert.equal(broken.status, 400);
      assert.ok(!JSON.stringify(broken.body).includes('secret'));
      assert.equal(typeof (broken.body as { detail: string }).detail, 'string');
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
        const foreign = await api.call('POST', 'core/users/', 'username=x', { headers: { 'content-type': type } });
        assert.equal(foreign.status, 415, type);
      }
      const none = await api.call('POST', 'core/users/');
      assert.equal(none.status, 400);
      const list = await api.call('POST', 'core/users/', [1]);
      assert.deepEqual([list.status, Object.keys(list.body as object)], [400, ['non_field_errors']]);
      const proto = await api.call('POST', 'core/users/', '{"__proto__": {"x": 1}}');
      assert.equal(proto.status, 400);
    });

    it('an empty JSON body on DELETE is fine', async () => {
      const user = await api.ok('POST', 'core/users/', { username: 'empty-delete', name: '' });
      const answer = await api.call('DELETE', `core/users/${String(user['pk'])}/`, undefined, {
        headers: { 'content-type': 'application/json' },
      });
      assert.equal(answer.status, 204);
    });

    it('lie below the web path', async () => {
      const below = await startApi('/auth/');
      try {
        assert.equal((await below.call('GET', 'root/config/')).status, 200);
        decodePage(strict.user, await below.ok('GET', 'core/users/'));
      } finally {
        await below.close();
      }
    });
  });

  describe('credentials', () => {
    const GUARDED = [
      'core/users/',
      'core/groups/',
      'core/applications/',
      'core/tokens/',
      'core/authenticated_sessions/',
      'providers/proxy/',
      'outposts/instances/',
      'outposts/proxy/',
      'policies/bindings/',
      'flows/instances/',
      'propertymappings/provider/scope/',
      'propertymappings/all/',
      'events/events/',
      'gatehouse/capabilities/',
    ];

    it('missing or wrong ones are 403 with a detail, everywhere, before the body is looked at', async () => {
      for (const path of GUARDED) {
        const none = await api.call('GET', path, undefined, { token: '' });
        assert.deepEqual(
          [none.status, none.body],
          [403, { detail: 'Authentication credentials were not provided.' }],
          path,
        );
        const wrong = await api.call('GET', path, undefined, { token: 'wrong' });
        assert.deepEqual([wrong.status, wrong.body], [403, { detail: 'Token invalid/expired' }], path);
      }
      assert.equal((await api.call('POST', 'core/users/', '{broken', { token: '' })).status, 403);
    });

    it('ordinary people may do what is theirs, nothing else', async () => {
      const eve = await api.ok('POST', 'core/users/', { username: 'eve', name: 'Eve' });
      await api.ok('POST', 'core/tokens/', { identifier: 'eve', user: eve['pk'] });
      const token = String((await api.ok('GET', 'core/tokens/eve/view_key/'))['key']);
      const may = new Set(['core/tokens/']);
      for (const path of GUARDED) {
        const answer = await api.call('GET', path, undefined, { token });
        assert.equal(answer.status, may.has(path) ? 200 : 403, path);
      }
      assert.equal((await api.call('GET', 'core/users/me/', undefined, { token })).status, 200);
      const raise = await api.call('PATCH', `core/users/${String(eve['pk'])}/`, { is_active: true }, { token });
      assert.deepEqual(raise.body, { detail: 'You do not have permission to perform this action.' });
      assert.equal((await api.call('POST', 'core/groups/', { name: 'x', is_superuser: true }, { token })).status, 403);
    });

    it('other schemes count as none, the scheme word in any case, an empty key as wrong', async () => {
      const detail = async (authorization: string) =>
        (await api.call('GET', 'core/users/me/', undefined, { token: '', headers: { authorization } })).body;
      assert.deepEqual(await detail('Basic YTpi'), { detail: 'Authentication credentials were not provided.' });
      assert.deepEqual(await detail('Bearer'), { detail: 'Token invalid/expired' });
      assert.deepEqual(await detail('Bearer  '), { detail: 'Token invalid/expired' });
      assert.ok('user' in ((await detail('bEARER admin-token-of-this-test-0123456789')) as object));
    });

    it('the boot secret of the embedded outpost is worth nothing from outside', async () => {
      const outside = await api.call('GET', 'outposts/instances/', undefined, { token: EMBEDDED_TOKEN });
      assert.equal(outside.status, 403);
      const inside = await api.call('GET', 'outposts/instances/', undefined, { token: EMBEDDED_TOKEN, internal: true });
      assert.equal(inside.status, 200);
    });

    it('HEAD is guarded like GET', async () => {
      assert.equal((await api.call('HEAD', 'core/users/', undefined, { token: '' })).status, 403);
      assert.equal((await api.call('HEAD', 'core/users/')).status, 200);
    });

    it('the secret key is no credential', async () => {
      const secret = readFileSync(join(api.ctx.settings.data, 'secret.key'), 'utf8').trim();
      assert.ok(secret.length > 20);
      for (const internal of [false, true]) {
        assert.equal((await api.call('GET', 'core/users/me/', undefined, { token: secret, internal })).status, 403);
      }
    });

    it('an OAuth access token opens the API only with the scope for it, and only while it lives', async () => {
      const { ctx } = api;
      const made = await api.ok('POST', 'providers/proxy/', {
        ...(await flows(api)),
        name: 'oauth',
        mode: 'forward_single',
        external_host: 'https://oauth.example.test',
      });
      await api.ok('POST', 'core/applications/', { name: 'O', slug: 'o', provider: made['pk'] });
      const user = await userByUsername(ctx.db, 'akadmin');
      const provider = await providerById(ctx.db, Number(made['pk']));
      const application = await applicationBySlug(ctx.db, 'o');
      assert.ok(user && provider && application);
      const issue = async (scopes: string[], extra: { issuer?: string } = {}) => {
        const issuer = issuerOf(ctx.baseAddress.current(), 'o');
        const basis = { provider, application, user, sid: '', authTime: Date.now(), amr: [], extension: false };
        return issueTokens(ctx, { issuer, ...basis, scopes, ...extra });
      };
      const status = async (token: string) => (await api.call('GET', 'core/users/me/', undefined, { token })).status;
      const good = await issue(['openid', 'goauthentik.io/api']);
      assert.equal(await status(good.accessToken), 200);
      assert.equal(await status(good.idToken), 403);
      assert.equal(await status(good.accessToken.slice(0, -2)), 403);
      assert.equal(await status((await issue(['openid'])).accessToken), 403);
      assert.equal(
        await status((await issue(['goauthentik.io/api'], { issuer: 'https://evil.test/' })).accessToken),
        403,
      );
      await ctx.db.deleteFrom('oidc_artefact').execute(); // as revocation does
      assert.equal(await status(good.accessToken), 403);
    });

    it('a session reads, and changes only what comes from a page of ours', async () => {
      const admin = await api.ctx.db
        .selectFrom('user')
        .where('username', '=', 'akadmin')
        .selectAll()
        .executeTakeFirstOrThrow();
      const { key } = await api.ctx.change((tx) =>
        api.ctx.sessions.create(tx, {
          userId: admin.id,
          ip: '203.0.113.9',
          userAgent: 'Firefox/130.0',
          auth: { auth_method: 'password', amr: ['pwd'] },
        }),
      );
      const cookie = `${SESSION_COOKIE}=${key}; ${CSRF_COOKIE}=token-of-the-form`;
      const as = (headers: Record<string, string>) => ({ token: '', headers: { cookie, ...headers } });
      assert.equal((await api.call('GET', 'core/users/me/', undefined, as({}))).status, 200);
      let n = 0;
      const change = async (headers: Record<string, string>) =>
        (await api.call('POST', 'core/groups/', { name: `csrf-${n++}` }, as(headers))).status;
      assert.equal(await change({}), 403);
      assert.equal(await change({ 'x-authentik-csrf': 'wrong' }), 403);
      assert.equal(await change({ 'sec-fetch-site': 'cross-site', 'x-authentik-csrf': 'token-of-the-form' }), 403);
      assert.equal(await change({ 'sec-fetch-site': 'same-site' }), 403);
      assert.equal(await change({ 'sec-fetch-site': 'same-origin' }), 201);
      assert.equal(await change({ 'x-authentik-csrf': 'token-of-the-form' }), 201);

      const list = decodePage<{ uuid: string; current: boolean; user_agent: { user_agent: { family: string } } }>(
        strict.session,
        await api.ok('GET', 'core/authenticated_sessions/', undefined, as({})),
      );
      assert.deepEqual([list.length, list[0]?.current, list[0]?.user_agent.user_agent.family], [1, true, 'Firefox']);
      const path = `core/authenticated_sessions/${list[0]?.uuid ?? ''}/`;
      const one = await api.ok('GET', path);
      assert.equal(decode<{ current: boolean }>(strict.session, one).current, false);
      assert.ok(!JSON.stringify(one).includes(key));
      const before = await api.ctx.db.selectFrom('identity_event').select('n').execute();
      assert.equal((await api.call('DELETE', path)).status, 204);
      const events = await api.ctx.db.selectFrom('identity_event').selectAll().execute();
      assert.equal(events.length, before.length + 1);
      assert.match(events.at(-1)?.body ?? '', /session-ended/);
      assert.equal((await api.call('GET', 'core/users/me/', undefined, as({}))).status, 403);
      assert.equal((await api.call('DELETE', path)).status, 404);
    });
  });

  it('root/config needs no credentials and promises no capability', async () => {
    const config = await api.ok('GET', 'root/config/', undefined, { token: '' });
    assert.deepEqual(decode(strict.rootConfig, config)['capabilities'], []);
  });

  it('a failure inside is told without its inside', async () => {
    const broken = await startApi();
    await sql`drop table scope_mapping`.execute(broken.ctx.db);
    const answer = await broken.call('GET', 'propertymappings/provider/scope/');
    assert.ok(answer.status >= 500);
    assert.deepEqual(Object.keys(answer.body as object), ['detail']);
    assert.ok(!/scope_mapping|SELECT|sqlite|node_modules/i.test(JSON.stringify(answer.body)));
    await broken.close();
  });

  it('answers are never kept by a cache', async () => {
    const answer = await api.call('GET', 'core/users/');
    assert.deepEqual(
      [answer.headers['cache-control'], answer.headers['x-content-type-options']],
      ['no-store', 'nosniff'],
    );
  });

  it('describes itself as OpenAPI', async () => {
    const schema = await api.ok('GET', 'schema/', undefined, { token: '' });
    assert.match(String(schema['openapi']), /^3\.1/);
    const paths = schema['paths'] as Record<string, Record<string, { operationId: string }>>;
    assert.equal(paths['/api/v3/core/users/{pk}/']?.['patch']?.operationId, 'core_users_partial_update');
    const ids = Object.values(paths).flatMap((path) => Object.values(path).map((operation) => operation.operationId));
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.every((id) => typeof id === 'string' && id !== ''));
    assert.ok(!Object.keys(paths).some((path) => path.includes('/schema/')));
    const create = paths['/api/v3/core/users/']?.['post'] as unknown as {
      requestBody: { content: { 'application/json': { schema: { properties: object; required: string[] } } } };
      responses: Record<string, unknown>;
    };
    const { schema: body } = create.requestBody.content['application/json'];
    assert.deepEqual(body.required, ['username', 'name']);
    assert.ok('attributes' in body.properties && !('pk' in body.properties));
    assert.deepEqual(Object.keys(create.responses), ['201', '400', '403', '404']);
  });
});
