/** Rules A and K: scope mappings that administrators write, and people who would like to. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt } from 'jose';
import { Api } from '../harness/api.ts';
import { one, story } from './support/ask.ts';
import type { Case } from './support/case.ts';
import { enter, type Env } from './support/env.ts';
import { clientOf, outpostApi, post, tokensFor } from './support/oauth.ts';
import { allowed, marker, unseen, values } from './support/verify.ts';

const SCOPES = 'propertymappings/provider/scope/';

/** Runs `work` while the provider of the site `one` has this mapping; its scope is one that is asked for anyway. */
async function withMapping(env: Env, expression: string, work: (pk: string) => Promise<void>): Promise<void> {
  const { api } = env.gatehouse;
  const made = await api.post(SCOPES, { name: marker(), scope_name: 'profile', expression });
  const pk = String(made['pk']);
  try {
    await api.patch(`providers/proxy/${env.applications.one.provider}/`, {
      internal_host: `http://127.0.0.1:${env.upstream.port}`,
      property_mappings: [pk],
    });
    await work(pk);
  } finally {
    await api.delete(`${SCOPES}${pk}/`);
  }
}

/** Expressions have two seconds: a machine that stands still for longer must not look like a hole. */
async function insist(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

/** Somebody signed in at `one`. */
async function signedIn(env: Env, attributes: Record<string, string> = {}) {
  const person = await env.person({ attributes });
  const browser = env.anyone();
  await enter(env, browser, 'one', person);
  return { person, browser };
}

/** The token that the application got with this request. */
function tokenAt(env: Env, mark: string): string {
  const [seen] = env.upstream.about(mark);
  const [token = ''] = values(seen?.pairs ?? [], 'x-authentik-jwt');
  assert.ok(token !== '', 'the application got no token');
  return token;
}

const payloadOf = (token: string) => Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();

export const cases: Case[] = [
  {
    id: 'K10',
    rule: 'K',
    title: 'a mapping leads nobody to a host that is not allowed, whatever people may choose themselves',
    async run(env) {
      let asked = 0;
      const other = createServer((_, res) => {
        asked++;
        res.end('not yours');
      });
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const { port } = other.address() as AddressInfo;
      const expression = 'return {"ak_proxy": {"backend_override": user.attributes.get("to", "")}}';
      try {
        await withMapping(env, expression, async () => {
          for (const to of [
            `http://127.0.0.1:${port}/`,
            `http://127.0.0.1:${env.upstream.port}@127.0.0.1:${port}/`,
            `http://127.0.0.1:${env.upstream.port}#@127.0.0.1:${port}/`,
            `http://127.0.0.1:${env.upstream.port}\\@127.0.0.1:${port}/`,
            `http://2130706433:${port}/`,
            `http://localhost:${port}/`,
            `http://127.0.0.1:${env.upstream.port}/../../up`,
            'file:///etc/passwd',
            'unix:/run/x.sock',
          ]) {
            await insist(async () => {
              const { browser } = await signedIn(env, { to });
              const mark = marker();
              const answer = await browser.visit(env.url('one', `/${mark}`));
              assert.equal(answer.status, 502, `${to}: ${story(answer)}`);
              unseen(env, mark, answer);
            });
          }
          assert.equal(asked, 0, 'another server was asked');
        });
      } finally {
        other.closeAllConnections();
        other.close();
      }
    },
  },
  {
    id: 'K11',
    rule: 'K',
    title: 'a mapping replaces nothing the protocol rests on',
    async run(env) {
      const claims = 'iss sub aud exp nbf iat jti azp nonce acr amr sid uid scope client_id active at_hash'.split(' ');
      const expression = `return {name: "evil" for name in ${JSON.stringify(claims)}} | {"ran": True}`;
      await withMapping(env, expression, () =>
        insist(async () => {
          const client = await clientOf(env, 'one');
          const { browser } = await signedIn(env);
          const { access_token, id_token } = await tokensFor(env, browser, client);
          for (const token of [access_token, id_token]) {
            const told = decodeJwt(token);
            assert.equal(told['ran'], true);
            for (const name of claims) assert.notEqual(told[name], 'evil', `${name} of ${payloadOf(token)}`);
          }
          const form = { token: access_token, client_id: client.id, client_secret: client.secret };
          for (const answer of [await post(env, 'introspect', form), await post(env, 'userinfo', { access_token })]) {
            assert.match(answer.text, /"ran":true/, story(answer));
            assert.ok(!answer.text.includes('evil'), story(answer));
          }
        }),
      );
    },
  },
  {
    id: 'K12',
    rule: 'K',
    title: 'expressions see no credentials',
    async run(env) {
      const expression = `
seen = [http_request.method, http_request.path, str(http_request.GET), str(http_request.headers), str(http_request.META)]
seen += [str(vars(request)), str(vars(user)), str(dict(provider)), str(dict(token)), str(application), str(request.obj), str(context)]
return {"seen": "\\n".join(seen)}`;
      await withMapping(env, expression, () =>
        insist(async () => {
          const { person, browser } = await signedIn(env);
          const mark = marker();
          allowed(await browser.visit(env.url('one', `/${mark}`)));
          const seen = String(decodeJwt(tokenAt(env, mark))['seen']);
          assert.ok(seen.includes(person.username), seen);
          const client = await clientOf(env, 'one');
          const cookies = [env.host('one'), new URL(env.base).host].flatMap((host) => browser.cookies(host));
          assert.ok(cookies.length > 1);
          for (const secret of [client.secret, person.password, ...cookies.map((cookie) => cookie.value)]) {
            if (secret.length < 16) continue; // counts and flags
            assert.ok(!seen.includes(secret), `${secret} in ${seen}`);
          }
          assert.doesNotMatch(seen, /_secret|cookie'|authorization'|\$argon2|\$scrypt|bearer |code_verifier/i);
        }),
      );
    },
  },
  {
    id: 'K13',
    rule: 'K',
    title: 'mappings are read, written and tried by superusers only',
    async run(env) {
      await withMapping(env, 'return None', async (pk) => {
        const { api } = env.gatehouse;
        const identifier = marker();
        await api.post('core/tokens/', { identifier, user: env.people.eve.pk, intent: 'api' });
        const { key } = await api.get(`core/tokens/${identifier}/view_key/`);
        const mapping = { name: marker(), scope_name: 'profile', expression: 'return {"is_superuser": True}' };
        for (const [who, caller] of [
          ['a person', new Api(env.gatehouse.server, String(key))],
          ['an outpost', await outpostApi(env)],
          ['nobody', new Api(env.gatehouse.server, 'none')],
        ] as const) {
          for (const [method, path, body] of [
            ['GET', SCOPES, undefined],
            ['GET', `${SCOPES}${pk}/`, undefined],
            ['POST', SCOPES, mapping],
            ['PUT', `${SCOPES}${pk}/`, mapping],
            ['PATCH', `${SCOPES}${pk}/`, mapping],
            ['DELETE', `${SCOPES}${pk}/`, undefined],
            ['POST', `${SCOPES}${pk}/test/`, { user: env.people.staff.pk }],
            ['GET', 'propertymappings/all/', undefined],
            ['DELETE', `propertymappings/all/${pk}/`, undefined],
            ['POST', `propertymappings/all/${pk}/test/`, { user: env.people.staff.pk }],
          ] as const) {
            const answer = await caller.raw(method, path, body);
            assert.equal(answer.status, 403, `${who}: ${method} ${path}: ${answer.status} ${answer.text}`);
          }
        }
        assert.equal((await api.get(`${SCOPES}${pk}/`))['expression'], 'return None');
      });
    },
  },
  {
    id: 'K14',
    rule: 'K',
    title: 'what a mapping gives for headers is in no token and no log',
    async run(env) {
      const secret = marker();
      const expression = `
ak_logger.warning("about to fail", secret=user.attributes["secret"])
if "fail" in user.attributes:
    raise ValueError(user.attributes["secret"])
return {"ak_proxy": {"user_attributes": {"additionalHeaders": {"X-Secret": user.attributes["secret"]}}}}`;
      await withMapping(env, expression, () =>
        insist(async () => {
          const { browser } = await signedIn(env, { secret });
          const mark = marker();
          allowed(await browser.visit(env.url('one', `/${mark}`)));
          const [seen] = env.upstream.about(mark);
          assert.deepEqual(values(seen?.pairs ?? [], 'x-secret'), [secret]);
          assert.ok(!payloadOf(tokenAt(env, mark)).includes(secret), 'the token holds it');
          await signedIn(env, { secret, fail: 'yes' });
          const { text } = await env.gatehouse.api.raw('GET', 'events/events/?action=property_mapping_exception');
          assert.match(text, /ValueError/);
          assert.ok(!text.includes(secret), 'the audit log holds it');
          assert.ok(!env.gatehouse.log.includes(secret), 'the log holds it');
        }),
      );
    },
  },
  {
    id: 'A50',
    rule: 'A',
    title: 'headers that only a mapping gives are nobody’s to send',
    async run(env) {
      const expression = `
name = "X-" + "-".join(["From", "Mapping"])
return {"ak_proxy": {"user_attributes": {"additionalHeaders": {name: "real", "X-Literal": "real"}}}} if "rich" in user.attributes else None`;
      await withMapping(env, expression, () =>
        insist(async () => {
          const poor = await signedIn(env);
          const rich = await signedIn(env, { rich: 'yes' });
          const forged = [
            ['X-Literal', 'forged'],
            ['x_literal', 'forged'],
            ['X-From-Mapping', 'forged'],
            ['X_From-Mapping', 'forged'],
          ] as const;
          for (const [browser, path, real] of [
            [poor.browser, '/', []],
            [env.anyone(), '/public/', []],
            [rich.browser, '/', ['real']],
          ] as const) {
            // outposts learn of a computed name once it was given
            let tries = 0;
            for (;;) {
              const mark = marker();
              const answer = await browser.visit(env.url('one', `${path}${mark}`), forged);
              allowed(answer);
              const [seen] = env.upstream.about(mark);
              const pairs = seen?.pairs ?? [];
              assert.deepEqual(values(pairs, 'x-literal').filter(Boolean), real, story(answer));
              if (!pairs.some(([, value]) => value === 'forged')) break;
              assert.ok(++tries < 200, `still forged: ${JSON.stringify(pairs)} ${one(answer, 'date')}`);
              await new Promise((resolve) => setTimeout(resolve, 50));
            }
          }
        }),
      );
    },
  },
];
