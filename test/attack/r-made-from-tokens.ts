/** What comes of credentials and tokens: where it counts, and that it ends with what it was made from. */
import assert from 'node:assert/strict';
import { EXTENSION_HEADER, EXTENSION_VERSION } from '../../src/contract/extension.ts';
import { all, ask, one, story, type Answer, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { clientFor, codeFor, notIssued, post, redemption, tokensFor, type Client } from './support/oauth.ts';
import { allowed, marker, shutWithin } from './support/verify.ts';

const OURS: Pair = [EXTENSION_HEADER, EXTENSION_VERSION];

export const cases: Case[] = [
  {
    id: 'F30',
    rule: 'F',
    title: 'an app password makes no token for a whole domain to who may open a part of it',
    async run(env) {
      const domain = `machines${marker()}.test`.replaceAll('_', '-').toLowerCase();
      const slug = domain.replaceAll('.', '-');
      const externalHost = `http://login.${domain}:${env.port}`;
      const { provider } = await env.provision.application({
        slug,
        mode: 'forward_domain',
        externalHost,
        provider: { cookie_domain: domain },
        groups: [env.staffGroup],
      });
      await env.provision.boundApplication(provider, { slug: `${slug}-open`, host: `open.${domain}` });
      const client = await clientFor(env, { slug, provider, externalHost });
      const password = await env.provision.appPassword(env.people.eve.pk, slug);
      const form = {
        grant_type: 'client_credentials',
        client_id: client.id,
        scope: 'openid',
        username: env.people.eve.username,
        password,
      };
      const proven = { ...form, client_secret: client.secret };
      notIssued(await post(env, 'token', form), 'as the published outpost asks');
      notIssued(await post(env, 'token', proven), 'as the published outpost asks, with its secret');
      for (const client_secret of ['', 'guess']) {
        const unproven = { ...form, client_secret };
        notIssued(await post(env, 'token', unproven, [OURS]), 'an outpost of ours shows the secret');
      }
      // ours know what is hers; the token they hand on to her application opens no more either
      await env.provision.served(env.gatehouse.origin, `http://open.${domain}:${env.port}/`);
      const pair = Buffer.from(`${form.username}:${password}`).toString('base64');
      const answer = await ask({
        port: env.port,
        host: `open.${domain}:${env.port}`,
        path: '/outpost.goauthentik.io/auth/nginx',
        headers: [
          ['Authorization', `Basic ${pair}`],
          ['X-Original-URL', `http://open.${domain}:${env.port}/x`],
        ],
      });
      assert.equal(answer.status, 200, story(answer));
      const token = one(answer, 'x-authentik-jwt');
      assert.ok(token !== '', story(answer));
      const told = await post(env, 'introspect', { token, client_id: client.id, client_secret: client.secret });
      assert.deepEqual(JSON.parse(told.text), { active: false }, story(told));
    },
  },
  {
    id: 'A30',
    rule: 'A',
    title: 'no name that reads as another once control characters are gone is saved',
    async run(env) {
      const person = await env.person();
      const group = await env.provision.group(`plain${marker()}`);
      for (const odd of ['\u0001', '\u0000', '\u001f', '\u007f', '\u0085', '\n', '\t', '\r\n']) {
        const name = `authentik${odd} Admins`;
        for (const [method, path, body] of [
          ['POST', 'core/groups/', { name }],
          ['PATCH', `core/groups/${group}/`, { name }],
          ['PATCH', `core/users/${person.pk}/`, { username: `ak${odd}admin` }],
          ['PATCH', `core/users/${person.pk}/`, { name }],
        ] as const) {
          const answer = await env.gatehouse.api.raw(method, path, body);
          assert.equal(answer.status, 400, `saved ${JSON.stringify(body)}: ${answer.status} ${answer.text}`);
        }
      }
    },
  },
  {
    id: 'I30',
    rule: 'I',
    title: 'signing out of one application ends what other applications took its token for',
    async run(env) {
      const { origin, heir } = await trust(env);
      const { person, browser } = await env.visitor('one');
      await browser.signIn(
        `${origin.externalHost}/outpost.goauthentik.io/start?rd=%2Fenter`,
        person.username,
        person.password,
      );
      const { access_token } = await tokensFor(env, browser, origin.client);
      const over = await shown(env, heir, access_token);
      await browser.follow(`${origin.externalHost}/outpost.goauthentik.io/sign_out`);
      await over('the sign-out of the application it was made for');
      const still = (await browser.follow(env.url('one', '/private'))).at(-1);
      assert.equal(still?.answer.status, 200, 'the session was to go on');
    },
  },
  {
    id: 'I31',
    rule: 'I',
    title: 'a token revoked ends what was made from it over several steps',
    async run(env) {
      const { origin, heir } = await trust(env);
      const person = await env.person();
      const password = await env.provision.appPassword(person.pk, `steps-${person.username}`);
      const next = async (form: Record<string, string>): Promise<string> => {
        const asked = {
          grant_type: 'client_credentials',
          client_id: origin.client.id,
          scope: 'openid profile',
          ...form,
        };
        const answer = await post(env, 'token', asked);
        assert.equal(answer.status, 200, story(answer));
        return (JSON.parse(answer.text) as { access_token: string }).access_token;
      };
      const tokens = [await next({ username: person.username, password })];
      while (tokens.length < 4) {
        tokens.push(await next({ client_assertion_type: ASSERTION, client_assertion: tokens.at(-1) ?? '' }));
      }
      const over = await shown(env, heir, tokens[3] ?? '');
      const { id: client_id, secret: client_secret } = origin.client;
      await post(env, 'revoke', { token: tokens[1] ?? '', client_id, client_secret });
      await over('the revocation of a token two steps before');
      const first = await post(env, 'introspect', { token: tokens[0] ?? '', client_id, client_secret });
      assert.equal((JSON.parse(first.text) as { active: boolean }).active, true, story(first));
    },
  },
  {
    id: 'I32',
    rule: 'I',
    title: 'a code used again ends what was made from its token, at outposts too',
    async run(env) {
      const { origin, heir } = await trust(env);
      const { browser } = await env.visitor('one');
      const code = await codeFor(env, browser, origin.client);
      const answer = await post(env, 'token', redemption(origin.client, code));
      assert.equal(answer.status, 200, story(answer));
      const { access_token } = JSON.parse(answer.text) as { access_token: string };
      const over = await shown(env, heir, access_token);
      notIssued(await post(env, 'token', redemption(origin.client, code)), 'a code used again');
      await over('the second use of its code');
    },
  },
];

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** What would only run out by itself lives for a minute and more. */
const SOON = 5000;

interface Site {
  externalHost: string;
  client: Client;
}

/** Two new applications; `heir` accepts the tokens of `origin`, which people sign out of alone. */
async function trust(env: Env): Promise<{ origin: Site; heir: Site }> {
  const make = async (name: string, trusted: number[]): Promise<Site & { provider: number }> => {
    const slug = `${name}-${marker()}`;
    const externalHost = `http://${slug}.test:${env.port}`;
    const { provider } = await env.provision.application({
      slug,
      mode: 'forward_single',
      externalHost,
      provider: { jwt_federation_providers: trusted },
      gatehouse: { sign_out: 'application' },
    });
    await env.provision.served(env.gatehouse.origin, `${externalHost}/`);
    return { externalHost, provider, client: await clientFor(env, { slug, provider, externalHost }) };
  };
  const origin = await make('origin', []);
  return { origin, heir: await make('heir', [origin.provider]) };
}

/** Shows a token to an application. @returns what waits for the end of the token and of the session made from it */
async function shown(env: Env, site: Site, token: string): Promise<(what: string) => Promise<void>> {
  const knock = (header: Pair): Promise<Answer> =>
    ask({
      port: env.port,
      host: new URL(site.externalHost).host,
      path: '/outpost.goauthentik.io/auth/nginx',
      headers: [header, ['X-Original-URL', `${site.externalHost}/x`]],
    });
  const bearer: Pair = ['Authorization', `Bearer ${token}`];
  const answer = await knock(bearer);
  allowed(answer, 'its token');
  const session = all(answer, 'set-cookie').map((line) => line.split(';')[0]);
  const cookie: Pair = ['Cookie', session.join('; ')];
  allowed(await knock(cookie), 'the session made from it');
  return async (what) => {
    await shutWithin(SOON, what, async () => [await knock(bearer), await knock(cookie)]);
  };
}
