import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CONFIGURATION_PATH, REFRESH_PATH, SIGN_OUT_PATH } from '../../contract/extension.ts';
import type { Answer, Api, CallOptions, Flows } from './server.test-helper.ts';
import { flows, startApi } from './server.test-helper.ts';
import { decodePage, strict } from './strict.test-helper.ts';

/** What one outpost has, and what belongs to another. */
interface Owned {
  outpost: string;
  token: string;
  provider: number;
  certificate: string;
}
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Every call that an outpost's token may make, with what it sees there. All others of the interface are refused. */
const MAY: Readonly<Record<string, (api: Owned) => { path: string; status: number; body?: unknown }>> = {
  'GET outposts/instances/': () => ({ path: 'outposts/instances/', status: 200 }),
  'GET outposts/instances/{uuid}/': ({ outpost }) => ({ path: `outposts/instances/${outpost}/`, status: 200 }),
  'GET outposts/instances/{uuid}/health/': ({ outpost: pk }) => ({
    path: `outposts/instances/${pk}/health/`,
    status: 200,
  }),
  'GET outposts/proxy/': () => ({ path: 'outposts/proxy/', status: 200 }),
  'GET outposts/proxy/{pk}/': ({ provider }) => ({ path: `outposts/proxy/${provider}/`, status: 200 }),
  'GET providers/proxy/': () => ({ path: 'providers/proxy/', status: 200 }),
  'GET providers/proxy/{pk}/': ({ provider }) => ({ path: `providers/proxy/${provider}/`, status: 200 }),
  'GET crypto/certificatekeypairs/{uuid}/': ({ certificate: pk }) => ({
    path: `crypto/certificatekeypairs/${pk}/`,
    status: 200,
  }),
  'GET crypto/certificatekeypairs/{uuid}/view_certificate/': ({ certificate: pk }) => ({
    path: `crypto/certificatekeypairs/${pk}/view_certificate/`,
    status: 200,
  }),
  'GET crypto/certificatekeypairs/{uuid}/view_private_key/': ({ certificate: pk }) => ({
    path: `crypto/certificatekeypairs/${pk}/view_private_key/`,
    status: 200,
  }),
  'GET root/config/': () => ({ path: 'root/config/', status: 200 }),
  'GET core/users/me/': () => ({ path: 'core/users/me/', status: 200 }),
  'POST events/events/': () => ({
    path: 'events/events/',
    status: 201,
    body: { action: 'configuration_error', app: 'authentik.providers.proxy' },
  }),
  'GET gatehouse/capabilities/': () => ({ path: 'gatehouse/capabilities/', status: 200 }),
  [`GET ${CONFIGURATION_PATH}`]: () => ({ path: CONFIGURATION_PATH, status: 200 }),
  [`POST ${REFRESH_PATH}`]: ({ provider }) => ({
    path: REFRESH_PATH,
    status: 200,
    body: { provider, sid: 'f'.repeat(64), uid: 'e'.repeat(64) },
  }),
  [`POST ${SIGN_OUT_PATH}`]: ({ provider }) => ({
    path: SIGN_OUT_PATH,
    status: 204,
    body: { provider, sid: 'f'.repeat(64), uid: 'e'.repeat(64) },
  }),
};

describe("an outpost's token, at every address of the interface", () => {
  let api: Api;
  let flow: Flows;
  let mine: Owned;
  let other: Owned;
  let superusers: string;
  before(async () => {
    api = await startApi();
    flow = await flows(api);
    [mine, other] = [await make('mine'), await make('other')];
    superusers = String((await api.ok('POST', 'core/groups/', { name: 'more', is_superuser: true }))['pk']);
  });
  after(() => api.close());

  const make = async (name: string): Promise<Owned> => {
    const certificate = await api.ok('POST', 'crypto/certificatekeypairs/generate/', {
      common_name: name,
      validity_days: 9,
      alg: 'ecdsa',
    });
    const provider = await api.ok('POST', 'providers/proxy/', {
      ...flow,
      name,
      mode: 'forward_single',
      external_host: `https://${name}.example.test`,
      certificate: certificate['pk'],
    });
    await api.ok('POST', 'core/applications/', { name, slug: name, provider: provider['pk'] });
    const outpost = await api.ok('POST', 'outposts/instances/', {
      name,
      type: 'proxy',
      providers: [provider['pk']],
      config: {},
    });
    const { key } = await api.ok('GET', `core/tokens/${String(outpost['token_identifier'])}/view_key/`);
    return {
      outpost: String(outpost['pk']),
      token: String(key),
      provider: Number(provider['pk']),
      certificate: String(certificate['pk']),
    };
  };

  const ask = (call: string, path: string, body: unknown, as: CallOptions): Promise<Answer> => {
    const method = call.split(' ', 1)[0] as Method;
    return api.call(method, path, method === 'GET' || method === 'DELETE' ? undefined : (body ?? {}), as);
  };

  /** Every operation there is, as `GET core/users/{pk}/`. */
  const operations = async (): Promise<string[]> => {
    const { paths } = (await api.ok('GET', 'schema/')) as { paths: Record<string, object> };
    return Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace('/api/v3/', '')}`),
    );
  };

  /** The address with the ids of what this one has, or of anything there is. */
  const filled = (path: string, { outpost, provider, certificate }: Owned): string =>
    path
      .replace('{uuid}', path.startsWith('outposts/') ? outpost : path.startsWith('crypto/') ? certificate : superusers)
      .replace('{pk}', path.includes('users') ? '1' : String(provider))
      .replace('{slug}', path.startsWith('core/applications') ? 'mine' : 'default-provider-invalidation-flow')
      .replace('{identifier}', `ak-outpost-${outpost}-api`);

  for (const member of [false, true]) {
    it(`may do what is in the table, and nothing else${member ? ', also in a group of superusers' : ''}`, async () => {
      const as = { token: mine.token };
      if (member) {
        const { user } = (await api.ok('GET', 'core/users/me/', undefined, as)) as { user: { pk: number } };
        await api.ok('POST', `core/groups/${superusers}/add_user/`, { pk: user.pk });
      }
      const all = await operations();
      for (const call of Object.keys(MAY)) assert.ok(all.includes(call), `the table knows ${call}`);
      for (const call of all) {
        const may = MAY[call]?.(mine);
        const path = may?.path ?? filled(call.split(' ')[1] ?? '', mine);
        const answer = await ask(call, path, may?.body, as);
        assert.equal(answer.status, may?.status ?? 403, `${call}: ${JSON.stringify(answer.body)}`);
      }
    });

    it(`sees its own only${member ? ', also in a group of superusers' : ''}`, async () => {
      const as = { token: mine.token };
      for (const [call, may] of Object.entries(MAY)) {
        const { path, status, body } = may(other);
        if (path === may(mine).path && body === undefined) continue; // names nothing
        const answer = await ask(call, path, body, as);
        if (call === 'POST events/events/') assert.equal(answer.status, status);
        // what names the provider in the body is refused, what names it in the address is not there
        else assert.equal(answer.status, body === undefined ? 404 : 403, `${call}: ${JSON.stringify(answer.body)}`);
      }
      const list = async (path: string) =>
        ((await api.ok('GET', path, undefined, as)) as { results: { pk: unknown }[] }).results.map(({ pk }) => pk);
      assert.deepEqual(await list('outposts/instances/'), [mine.outpost]);
      assert.deepEqual(await list(`outposts/instances/?providers_by_pk=${other.provider}`), []);
      assert.deepEqual(await list('outposts/proxy/'), [mine.provider]);
      assert.deepEqual(await list('providers/proxy/'), [mine.provider]);
      const told = JSON.stringify((await api.ok('GET', CONFIGURATION_PATH, undefined, as))['providers']);
      assert.ok(told.includes('mine.example.test') && !told.includes('other'), told);
    });
  }

  it('is worth nothing when the outpost is deleted, and when its key is another', async () => {
    const gone = await make('gone');
    await api.ok('POST', `core/tokens/ak-outpost-${gone.outpost}-api/set_key/`, {
      key: 'quite-another-key-of-this-outpost-0123456789',
    });
    const refused = await api.call('GET', CONFIGURATION_PATH, undefined, { token: gone.token });
    assert.deepEqual([refused.status, refused.body], [403, { detail: 'Token invalid/expired' }]);
    const as = { token: 'quite-another-key-of-this-outpost-0123456789' };
    assert.equal((await api.call('GET', CONFIGURATION_PATH, undefined, as)).status, 200);
    await api.ok('DELETE', `outposts/instances/${gone.outpost}/`);
    for (const [call, may] of Object.entries(MAY)) {
      if (call === 'GET root/config/') continue; // for anyone
      const { path, body } = may(gone);
      assert.equal((await ask(call, path, body, as)).status, 403, call);
    }
    const token = await api.call('GET', `core/tokens/ak-outpost-${gone.outpost}-api/`);
    assert.equal(token.status, 404);
  });

  it('there are no service connections, and who looks for them is told so', async () => {
    for (const kind of ['all', 'docker', 'kubernetes']) {
      const page = await api.ok('GET', `outposts/service_connections/${kind}/?name=Local`);
      assert.deepEqual(decodePage(strict.outpost, page), []);
    }
  });
});
