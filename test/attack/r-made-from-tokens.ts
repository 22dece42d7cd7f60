/** What comes of credentials and tokens: where it counts, and that it ends with what it was made from. */
import assert from 'node:assert/strict';
import { EXTENSION_HEADER, EXTENSION_VERSION } from '../../src/contract/extension.ts';
import { ask, one, story, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import { clientFor, notIssued, post } from './support/oauth.ts';
import { marker } from './support/verify.ts';

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
      for (const headers of [[], [OURS]]) {
        notIssued(await post(env, 'token', form, headers), 'as the published outpost asks');
        notIssued(await post(env, 'token', proven, headers), 'nobody outside is one of our own outposts');
      }
      // which know what is hers; the token they hand on to her application opens no more either
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
];
