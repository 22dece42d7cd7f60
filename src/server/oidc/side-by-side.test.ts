import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EXTENSION_HEADER } from '../../contract/extension.ts';
import { createToken } from '../directory/tokens.ts';
import { updateUser } from '../directory/users.ts';
import { updateProvider } from '../proxy-provider/providers.ts';
import { addClient, addUser, payloadOf, RelyingParty, startServer, Visitor } from './oidc.test-helper.ts';
import type { TestClient, TestServer } from './oidc.test-helper.ts';

const SIGN_INS = 1000;
const AT_ONCE = 40;
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const SCOPE = 'openid profile email ak_proxy';

interface Person {
  name: string;
  uid: string;
  key: string;
  visitor: Visitor;
}

/** spec/security.md F: whatever happens at the same moment, nobody becomes the other. */
describe('two people side by side', () => {
  let server: TestServer;
  let wiki: TestClient;
  let trusting: TestClient;
  let rp: RelyingParty;
  const people: Person[] = [];

  before(async () => {
    server = await startServer();
    wiki = await addClient(server.ctx, 'wiki');
    trusting = await addClient(server.ctx, 'trusting');
    const { uuid } = await server.ctx.db
      .selectFrom('scope_mapping')
      .select('uuid')
      .where('scope_name', '=', 'offline_access')
      .executeTakeFirstOrThrow();
    await server.ctx.change((tx) =>
      updateProvider(tx, wiki.provider.id, { mode: 'forward_single', property_mappings: [uuid] }),
    );
    await server.ctx.change((tx) =>
      updateProvider(tx, trusting.provider.id, {
        mode: 'forward_single',
        jwt_federation_providers: [wiki.provider.id],
      }),
    );
    rp = await RelyingParty.discover(server.base, wiki);
    for (const name of ['alice', 'eve']) {
      const user = await addUser(server.ctx, name);
      const attributes = { additionalHeaders: { 'X-Who': name } };
      await server.ctx.change((tx) => updateUser(tx, user.id, { attributes }));
      const { key } = await server.ctx.change((tx) =>
        createToken(tx, { identifier: `${name}-app`, intent: 'app_password', user: user.id }),
      );
      const visitor = new Visitor(server.base);
      assert.equal((await visitor.signIn(name)).status, 303);
      people.push({ name, uid: user.uid, key, visitor });
    }
  });
  after(() => server.close());

  const ask = async (form: Record<string, string>, client = wiki) => {
    const answer = await rp.post(
      {
        grant_type: 'client_credentials',
        client_id: client.provider.client_id,
        client_secret: client.secret,
        scope: SCOPE,
        ...form,
      },
      { [EXTENSION_HEADER]: '1' },
    );
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };
  const code = async ({ visitor }: Person, scope: string) => {
    const attempt = await rp.attempt({ scope });
    const location = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
    return ask({
      grant_type: 'authorization_code',
      code: new URL(location).searchParams.get('code') ?? '',
      redirect_uri: wiki.redirectUri,
      code_verifier: attempt.verifier,
    });
  };
  const password = ({ name, key }: Person) => ask({ username: name, password: key });

  /** Every way to get a token for a person. */
  const grants: ((person: Person) => Promise<Record<string, unknown>>)[] = [
    (person) => code(person, SCOPE),
    async (person) => {
      const { refresh_token } = await code(person, `${SCOPE} offline_access`);
      return ask({ grant_type: 'refresh_token', refresh_token: String(refresh_token), scope: '' });
    },
    password,
    ({ name, key }) => ask({ grant_type: 'password', username: name, password: key }),
    ({ name, key }) =>
      rp
        .post(
          {
            grant_type: 'client_credentials',
            client_id: wiki.provider.client_id,
            client_secret: Buffer.from(`${name}:${key}`).toString('base64'),
            scope: SCOPE,
          },
          {},
        )
        .then(({ body }) => body),
    async (person) => {
      const { access_token } = await password(person);
      return ask({ client_assertion_type: ASSERTION, client_assertion: String(access_token) }, trusting);
    },
    async (person) => {
      const { access_token } = await code(person, SCOPE);
      return ask({ username: 'goauthentik.io/token', password: String(access_token) }, trusting);
    },
    async (person) => {
      const { access_token } = await password(person);
      const form = { token: String(access_token), client_id: wiki.provider.client_id, client_secret: wiki.secret };
      const { body } = await rp.post(form, { [EXTENSION_HEADER]: '1' }, '/application/o/introspect/');
      assert.deepEqual([body['active'], body['sub'], body['preferred_username']], [true, person.uid, person.name]);
      const gatehouse = body['gatehouse'] as Record<string, unknown>;
      return { access_token: gatehouse['access_token'], gatehouse };
    },
  ];

  it(`${SIGN_INS} sign-ins through every grant, nobody becomes the other`, { timeout: 400_000 }, async () => {
    let next = 0;
    const seen = new Map<string, number>();
    const work = async () => {
      for (let i = next++; i < SIGN_INS; i = next++) {
        const person = people[i % 2];
        const way = Math.floor(i / 2) % grants.length;
        assert.ok(person !== undefined);
        const body = await grants[way]?.(person);
        const token = String(body?.['access_token']);
        const claims = payloadOf(token);
        assert.deepEqual([claims['sub'], claims['preferred_username']], [person.uid, person.name], `grant ${way}`);
        if (typeof body?.['id_token'] === 'string') assert.equal(payloadOf(body['id_token'])['sub'], person.uid);
        const ours = body?.['gatehouse'] as { headers: unknown } | undefined;
        if (ours !== undefined) assert.deepEqual(ours.headers, [['X-Who', person.name]], `grant ${way}`);
        const key = `${person.name} ${way}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    assert.equal(seen.size, 2 * grants.length, 'each of both went every way');
    assert.equal(
      [...seen.values()].reduce((sum, n) => sum + n, 0),
      SIGN_INS,
    );
  });
});
