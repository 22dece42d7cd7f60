/** Rule M: what is no credential in an Authorization header. */
import assert from 'node:assert/strict';
import { ADMIN_PASSWORD } from '../harness/gatehouse.ts';
import { ask, story, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import { SECRET_KEY, type Env } from './support/env.ts';
import { MODES } from './support/modes.ts';
import { clientOf, outpostApi, post, tokensFor } from './support/oauth.ts';
import { marker, refused, unseen, within } from './support/verify.ts';

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

async function credentials(env: Env): Promise<string[]> {
  const { eve, staff } = env.people;
  // of an application that is neither of those asked
  const { access_token } = await tokensFor(env, env.eve.copy(), await clientOf(env, 'two'));
  return [
    basic(eve.username, eve.password),
    basic(staff.username, staff.password),
    basic('akadmin', ADMIN_PASSWORD),
    basic('akadmin', env.gatehouse.api.token),
    basic('goauthentik.io/token', env.gatehouse.api.token),
    basic('goauthentik.io/token', access_token),
    `Bearer ${access_token}`,
    `bearer ${access_token}`,
    `Bearer ${env.gatehouse.api.token}`,
    `Bearer ${(await outpostApi(env)).token}`,
    `Bearer ${SECRET_KEY}`,
    `Bearer `,
    'Basic ',
    'Basic ====',
    `Negotiate ${'A'.repeat(4000)}`,
    'x',
  ];
}

export const cases: Case[] = [
  {
    id: 'M1',
    rule: 'M',
    title: 'nothing but an app password or a token of the application opens it, in any mode',
    async run(env) {
      for (const value of await credentials(env)) {
        for (const mode of MODES) {
          for (const closed of [false, true]) {
            for (const headers of [
              [['Authorization', value]],
              [
                ['Authorization', 'x'],
                ['Authorization', value],
              ],
              [
                ['Proxy-Authorization', value],
                ['X-Authorization', value],
              ],
            ] as Pair[][]) {
              const mark = marker();
              const answer = await mode.knock(env, { path: `/private?${mark}`, closed, headers });
              refused(answer);
              unseen(env, mark, answer);
            }
          }
        }
      }
    },
  },
  {
    id: 'M2',
    rule: 'M',
    title: 'the account password is no credential at the token endpoint',
    async run(env) {
      const client = await clientOf(env, 'one');
      const { username, password } = env.people.eve;
      for (const form of [
        { grant_type: 'password', username, password },
        { grant_type: 'client_credentials', username, password },
        { grant_type: 'client_credentials', client_secret: Buffer.from(`${username}:${password}`).toString('base64') },
        { grant_type: 'client_credentials', username: 'akadmin', password: env.gatehouse.api.token },
      ]) {
        const answer = await post(env, 'token', {
          client_id: client.id,
          client_secret: client.secret,
          scope: 'openid',
          ...form,
        });
        assert.ok(answer.status >= 400 && !answer.text.includes('access_token'), story(answer));
      }
    },
  },
  {
    id: 'M3',
    rule: 'M',
    title: 'credentials and secrets stand in no log line and no metric',
    async run(env) {
      const mark = marker();
      const { username, password } = env.people.eve;
      const client = await clientOf(env, 'one');
      const { access_token } = await tokensFor(env, env.eve.copy(), client);
      const secrets = new Map<string, string>([
        ["eve's password", password],
        ['the password of the administrator', ADMIN_PASSWORD],
        ['the secret key', SECRET_KEY],
        ['a client secret', client.secret],
        ["the outpost's token", (await outpostApi(env)).token],
        ['a Basic header', basic(username, `${password}${mark}`).slice(6)],
        ['a token', access_token.slice(-60)],
        ['a session cookie', (env.eve.sessionCookies(env.host('one'))[0]?.value ?? 'x'.repeat(60)).slice(-60)],
        ['a code in the query', `code-${mark}`],
        ['a state in the query', `state-${mark}`],
        ['a token in the query', `token-${mark}`],
        ['a cookie', `cookie-${mark}`],
        ['a key of the application', `key-${mark}`],
      ]);
      const query = `?code=code-${mark}&state=state-${mark}&access_token=token-${mark}&id_token_hint=token-${mark}&token=token-${mark}`;
      for (const path of [
        `/private${query}`,
        `/outpost.goauthentik.io/callback${query}`,
        `/outpost.goauthentik.io/auth/nginx${query}`,
      ]) {
        for (const host of [env.host('one'), env.host('fwd'), new URL(env.base).host]) {
          await ask({
            port: env.port,
            host,
            path,
            headers: [
              ['Authorization', basic(username, `${password}${mark}`)],
              ['Cookie', `app=cookie-${mark}`],
              ['Referer', `${env.url('fwd', '/private')}${query}`],
              ['X-Api-Key', `key-${mark}`],
              ['X-Original-URL', `${env.url('fwd', '/private')}${query}`],
            ],
          });
        }
      }
      // each worker writes its log in batches: wait for requests made after all others, enough of them for every worker
      const last = Array.from({ length: 10 }, marker);
      for (const word of last) await ask({ port: env.port, host: env.host('one'), path: `/public/${word}` });
      await within(5000, 'the log', () => Promise.resolve(last.every((word) => env.gatehouse.log.includes(word))));
      const metrics = await (await fetch(`http://127.0.0.1:${env.gatehouse.metricsPort}/metrics`)).text();
      assert.match(metrics, /authentik_outpost/, 'no metrics');
      for (const [what, secret] of secrets) {
        const line = env.gatehouse.log.split('\n').find((l) => l.includes(secret));
        assert.equal(line, undefined, `${what} stands in the log: ${line?.slice(0, 300)}`);
        assert.ok(!metrics.includes(secret), `${what} stands in the metrics`);
      }
      assert.ok(!metrics.includes(mark), 'metrics carry what a client sent');
    },
  },
];
