/** Rule F: OAuth and tokens. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import {
  exportSPKI,
  generateKeyPair,
  importJWK,
  SignJWT,
  exportJWK,
  decodeJwt,
  decodeProtectedHeader,
  type JWK,
} from 'jose';
import { Api } from '../harness/api.ts';
import { all, ask, one, story, type Answer } from './support/ask.ts';
import type { Case } from './support/case.ts';
import { enter, SECRET_KEY, type Env } from './support/env.ts';
import {
  authorize,
  clientOf,
  codeFor,
  notIssued,
  outpostApi,
  post,
  proper,
  redemption,
  tokensFor,
  VERIFIER,
  type Client,
} from './support/oauth.ts';
import { marker, passes, refused } from './support/verify.ts';

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function keySet(env: Env, slug: string): Promise<JWK[]> {
  const answer = await ask({ port: env.port, host: new URL(env.base).host, path: `/application/o/${slug}/jwks/` });
  return (JSON.parse(answer.text) as { keys: JWK[] }).keys;
}

async function publicKeyOf(jwk: JWK) {
  const key = await importJWK(jwk, 'RS256');
  assert.ok(!(key instanceof Uint8Array), 'the published key is symmetric');
  return key;
}

/** A real access token of eve changed into what an attacker would like to be believed. */
async function forgeries(env: Env, token: string): Promise<[what: string, token: string][]> {
  const payload = { ...decodeJwt(token), preferred_username: 'akadmin', exp: Math.floor(Date.now() / 1000) + 3600 };
  const header = decodeProtectedHeader(token);
  const [published] = await keySet(env, 'one');
  assert.ok(published, 'no published key');
  const pem = await exportSPKI(await publicKeyOf(published));
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = await exportJWK(publicKey);
  const sink = `http://127.0.0.1:${env.upstream.port}/keys-of-the-attacker`;
  const hmac = (alg: string, key: string | Buffer, kid = header.kid) => {
    const body = `${encode({ alg, typ: 'JWT', kid })}.${encode(payload)}`;
    return `${body}.${createHmac(`sha${alg.slice(2)}`, key)
      .update(body)
      .digest('base64url')}`;
  };
  const signed = (more: Record<string, unknown>) =>
    new SignJWT(payload).setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...more }).sign(privateKey);
  const [h = '', p = '', s = ''] = token.split('.');
  return [
    ['alg none', `${encode({ alg: 'none', typ: 'JWT' })}.${encode(payload)}.`],
    ['alg NONE with the old signature', `${encode({ alg: 'NONE' })}.${encode(payload)}.${s}`],
    ['no signature', `${h}.${p}.`],
    ['a changed payload', `${h}.${encode(payload)}.${s}`],
    ['HS256 keyed with the public key as PEM', hmac('HS256', pem)],
    ['HS256 keyed with the public key as JSON', hmac('HS256', JSON.stringify(published))],
    ['HS256 keyed with the modulus', hmac('HS256', Buffer.from(published.n ?? '', 'base64url'))],
    ['HS512 keyed with the PEM', hmac('HS512', pem)],
    ['HS256 keyed with nothing', hmac('HS256', '')],
    ['HS256 keyed with the secret key', hmac('HS256', SECRET_KEY)],
    ['a key of its own in jwk', await signed({ jwk, kid: header.kid })],
    ['a key of its own behind jku', await signed({ jku: sink, kid: 'mine' })],
    ['a key of its own behind x5u', await signed({ x5u: sink, kid: 'mine' })],
    ['the right kid, another key', await signed({ kid: header.kid })],
    ['a kid that is a path', await signed({ kid: '../../../../dev/null' })],
    ['a kid that is SQL', await signed({ kid: "x' UNION SELECT 'AA" })],
    ['no kid', await signed({})],
    ['an unknown critical header', await signed({ kid: header.kid, crit: ['b64'], b64: true })],
  ];
}

async function introspect(env: Env, client: Client, token: string): Promise<{ active: boolean }> {
  const answer = await post(env, 'introspect', { token, client_id: client.id, client_secret: client.secret });
  assert.equal(answer.status, 200, story(answer));
  return JSON.parse(answer.text) as { active: boolean };
}

function userinfo(env: Env, token: string): Promise<Answer> {
  return ask({
    port: env.port,
    host: new URL(env.base).host,
    path: '/application/o/userinfo/',
    headers: [['Authorization', `Bearer ${token}`]],
  });
}

export const cases: Case[] = [
  {
    id: 'F1',
    rule: 'F',
    title: 'redirect URIs match exactly or nothing is sent anywhere',
    async run(env) {
      const client = await clientOf(env, 'one');
      const right = client.redirectUri;
      const host = env.host('one');
      const wrong = [
        '',
        'https://evil.test/',
        right.replace(host, `${host}.evil.test`),
        right.replace(host, `${host}@evil.test`),
        right.replace(host, `evil.test\\@${host}`),
        right.replace('callback', 'callback/../../evil'),
        right.replace('callback', 'CALLBACK'),
        right.replace('callback', 'callback/'),
        right.replace('http:', 'https:'),
        right.replace('=true', '=TRUE'),
        right.replace('?X-authentik-auth-callback=true', ''),
        `${right}&next=https://evil.test`,
        `${right}#fragment`,
        `${right} `,
        right.replace('.test', '%2etest'),
        right.replace(host, host.replace(/:\d+/, '')),
        (await clientOf(env, 'two')).redirectUri,
        'javascript:alert(1)',
        'urn:ietf:wg:oauth:2.0:oob',
      ];
      for (const redirect_uri of wrong) {
        const answer = await authorize(env, env.eve.copy(), { ...proper(client), redirect_uri });
        assert.equal(answer.status, 400, `redirect_uri ${redirect_uri}: ${story(answer)}`);
        assert.equal(one(answer, 'location'), '', story(answer));
      }
      const twice = await env.eve
        .copy()
        .visit(
          `${env.base}/application/o/authorize/?${new URLSearchParams(proper(client)).toString()}&redirect_uri=https%3A%2F%2Fevil.test%2F`,
        );
      assert.ok(!one(twice, 'location').includes('evil.test'), story(twice));
      const unknown = await authorize(env, env.eve.copy(), { ...proper(client), client_id: 'unknown' });
      assert.equal(unknown.status, 400, story(unknown));
    },
  },
  {
    id: 'F2',
    rule: 'F',
    title: 'a code works once',
    async run(env) {
      const client = await clientOf(env, 'one');
      const code = await codeFor(env, env.eve.copy(), client);
      const first = await post(env, 'token', redemption(client, code));
      assert.equal(first.status, 200, story(first));
      const { access_token } = JSON.parse(first.text) as { access_token: string };
      notIssued(await post(env, 'token', redemption(client, code)), 'the second use of a code');
      assert.equal(
        (await introspect(env, client, access_token)).active,
        false,
        'the token of a code used twice is still active',
      );
      const raced = await codeFor(env, env.eve.copy(), client);
      const answers = await Promise.all(Array.from({ length: 5 }, () => post(env, 'token', redemption(client, raced))));
      assert.ok(answers.filter(passes).length <= 1, `${answers.filter(passes).length} of five parallel uses worked`);
    },
  },
  {
    id: 'F3',
    rule: 'F',
    title: 'a code is for its client, its redirect URI and its verifier',
    async run(env) {
      const client = await clientOf(env, 'one');
      const other = await clientOf(env, 'two');
      const wrong: [what: string, form: (code: string) => Record<string, string>][] = [
        ['another client', (code) => redemption({ ...other, redirectUri: client.redirectUri }, code)],
        ['another client and its redirect URI', (code) => redemption(other, code)],
        ['no secret', (code) => ({ ...redemption(client, code), client_secret: '' })],
        ['a wrong secret', (code) => ({ ...redemption(client, code), client_secret: `${client.secret}x` })],
        ['the secret of another', (code) => ({ ...redemption(client, code), client_secret: other.secret })],
        ['no verifier', (code) => ({ ...redemption(client, code), code_verifier: '' })],
        ['a wrong verifier', (code) => ({ ...redemption(client, code), code_verifier: `${VERIFIER}x` })],
        ['another redirect URI', (code) => ({ ...redemption(client, code), redirect_uri: 'https://evil.test/' })],
      ];
      for (const [what, form] of wrong) {
        notIssued(await post(env, 'token', form(await codeFor(env, env.eve.copy(), client))), what);
      }
      const missing = redemption(client, await codeFor(env, env.eve.copy(), client));
      delete missing['code_verifier'];
      notIssued(await post(env, 'token', missing), 'the verifier left out');
      notIssued(await post(env, 'token', { ...redemption(client, 'guess'), code: 'guess' }), 'a guessed code');
    },
  },
  {
    id: 'F4',
    rule: 'F',
    title: 'our outpost always sends PKCE S256, a nonce and a state, different each time',
    async run(env) {
      const seen = new Set<string>();
      for (const start of [
        env.url('one', '/private'),
        env.url('fwd', '/outpost.goauthentik.io/start'),
        env.url('fwd', '/akprox/start'),
      ]) {
        for (let i = 0; i < 3; i++) {
          const hops = await env.anyone().follow(start, 3);
          const url = hops.map((h) => one(h.answer, 'location')).find((l) => l.includes('/application/o/authorize/'));
          assert.ok(url, hops.map((h) => story(h.answer)).join('\n'));
          const params = new URL(url).searchParams;
          assert.equal(params.get('code_challenge_method'), 'S256', url);
          for (const name of ['code_challenge', 'nonce', 'state']) {
            const value = params.get(name) ?? '';
            assert.ok(value.length >= 20, `${name} in ${url}`);
            assert.ok(!seen.has(value), `${name} repeats in ${url}`);
            seen.add(value);
          }
        }
      }
    },
  },
  {
    id: 'F5',
    rule: 'F',
    title: 'forged tokens are nobody, at userinfo, introspection and the API, and fetch nothing',
    async run(env) {
      const client = await clientOf(env, 'one');
      const { access_token } = await tokensFor(env, env.eve.copy(), client);
      assert.equal((await introspect(env, client, access_token)).active, true, 'the real token');
      for (const [what, token] of await forgeries(env, access_token)) {
        const info = await userinfo(env, token);
        assert.equal(info.status, 401, `${what}: ${story(info)}`);
        assert.equal((await introspect(env, client, token)).active, false, what);
        const api = await new Api(env.gatehouse.origin, token).raw('GET', 'core/users/me/');
        assert.equal(api.status, 403, `${what} at the API: ${api.status} ${api.text}`);
      }
      assert.deepEqual(env.upstream.about('keys-of-the-attacker'), [], 'a key was fetched from an address in a token');
    },
  },
  {
    id: 'F6',
    rule: 'F',
    title: 'tokens of one provider are nothing to another, and none is a key to the API',
    async run(env) {
      const [client, other] = [await clientOf(env, 'one'), await clientOf(env, 'two')];
      const { access_token, id_token } = await tokensFor(env, env.eve.copy(), client);
      assert.equal((await introspect(env, other, access_token)).active, false, 'introspected by another provider');
      assert.equal(
        (await introspect(env, { ...client, secret: 'wrong' }, access_token)).active,
        false,
        'with a wrong secret',
      );
      for (const token of [access_token, id_token]) {
        const api = await new Api(env.gatehouse.origin, token).raw('GET', 'outposts/proxy/');
        assert.equal(api.status, 403, `a token of an application at the API: ${api.status}`);
        for (const site of ['two', 'fwd', 'closed'] as const) {
          const name = env.eve.sessionCookies(env.host(site))[0]?.name ?? 'authentik_proxy_00000000';
          const answer = await ask({
            port: env.port,
            host: env.host(site),
            path: site === 'fwd' ? '/akprox/auth' : '/private',
            headers: [['Cookie', `${name}=${token}`]],
          });
          refused(answer, 'a token as session cookie');
        }
      }
    },
  },
  {
    id: 'F7',
    rule: 'F',
    title: 'scopes beyond those configured are not given',
    async run(env) {
      const client = await clientOf(env, 'one');
      const code = await codeFor(env, env.eve.copy(), client, {
        scope: 'openid profile goauthentik.io/api admin offline_access',
      });
      const answer = await post(env, 'token', redemption(client, code));
      assert.equal(answer.status, 200, story(answer));
      const tokens = JSON.parse(answer.text) as { scope: string; refresh_token?: string; access_token: string };
      for (const scope of ['goauthentik.io/api', 'admin', 'offline_access']) {
        assert.ok(!tokens.scope.split(' ').includes(scope), `scope ${tokens.scope}`);
      }
      assert.equal(tokens.refresh_token, undefined);
      const api = await new Api(env.gatehouse.origin, tokens.access_token).raw('GET', 'core/users/me/');
      assert.equal(api.status, 403, `${api.status} ${api.text}`);
    },
  },
  {
    id: 'F8',
    rule: 'F',
    title: 'response types and modes other than a code are refused',
    async run(env) {
      const client = await clientOf(env, 'one');
      for (const more of [
        { response_type: 'token' },
        { response_type: 'id_token' },
        { response_type: 'id_token token' },
        { response_type: 'code id_token' },
        { code_challenge_method: 'plain', code_challenge: VERIFIER },
        { request: `${encode({ alg: 'none' })}.${encode({ redirect_uri: 'https://evil.test/' })}.` },
        { request_uri: `http://127.0.0.1:${env.upstream.port}/request-of-the-attacker` },
      ]) {
        const answer = await authorize(env, env.eve.copy(), { ...proper(client), ...more });
        const location = one(answer, 'location');
        const given = location === '' ? undefined : new URL(location);
        assert.ok(!location.includes('access_token=') && !location.includes('id_token='), story(answer));
        if ('code_challenge_method' in more || 'response_type' in more)
          assert.equal(given?.searchParams.get('code') ?? null, null, story(answer));
        assert.ok(!location.startsWith('https://evil.test'), story(answer));
      }
      assert.deepEqual(env.upstream.about('request-of-the-attacker'), []);
    },
  },
  {
    id: 'F9',
    rule: 'F',
    title: 'secrets never stand in a read answer',
    async run(env) {
      const secrets = new Map<string, string>([
        ['the secret key', SECRET_KEY],
        ['the bootstrap token', env.gatehouse.api.token],
        ["the outpost's token", (await outpostApi(env)).token],
      ]);
      for (const provider of await (await outpostApi(env)).list('outposts/proxy/')) {
        secrets.set(`client secret of ${String(provider['name'])}`, String(provider['client_secret']));
        secrets.set(`cookie secret of ${String(provider['name'])}`, String(provider['cookie_secret']));
      }
      const paths = [
        'core/users/',
        'core/users/me/',
        'core/groups/',
        'core/applications/',
        'core/tokens/',
        'core/authenticated_sessions/',
        'providers/proxy/',
        `providers/proxy/${env.applications.one.provider}/`,
        'outposts/instances/',
        'outposts/instances/default_settings/',
        'root/config/',
        'policies/bindings/',
        'flows/instances/',
        'propertymappings/provider/scope/',
        'events/events/?page_size=100',
        'schema/',
      ];
      for (const path of paths) {
        const answer = await env.gatehouse.api.raw('GET', path);
        for (const [what, secret] of secrets) assert.ok(!answer.text.includes(secret), `${what} stands in ${path}`);
        assert.ok(!/\$argon2/.test(answer.text), `a password hash stands in ${path}`);
        assert.ok(
          !/"(client_secret|cookie_secret|key|password)":"[^"]/.test(answer.text),
          `a secret member stands in ${path}`,
        );
      }
    },
  },
  {
    id: 'F10',
    rule: 'F',
    title: 'nobody and eve read and write nothing that is not theirs, and the secret key is no bearer',
    async run(env) {
      const keys = [
        '',
        'x',
        SECRET_KEY,
        `${env.gatehouse.api.token}x`,
        env.gatehouse.api.token.toUpperCase(),
        'null',
        'undefined',
      ];
      const paths = [
        'core/users/',
        'core/tokens/',
        'outposts/instances/',
        'outposts/proxy/',
        'providers/proxy/',
        'events/events/',
        'core/authenticated_sessions/',
        'core/users/me/',
        'gatehouse/capabilities/',
      ];
      for (const key of keys) {
        for (const path of paths) {
          const answer = await new Api(env.gatehouse.origin, key).raw('GET', path);
          assert.ok(
            answer.status === 403 || answer.status === 401,
            `Bearer ${JSON.stringify(key)} reads ${path}: ${answer.status}`,
          );
        }
        for (const path of [
          'gatehouse/outposts/session_refresh/',
          'gatehouse/outposts/sign_out/',
          'core/users/',
          'events/events/',
        ]) {
          const answer = await new Api(env.gatehouse.origin, key).raw('POST', path, {});
          assert.ok(
            answer.status === 403 || answer.status === 401,
            `Bearer ${JSON.stringify(key)} writes ${path}: ${answer.status}`,
          );
        }
      }
      const browser = env.eve.copy();
      const cookie = browser.cookieHeader(new URL(env.base).host);
      for (const path of [
        'outposts/proxy/',
        'outposts/instances/',
        'providers/proxy/',
        'core/tokens/',
        'core/users/',
        'core/groups/',
        'events/events/',
        `core/users/${env.people.staff.pk}/`,
      ]) {
        const answer = await ask({
          port: env.port,
          host: new URL(env.base).host,
          path: `/api/v3/${path}`,
          headers: [
            ['Cookie', cookie],
            ['Sec-Fetch-Site', 'same-origin'],
          ],
        });
        assert.ok(!answer.text.includes(env.people.staff.username) && !answer.text.includes('secret'), story(answer));
      }
    },
  },
  {
    id: 'F11',
    rule: 'F',
    title: 'two people signing in side by side never become each other',
    async run(env) {
      const people = [await env.person(), await env.person()];
      await Promise.all(
        Array.from({ length: 12 }, async (_, i) => {
          const person = people[i % 2];
          assert.ok(person);
          const browser = env.anyone();
          await enter(env, browser, i % 3 === 0 ? 'fwd' : 'one', person);
          if (i % 3 !== 0) {
            const answer = await browser.visit(env.url('one', `/who?${marker()}`));
            assert.ok(
              answer.text.includes(`"${person.username}"`),
              `${person.username} became someone else: ${story(answer)}`,
            );
          } else {
            const answer = await ask({
              port: env.port,
              host: env.host('fwd'),
              path: '/akprox/auth',
              headers: [['Cookie', browser.cookieHeader(env.host('fwd'))]],
            });
            assert.deepEqual(all(answer, 'X-Authentik-Username'), [person.username], story(answer));
          }
        }),
      );
    },
  },
  {
    id: 'F12',
    rule: 'F',
    title: 'a token of a session that is over is dead, and so is its unused code',
    async run(env) {
      const client = await clientOf(env, 'one');
      const { browser } = await env.visitor();
      const { access_token } = await tokensFor(env, browser, client);
      const code = await codeFor(env, browser, client);
      await browser.follow(env.url('one', '/outpost.goauthentik.io/sign_out'));
      notIssued(await post(env, 'token', redemption(client, code)), 'the code of an ended session');
      assert.equal((await introspect(env, client, access_token)).active, false, 'the token of an ended session');
      assert.equal((await userinfo(env, access_token)).status, 401, 'userinfo of an ended session');
    },
  },
];
