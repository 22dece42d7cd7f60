/** Traefik, Caddy and Envoy: what they relay, and what a visitor could make them ask (rules B, C, D, E). */
import assert from 'node:assert/strict';
import { all, ask, one, story, type Answer, type Pair } from './support/ask.ts';
import { parseSetCookie } from './support/browser.ts';
import type { Case } from './support/case.ts';
import { STRANGER, type Env } from './support/env.ts';
import { RELAYING, type Mode } from './support/modes.ts';
import { allowed, givesNoSession, marker, refused, within } from './support/verify.ts';

const OP = '/outpost.goauthentik.io';
const FORWARDING = [`${OP}/auth/traefik`, `${OP}/auth/caddy`, '/akprox/auth?traefik', '/akprox/auth/caddy'];

const cookieOf = (env: Env, site: 'fwd' | 'closedfwd'): Pair => ['Cookie', env.eve.cookieHeader(env.host(site))];

/** What the reverse proxy itself says of a request to `fwd`. */
const named = (env: Env, uri: string): Pair[] => [
  ['X-Forwarded-Host', env.host('fwd')],
  ['X-Forwarded-Proto', 'http'],
  ['X-Forwarded-Uri', uri],
  ['X-Forwarded-Method', 'GET'],
];

/** Where a sign-in of eve's ends that began with a question about this target. */
async function endOf(env: Env, mode: Mode, path: string): Promise<string> {
  const headers: Pair[] = [['Accept', 'text/html']];
  const begun = await mode.knock(env, { path, headers });
  if (begun.status !== 302) {
    refused(begun);
    return env.url('fwd');
  }
  const jar = all(begun, 'set-cookie').map(parseSetCookie);
  const authorize = one(begun, 'location');
  assert.equal(new URL(authorize).origin, new URL(env.base).origin, story(begun));
  const back = new URL(one(await env.eve.copy().visit(authorize), 'location'));
  assert.equal(back.origin, env.url('fwd', ''), `${path}: the login leads to ${back.href}`);
  const cookie = jar.map(({ name, value }) => `${name}=${value}`).join('; ');
  const done = await mode.knock(env, { path: back.pathname + back.search, headers, cookie });
  assert.equal(done.status, 302, story(done));
  return new URL(one(done, 'location'), env.url('fwd')).href;
}

export const cases: Case[] = [
  {
    id: 'B21',
    rule: 'B',
    title: 'what leads through a login is never a permission, whoever asks for it',
    async run(env) {
      const targets = [
        `${OP}/sign_out`,
        '/akprox/sign_out',
        `${OP}/callback?code=x&state=y`,
        '/akprox/callback',
        `${OP}/start?rd=/public/x`,
        '/akprox/sign_in',
        '/x?X-authentik-logout=true',
        '/x?a=1&X-authentik-logout=TRUE&X-authentik-logout=false',
        '/x?X-authentik-auth-callback=true&code=x&state=y',
        '/x?x-authentik-logout=true',
        '/x?X%2Dauthentik-logout=true',
      ];
      for (const mode of RELAYING) {
        for (const path of targets) {
          for (const accept of ['text/html', '*/*', 'application/json']) {
            const answer = await mode.knock(env, { path, headers: [['Accept', accept]] });
            refused(answer, `${mode.name}: nobody`);
            givesNoSession(answer);
          }
        }
      }
    },
  },
  {
    id: 'B22',
    rule: 'B',
    title: 'missing, malformed and repeated original addresses',
    async run(env) {
      const bad = [
        '',
        'public/x',
        '*',
        '?/public/x',
        '#/public/x',
        env.url('fwd', '/public/x'),
        'javascript:/public/x',
      ];
      for (const path of FORWARDING) {
        const questions: Pair[][] = [
          ...bad.map((uri) => named(env, uri)),
          named(env, '/x').filter(([name]) => name !== 'X-Forwarded-Uri'),
          [...named(env, '/public/x'), ['X-Forwarded-Uri', '/private']],
          [...named(env, '/private'), ['X-Forwarded-Uri', '/public/x']],
          [...named(env, '/public/x'), ['X-Forwarded-Method', 'POST']],
          [...named(env, '/public/x'), ['X-Forwarded-Host', env.host('closedfwd')]],
          [],
        ];
        for (const headers of questions) {
          for (const who of [[], [cookieOf(env, 'fwd')]] as Pair[][]) {
            const host = headers.length === 0 ? env.host('fwd') : 'outpost.internal';
            const answer = await ask({ port: env.port, host, path, headers: [...headers, ...who] });
            refused(answer);
          }
        }
      }
    },
  },
  {
    id: 'B23',
    rule: 'B',
    title: 'the event about a wrong set-up holds no secret, and strangers cannot flood the events',
    async run(env) {
      const secret = marker();
      const before = (await env.gatehouse.api.list('events/events/?action=configuration_error')).length;
      for (let i = 0; i < 60; i++) {
        for (const path of FORWARDING.slice(0, 2)) {
          await ask({
            port: env.port,
            host: env.host('tls'),
            from: i % 2 === 0 ? STRANGER : '127.0.0.1',
            path: `${path}?code=${secret}`,
            headers: [
              ['Cookie', `a=${secret}`],
              ['Authorization', `Bearer ${secret}`],
              ['X-Api-Key', secret],
              ['X-Auth-Token', secret],
              ['Referer', `http://tls.test/?token=${secret}`],
              ['X-Original-URL', `http://tls.test/x?token=${secret}`],
              [`X-${i}`, secret],
            ],
          });
        }
      }
      const told = () => env.gatehouse.api.list('events/events/?action=configuration_error');
      await within(20_000, 'it is told', async () => (await told()).length > 0); // after the answer
      const events = await told();
      assert.ok(events.length - before <= 2, `${events.length - before} events for one mistake`);
      assert.ok(!JSON.stringify(events).includes(secret), 'a secret of the request stands in the events');
    },
  },
  {
    id: 'C21',
    rule: 'C',
    title: 'behind the prefix of Envoy every address is the visitor’s, and none another endpoint of ours',
    async run(env) {
      const lure: Pair[] = [...named(env, '/public/x'), ['X-Original-URL', env.url('fwd', '/public/x')]];
      for (const path of [
        '/../nginx',
        '/../traefik',
        '/../../ping',
        '/../../../akprox/auth/nginx',
        '/..;/nginx',
        '/%2e%2e/nginx',
        '/%2e%2e%2fnginx',
        '/..%2f..%2fping',
        '/..\\nginx',
        '/./../traefik',
        '//../nginx',
        '/x/../../nginx',
        '/../envoy/public/x',
        '/../../../public/x',
        '/public/../../nginx',
        'x/public/x',
        '/',
        '',
        '?/public/x',
        '//evil.test/public/x',
      ]) {
        for (const prefix of [OP, '/akprox']) {
          const headers = lure.filter(([name]) => name !== 'X-Forwarded-Host');
          const target = `${prefix}/auth/envoy${path}`;
          refused(await ask({ port: env.port, host: env.host('fwd'), path: target, headers }));
          const eve: Pair[] = [...headers, cookieOf(env, 'closedfwd')];
          refused(await ask({ port: env.port, host: env.host('closedfwd'), path: target, headers: eve }));
        }
      }
    },
  },
  {
    id: 'C22',
    rule: 'C',
    title: 'neither query nor fragment of the original address opens a path',
    async run(env) {
      for (const mode of RELAYING) {
        for (const path of [
          '/private?/public/x',
          '/private?x=/assets/a.css',
          '/private#/public/',
          '/assets/secret.js#.css',
        ]) {
          refused(await mode.knock(env, { path }), `${mode.name}: ${path}`);
        }
        // no HTTP client sends a space; one that stands in a header arrives
        const spaced = '/assets/secret.js .css';
        if (mode.name !== 'envoy') refused(await mode.knock(env, { path: spaced }), `${mode.name}: ${spaced}`);
        allowed(await mode.knock(env, { path: '/public/x?y=/private' }), mode.name);
      }
    },
  },
  {
    id: 'D21',
    rule: 'D',
    title: 'a stranger names no address, host or method; other spellings name none at all',
    async run(env) {
      for (const path of FORWARDING) {
        for (const host of [env.host('fwd'), 'outpost.internal']) {
          const headers = named(env, '/public/x');
          refused(await ask({ port: env.port, from: STRANGER, host, path, headers }));
        }
        for (const spelling of [
          'X_Forwarded_Uri',
          'X.Forwarded.Uri',
          'X-Forwarded_Uri',
          'X-Forwarded-Url',
          'X-Rewrite-Url',
        ]) {
          const headers = named(env, '/private').filter(([name]) => name !== 'X-Forwarded-Uri');
          refused(await ask({ port: env.port, host: 'o', path, headers: [...headers, [spelling, '/public/x']] }));
          const beside: Pair[] = [...named(env, '/private'), [spelling, '/public/x']];
          refused(await ask({ port: env.port, host: 'o', path, headers: beside }));
        }
      }
    },
  },
  {
    id: 'D22',
    rule: 'D',
    title: 'Envoy asks for the application of its Host, whatever a visitor forwards',
    async run(env) {
      for (const path of ['/admin', '/public/x']) {
        for (const name of ['X-Forwarded-Host', 'X_Forwarded_Host', 'Forwarded', 'X-Host', 'X-Original-Host']) {
          const value = name === 'Forwarded' ? `host="${env.host('fwd')}"` : env.host('fwd');
          const target = `${OP}/auth/envoy${path}`;
          const headers: Pair[] = [[name, value], cookieOf(env, 'fwd')];
          refused(await ask({ port: env.port, host: env.host('closedfwd'), path: target, headers }));
        }
      }
      const headers: Pair[] = [['X-Forwarded-Host', env.host('closedfwd')], cookieOf(env, 'fwd')];
      allowed(await ask({ port: env.port, host: env.host('fwd'), path: `${OP}/auth/envoy/x`, headers }));
    },
  },
  {
    id: 'D23',
    rule: 'D',
    title: 'two original addresses are an error, not a choice',
    async run(env) {
      for (const path of FORWARDING) {
        const both: Pair[] = [...named(env, '/private'), ['X-Forwarded-Uri', '/public/x']];
        refused(await ask({ port: env.port, host: 'o', path, headers: both }));
        refused(await ask({ port: env.port, host: 'o', path, headers: both.toReversed() }));
      }
    },
  },
  {
    id: 'D24',
    rule: 'D',
    title: 'a rule for GET opens nothing to another method, whatever method a visitor names',
    async run(env) {
      const host = `methods.test:${env.port}`;
      await env.provision.application({
        slug: 'methods',
        mode: 'forward_single',
        externalHost: `http://${host}`,
        gatehouse: {
          access_rules: [{ match: 'glob', pattern: '/api/**', methods: ['GET'], effect: 'public', groups: [] }],
        },
      });
      await env.provision.served(env.gatehouse.origin, `http://${host}`);
      const forwarded = (path: string, ...methods: Pair[]) =>
        ask({
          port: env.port,
          host: 'o',
          path,
          headers: [['X-Forwarded-Host', host], ['X-Forwarded-Uri', '/api/x'], ...methods],
        });
      const method = (value: string): Pair => ['X-Forwarded-Method', value];
      for (const path of FORWARDING) {
        allowed(await forwarded(path, method('GET')), path);
        for (const odd of ['POST', 'DELETE', 'GET, GET', 'GET POST', '']) refused(await forwarded(path, method(odd)));
        refused(await forwarded(path), 'no method named');
        refused(await forwarded(path, method('POST'), method('GET')), 'two methods');
        refused(
          await forwarded(path, method('POST'), ['X_Forwarded_Method', 'GET'], ['X-HTTP-Method-Override', 'GET']),
        );
        refused(await forwarded(path, ['X-Forwarded_Method', 'GET'], ['X-Original-Method', 'GET']));
      }
      const lures: Pair[] = [method('GET'), ['X-Original-Method', 'GET'], ['X-HTTP-Method-Override', 'GET']];
      const envoy = (verb: string) =>
        ask({ port: env.port, host, path: `${OP}/auth/envoy/api/x`, method: verb, headers: lures });
      // an application that believes the header would do something else: no rule for one method opens that
      refused(await envoy('GET'), 'Envoy, with a header that names a method');
      lures.pop();
      allowed(await envoy('GET'), 'Envoy');
      for (const verb of ['POST', 'OPTIONS', 'DELETE']) refused(await envoy(verb), verb);
      const headers: Pair[] = [...lures, ['X-Original-URL', `http://${host}/api/x`]];
      refused(await ask({ port: env.port, host, path: `${OP}/auth/nginx`, headers }), 'nginx names no method');
    },
  },
  {
    id: 'E21',
    rule: 'E',
    title: 'no original address leads a sign-in out of the application',
    async run(env) {
      const targets = [
        '//evil.test/',
        '///evil.test',
        '/\\evil.test',
        '/%09//evil.test',
        '/@evil.test',
        '/x?rd=https://evil.test/',
        '/.evil.test',
        '/:80@evil.test',
        `${OP}/start?rd=https://evil.test/`,
        `${OP}/start?rd=//evil.test`,
        '/akprox/start?rd=/\\evil.test',
      ];
      for (const mode of RELAYING) {
        for (const target of targets) {
          const end = await endOf(env, mode, target);
          assert.equal(new URL(end).origin, env.url('fwd', ''), `${mode.name} ${target} ends at ${end}`);
        }
      }
      const hosts = [
        'evil.test',
        'evil.test, fwd.test',
        `${env.host('fwd')}@evil.test`,
        `${env.host('fwd')}.evil.test`,
      ];
      for (const path of FORWARDING) {
        for (const host of hosts) {
          const headers = [
            ...named(env, '/x').filter(([name]) => name !== 'X-Forwarded-Host'),
            ['X-Forwarded-Host', host],
          ];
          const answer: Answer = await ask({ port: env.port, host: 'o', path, headers: headers as Pair[] });
          refused(answer);
          assert.ok(!decodeURIComponent(one(answer, 'location')).includes('evil'), story(answer));
        }
      }
    },
  },
];
