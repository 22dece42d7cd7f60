import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fakeExpressions, Raised } from '../expressions/fake.test-helper.ts';
import type { FakeExpressions } from '../expressions/fake.test-helper.ts';
import { EMBEDDED_TOKEN, flows, startApi } from './server.test-helper.ts';
import type { Api } from './server.test-helper.ts';
import { decode, decodePage, strict } from './strict.test-helper.ts';

const SCOPES = 'propertymappings/provider/scope/';
const ALL = 'propertymappings/all/';
const OUTPOST = { token: EMBEDDED_TOKEN, internal: true };

let api: Api;
let python: FakeExpressions;
before(async () => {
  python = fakeExpressions({
    'return {"who": user.username}': ({ context }) => ({ who: context.user.username }),
    'return {"at": provider.name}': ({ context }) => ({ at: context.provider?.['name'] ?? null, ...context.context }),
    'return None': () => null,
    'return http_request': ({ context }) => ({ ip: context.client_ip ?? '', ...context.http_request }),
    'raise ValueError("no")': () => {
      throw new Raised('ValueError: no');
    },
  });
  api = await startApi('/', python);
});
after(() => api?.close());

let made = 0;
const create = async (over: object = {}) => {
  const n = ++made;
  const sent = { name: `mapping ${n}`, scope_name: `scope${n}`, expression: 'return None', ...over };
  return decode<{ pk: string; name: string; scope_name: string }>(
    strict.scopeMapping,
    await api.ok('POST', SCOPES, sent),
  );
};

describe('scope mappings over the API', () => {
  it('are created, listed, changed and deleted, with the published keys', async () => {
    const mapping = await create({ description: 'says who', expression: 'return {"who": user.username}' });
    const at = `${SCOPES}${mapping.pk}/`;
    assert.deepEqual(decode(strict.scopeMapping, await api.ok('GET', at)), mapping);
    assert.deepEqual(
      decodePage<{ pk: string }>(strict.scopeMapping, await api.ok('GET', `${SCOPES}?managed__isnull=true`)).map(
        ({ pk }) => pk,
      ),
      [mapping.pk],
    );
    const sentBack = await api.ok('PUT', at, { ...mapping, name: 'renamed' });
    assert.deepEqual(sentBack, { ...mapping, name: 'renamed' }, 'whatever a GET answered can be sent back');
    assert.equal((await api.ok('PATCH', at, { scope_name: 'other' }))['scope_name'], 'other');
    assert.equal((await api.ok('GET', `${SCOPES}?name=renamed`))['results'] instanceof Array, true);
    const all = decodePage<{ pk: string }>(strict.propertyMapping, await api.ok('GET', `${ALL}?search=renamed`));
    assert.deepEqual(
      all.map(({ pk }) => pk),
      [mapping.pk],
    );
    decode(strict.propertyMapping, await api.ok('GET', `${ALL}${mapping.pk}/`));
    assert.equal((await api.call('DELETE', at)).status, 204);
    assert.equal((await api.call('GET', at)).status, 404);
    assert.equal((await api.call('GET', `${ALL}${mapping.pk}/`)).status, 404);
    assert.equal((await api.call('DELETE', at)).status, 404);
    const { results } = (await api.ok('GET', 'events/events/')) as { results: { action: string; context: Model }[] };
    const about = results.filter(({ context }) => context.model?.pk === mapping.pk.replaceAll('-', ''));
    assert.deepEqual(
      about.map(({ action }) => action),
      ['model_deleted', 'model_updated', 'model_updated', 'model_created'],
    );
    assert.equal(about[0]?.context.model?.model_name, 'scopemapping');
  });

  it('are refused by field, with line and column', async () => {
    const refused = async (over: object) => {
      const answer = await api.call('POST', SCOPES, {
        name: 'refused',
        scope_name: 'refused',
        expression: 'return None',
        ...over,
      });
      assert.equal(answer.status, 400, JSON.stringify(answer.body));
      return answer.body as Record<string, string[]>;
    };
    assert.deepEqual(await refused({ expression: 'return (' }), {
      expression: ['Line 2, column 7: invalid syntax'],
    });
    assert.deepEqual(Object.keys(await refused({ expression: '#'.repeat(32_769) })), ['expression']);
    assert.deepEqual(Object.keys(await refused({ expression: '  ' })), ['expression']);
    assert.deepEqual(Object.keys(await refused({ scope_name: 'two words' })), ['scope_name']);
    assert.deepEqual(Object.keys(await refused({ name: (await create()).name })), ['name']);
    assert.deepEqual(Object.keys(await refused({ managed: 'goauthentik.io/mine' })), ['managed']);
    assert.deepEqual(Object.keys(await refused({ expresion: 'x' })), ['expresion']);
    const { pk } = await create();
    assert.equal((await api.call('PATCH', `${SCOPES}${pk}/`, { expression: 'return (' })).status, 400);
  });

  it('leave built-in ones alone, and say what to do instead', async () => {
    const [email] = decodePage<{ pk: string }>(
      strict.scopeMapping,
      await api.ok('GET', `${SCOPES}?managed=goauthentik.io/providers/oauth2/scope-email`),
    );
    const at = `${SCOPES}${email?.pk ?? ''}/`;
    const before = await api.ok('GET', at);
    for (const [method, path, body] of [
      ['PATCH', at, { expression: 'return None' }],
      ['PUT', at, { name: 'x', scope_name: 'x', expression: 'return None' }],
      ['DELETE', at, undefined],
      ['DELETE', `${ALL}${email?.pk ?? ''}/`, undefined],
    ] as const) {
      const answer = await api.call(method, path, body);
      assert.equal(answer.status, 403);
      assert.match(JSON.stringify(answer.body), /built in .* of your own with the scope email/);
    }
    assert.deepEqual(await api.ok('GET', at), before);
  });

  it('are attached to providers, whose scopes follow', async () => {
    const mapping = await create();
    const provider = await api.ok('POST', 'providers/proxy/', {
      name: 'attached',
      ...(await flows(api)),
      mode: 'forward_single',
      external_host: 'https://attached.example.test',
      property_mappings: [mapping.pk],
    });
    assert.ok((provider['property_mappings'] as string[]).includes(mapping.pk));
    await api.ok('POST', 'core/applications/', { name: 'attached', slug: 'attached', provider: provider['pk'] });
    const embedded = (await api.ok('GET', 'outposts/instances/')) as { results: { pk: string }[] };
    await api.ok('PATCH', `outposts/instances/${embedded.results[0]?.pk ?? ''}/`, { providers: [provider['pk']] });
    const scopes = async () => {
      const told = (await api.ok('GET', 'outposts/proxy/', undefined, OUTPOST)) as {
        results: { scopes_to_request: string[] }[];
      };
      return told.results[0]?.scopes_to_request ?? [];
    };
    assert.ok((await scopes()).includes(mapping.scope_name));
    await api.ok('PATCH', `${SCOPES}${mapping.pk}/`, { scope_name: 'moved' });
    assert.ok((await scopes()).includes('moved'));
    await api.call('DELETE', `${SCOPES}${mapping.pk}/`);
    assert.ok(!(await scopes()).includes('moved'));
    const { pk } = provider;
    assert.ok(
      !((await api.ok('GET', `providers/proxy/${Number(pk)}/`))['property_mappings'] as string[]).includes(mapping.pk),
    );
  });

  it('are for superusers only', async () => {
    const user = await api.ok('POST', 'core/users/', { username: 'plain', name: 'Plain' });
    const token = await api.ok('POST', 'core/tokens/', { identifier: 'plain', user: user['pk'], intent: 'api' });
    const { key } = await api.ok('GET', `core/tokens/${String(token['identifier'])}/view_key/`);
    const { pk } = await create();
    const asked = python.calls.length;
    for (const [method, path, body] of [
      ['GET', SCOPES, undefined],
      ['GET', `${SCOPES}${pk}/`, undefined],
      ['GET', ALL, undefined],
      ['POST', SCOPES, { name: 'x', scope_name: 'x', expression: 'return None' }],
      ['PUT', `${SCOPES}${pk}/`, { name: 'x', scope_name: 'x', expression: 'return None' }],
      ['PATCH', `${SCOPES}${pk}/`, { name: 'x' }],
      ['DELETE', `${SCOPES}${pk}/`, undefined],
      ['DELETE', `${ALL}${pk}/`, undefined],
      ['POST', `${SCOPES}${pk}/test/`, {}],
      ['POST', `${ALL}${pk}/test/`, {}],
    ] as const) {
      assert.equal((await api.call(method, path, body, { token: String(key) })).status, 403, `${method} ${path}`);
    }
    assert.equal(python.calls.length, asked);
  });
});

describe('trying a mapping', () => {
  interface Tried {
    result: string;
    successful: boolean;
    line: number | null;
  }

  it('runs it as a person, with the published answer', async () => {
    const { pk } = await create({ expression: 'return {"who": user.username}' });
    const user = await api.ok('POST', 'core/users/', { username: 'tried', name: 'Tried' });
    for (const path of [`${SCOPES}${pk}/test/`, `${ALL}${pk}/test/`]) {
      const tried = decode<Tried>(strict.propertyMappingTest, await api.ok('POST', path, { user: user['pk'] }));
      assert.deepEqual([tried.result, tried.successful, tried.line], ['{"who":"tried"}', true, null]);
      const formatted = await api.ok('POST', `${path}?format_result=true`, { user: user['pk'], context: {} });
      assert.equal(formatted['result'], '{\n    "who": "tried"\n}');
    }
    const own = await api.ok('POST', `${SCOPES}${pk}/test/`, { format_result: false });
    assert.equal(own['result'], '{"who":"akadmin"}', 'nobody named: whoever asks');
  });

  it('takes further variables and a provider', async () => {
    const { pk } = await create({ expression: 'return {"at": provider.name}' });
    const provider = await api.ok('POST', 'providers/proxy/', {
      name: 'tried-at',
      ...(await flows(api)),
      mode: 'forward_single',
      external_host: 'https://tried.example.test',
    });
    const tried = await api.ok('POST', `${SCOPES}${pk}/test/`, { provider: provider['pk'], context: { more: [1] } });
    assert.equal(tried['result'], '{"at":"tried-at","more":[1]}');
  });

  it('sees the request of whoever tries it, without credentials', async () => {
    const { pk } = await create({ expression: 'return http_request' });
    const path = `${SCOPES}${pk}/test/`;
    const tried = await api.ok('POST', path, {}, { headers: { 'user-agent': 'A Program/1.0', cookie: 'a=b' } });
    assert.deepEqual(JSON.parse(String(tried['result'])), {
      ip: '203.0.113.9',
      method: 'POST',
      path: `/api/v3/${path}`,
      query: {},
      headers: { 'User-Agent': 'A Program/1.0' },
    });
  });

  it('says what went wrong, and writes nothing to the audit log', async () => {
    const { pk } = await create({ expression: 'raise ValueError("no")' });
    const events = async () =>
      ((await api.ok('GET', 'events/events/')) as { pagination: { count: number } }).pagination.count;
    const before = await events();
    const tried = decode<Tried>(strict.propertyMappingTest, await api.ok('POST', `${SCOPES}${pk}/test/`, {}));
    assert.deepEqual([tried.result, tried.successful, tried.line], ['ValueError: no', false, 3]);
    assert.equal(await events(), before);
    const unknown = await api.call('POST', `${SCOPES}${pk}/test/`, { user: 99_999 });
    assert.deepEqual([unknown.status, Object.keys(unknown.body as object)], [400, ['user']]);
    const nowhere = await api.call('POST', `${SCOPES}${pk}/test/`, { provider: 99_999 });
    assert.deepEqual([nowhere.status, Object.keys(nowhere.body as object)], [400, ['provider']]);
    const none = await api.call('POST', `${SCOPES}00000000-0000-0000-0000-000000000000/test/`, {});
    assert.equal(none.status, 404);
  });
});

interface Model {
  model?: { pk: string; model_name: string };
}
