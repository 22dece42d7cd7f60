/** Rules F and M at the token endpoint: machines that sign in without a browser. */
import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Person } from '../harness/provision.ts';
import { story, type Answer, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { clientOf, post, tokensFor, type Client } from './support/oauth.ts';
import { marker } from './support/verify.ts';

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const SCOPE = 'openid profile email ak_proxy';

interface AppPassword {
  identifier: string;
  key: string;
}

async function appPassword(env: Env, person: Person, intent = 'app_password'): Promise<AppPassword> {
  const identifier = `attack-${marker()}`.replaceAll(/[^\w-]/g, '-');
  await env.gatehouse.api.post('core/tokens/', { identifier, intent, user: person.pk });
  const { key } = await env.gatehouse.api.get(`core/tokens/${identifier}/view_key/`);
  return { identifier, key: String(key) };
}

const ask = (env: Env, client: Client, form: Record<string, string>, headers: readonly Pair[] = []) =>
  post(env, 'token', { grant_type: 'client_credentials', client_id: client.id, scope: SCOPE, ...form }, headers);

const userinfo = (env: Env, token: string) => post(env, 'userinfo', { access_token: token });

function issued(answer: Answer): string {
  assert.equal(answer.status, 200, story(answer));
  return (JSON.parse(answer.text) as { access_token: string }).access_token;
}

function notIssued(answer: Answer, what: string): void {
  assert.equal(answer.status, 400, `${what}: ${story(answer)}`);
  assert.ok(!answer.text.includes('access_token'), `${what}: ${story(answer)}`);
}

async function active(env: Env, client: Client, token: string): Promise<boolean> {
  const answer = await post(env, 'introspect', { token, client_id: client.id, client_secret: client.secret });
  return (JSON.parse(answer.text) as { active: boolean }).active;
}

export const cases: Case[] = [
  {
    id: 'F20',
    rule: 'F',
    title: 'machines get the scopes that are configured, and into what they may open',
    async run(env) {
      const person = await env.person();
      const { key } = await appPassword(env, person);
      const pair = { username: person.username, password: key };
      const client = await clientOf(env, 'one');
      const answer = await ask(env, client, { ...pair, scope: 'openid goauthentik.io/api admin offline_access' });
      assert.equal(decodeJwt(issued(answer))['scope'], 'openid', story(answer));
      for (const site of ['closed', 'closedfwd'] as const) {
        notIssued(await ask(env, await clientOf(env, site), pair), `an app password of somebody else at ${site}`);
      }
    },
  },
  {
    id: 'F21',
    rule: 'F',
    title: 'two people with app passwords side by side, nobody becomes the other',
    async run(env) {
      const client = await clientOf(env, 'one');
      const people = [await env.person(), await env.person()];
      const keys = await Promise.all(people.map((person) => appPassword(env, person)));
      await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const username = people[i % 2]?.username ?? '';
          const token = issued(await ask(env, client, { username, password: keys[i % 2]?.key ?? '' }));
          assert.equal(decodeJwt(token)['preferred_username'], username);
          const again = await ask(env, client, { client_assertion_type: ASSERTION, client_assertion: token });
          assert.equal(decodeJwt(issued(again))['preferred_username'], username);
        }),
      );
    },
  },
  {
    id: 'M20',
    rule: 'M',
    title: 'what was made from an app password dies with it, and with its owner',
    async run(env) {
      const client = await clientOf(env, 'one');
      const { api } = env.gatehouse;
      const ends: [what: string, end: (person: Person, token: AppPassword) => Promise<unknown>][] = [
        ['deleted', (_, { identifier }) => api.delete(`core/tokens/${identifier}/`)],
        ['another key', (_, { identifier }) => api.post(`core/tokens/${identifier}/set_key/`, { key: 'k'.repeat(40) })],
        ['over', (_, { identifier }) => api.patch(`core/tokens/${identifier}/`, { expires: '2020-01-01T00:00:00Z' })],
        ['switched off', ({ pk }) => api.patch(`core/users/${pk}/`, { is_active: false })],
      ];
      for (const [what, end] of ends) {
        const person = await env.person();
        const password = await appPassword(env, person);
        const pair = { username: person.username, password: password.key };
        const token = issued(await ask(env, client, pair));
        const assertion = { client_assertion_type: ASSERTION, client_assertion: token };
        const derived = issued(await ask(env, client, assertion));
        assert.equal(await active(env, client, derived), true, what);
        await end(person, password);
        assert.equal(await active(env, client, token), false, `${what}: its token`);
        assert.equal(await active(env, client, derived), false, `${what}: what was made of its token`);
        notIssued(await ask(env, client, pair), what);
        notIssued(await ask(env, client, assertion), `${what}: its token as an assertion`);
      }
    },
  },
  {
    id: 'M21',
    rule: 'M',
    title: 'other credentials, and those of others, are no app password and no assertion',
    async run(env) {
      const client = await clientOf(env, 'one');
      const { eve, staff } = env.people;
      const { key } = await appPassword(env, eve);
      const api = await appPassword(env, eve, 'api');
      const { access_token, id_token } = await tokensFor(env, env.eve.copy(), client);
      const foreign = (await tokensFor(env, env.eve.copy(), await clientOf(env, 'two'))).access_token;
      const [head = '', body = ''] = access_token.split('.');
      const wrong: [what: string, form: Record<string, string>][] = [
        ["eve's key as staff", { username: staff.username, password: key }],
        ["eve's key as the administrator", { username: 'akadmin', password: key }],
        ['a key of the API', { username: eve.username, password: api.key }],
        ['a token as password', { username: eve.username, password: access_token }],
        ['a key as token', { username: 'goauthentik.io/token', password: key }],
        ['the secret of another', { client_secret: (await clientOf(env, 'two')).secret }],
        ...[foreign, id_token, `${head}.${body}.`, `${head}.${body}.AAAA`, 'x', ''].map(
          (token, i): [string, Record<string, string>] => [
            `assertion ${i}`,
            { client_assertion_type: ASSERTION, client_assertion: token },
          ],
        ),
        ['another kind of assertion', { client_assertion_type: 'urn:x', client_assertion: access_token }],
        ['the password of eve', { username: eve.username, password: eve.password }],
      ];
      for (const [what, form] of wrong) notIssued(await ask(env, client, form), what);
      issued(await ask(env, client, { client_assertion_type: ASSERTION, client_assertion: access_token }));
    },
  },
  {
    id: 'M22',
    rule: 'M',
    title: 'headers of a person are told to the outpost, not to whoever has an app password',
    async run(env) {
      const secret = `header-${marker()}`;
      const person = await env.person({ attributes: { additionalHeaders: { 'X-Secret': secret } } });
      const { key } = await appPassword(env, person);
      const client = await clientOf(env, 'one');
      const pair = { username: person.username, password: key };
      for (const form of [pair, { ...pair, client_secret: 'guess' }, { ...pair, client_secret: '' }]) {
        const answer = await ask(env, client, form, [
          ['X-Gatehouse-Extension', '1'],
          ['X-Gatehouse-Internal', '1'],
          ['X-authentik-remote-ip', '127.0.0.1'],
        ]);
        const token = issued(answer);
        const told = answer.text + JSON.stringify(decodeJwt(token));
        assert.ok(!told.includes(secret) && !told.includes('"gatehouse"'), story(answer));
        const info = await userinfo(env, token);
        assert.equal(info.status, 200, story(info));
        assert.ok(!info.text.includes(secret), story(info));
      }
    },
  },
];
