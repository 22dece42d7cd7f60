/** Rule K: configuration is input too. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { all, ask, one, story, type Answer } from './support/ask.ts';
import type { Case } from './support/case.ts';
import { enter, type Env } from './support/env.ts';
import { clientOf, authorize, proper } from './support/oauth.ts';

const LURE = '"><img src=x onerror=alert(1)><script>alert(2)</script>';

function inert(answer: Answer): void {
  assert.ok(!/<script>alert|<img src=x/i.test(answer.text), `markup of a name is live: ${story(answer)}`);
  const policy = one(answer, 'content-security-policy');
  assert.match(policy, /default-src 'none'/, story(answer));
  assert.match(policy, /frame-ancestors 'none'/, story(answer));
  assert.match(policy, /base-uri 'none'/, story(answer));
  assert.ok(!/script-src[^;]*'unsafe-(inline|eval)'/.test(policy), policy);
  assert.ok(!/script-src[^;]*(\*|https?:|data:)/.test(policy), policy);
  assert.equal(one(answer, 'x-content-type-options'), 'nosniff', story(answer));
  assert.match(one(answer, 'cache-control'), /no-store/, story(answer));
}

/** Runs `gatehouse config` from the sources under attack. */
function config(env: Env, target: string, provider: string, ...more: string[]) {
  const line = [join(env.gatehouse.root, 'src/main.ts'), 'config', target, '--provider', provider, ...more];
  return spawnSync(process.execPath, line, {
    encoding: 'utf8',
    env: { GATEHOUSE_HOST: env.gatehouse.server, GATEHOUSE_TOKEN: env.gatehouse.api.token },
  });
}

async function isRefused(env: Env, method: string, path: string, body: unknown): Promise<void> {
  const answer = await env.gatehouse.api.raw(method, path, body);
  assert.equal(answer.status, 400, `${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.text}`);
}

export const cases: Case[] = [
  {
    id: 'K1',
    rule: 'K',
    title: 'hosts and patterns that are none are refused when saved',
    async run(env) {
      const path = `providers/proxy/${env.applications.two.provider}/`;
      const valid = { mode: 'proxy', internal_host: `http://127.0.0.1:${env.upstream.port}` };
      const hosts = [
        'javascript:alert(1)',
        'file:///etc/passwd',
        'ftp://x.test',
        'http://',
        'x.test',
        '//x.test',
        'http://a b.test',
        'http://x.test\r\nX-Evil: 1',
        'http://x.test\nevil',
        'http://"x".test',
        "http://x.test;}evil{'",
        'unix:/run/x.sock',
        'http://x.test:99999',
        'data:text/html,x',
        'http://x.test/\u0000',
      ];
      for (const host of hosts) {
        await isRefused(env, 'PATCH', path, { ...valid, internal_host: host });
        await isRefused(env, 'PATCH', path, { ...valid, external_host: host });
      }
      for (const pattern of ['(', '[a', '(?<=x)y', '(a)\\1', '^/ok/\n*', 'x{99999}']) {
        await isRefused(env, 'PATCH', path, { ...valid, skip_path_regex: pattern });
      }
      await isRefused(env, 'PATCH', path, { ...valid, internal_host: '' });
      await isRefused(env, 'PATCH', path, { ...valid, external_host: env.base });
      await isRefused(env, 'PATCH', path, { ...valid, external_host: env.url('one', '') });
      await isRefused(env, 'PATCH', path, { ...valid, mode: 'everything' });
    },
  },
  {
    id: 'K2',
    rule: 'K',
    title: 'slugs that would be paths, and reserved ones, are refused',
    async run(env) {
      for (const slug of [
        '',
        'a/b',
        '../x',
        'a b',
        'a%2fb',
        'authorize',
        'token',
        'userinfo',
        'introspect',
        'revoke',
        'device',
        'é',
        'a\n',
        '.',
      ]) {
        await isRefused(env, 'POST', 'core/applications/', { name: 'x', slug });
      }
    },
  },
  {
    id: 'K3',
    rule: 'K',
    title: 'names are text on every page: login, denial, portal, signed out, errors',
    async run(env) {
      const person = await env.person({ name: LURE });
      await env.gatehouse.api.patch('core/applications/closed/', {
        name: `Closed ${LURE}`,
        meta_description: LURE,
        meta_publisher: LURE,
      });
      try {
        const nobody = env.anyone();
        const login = (await nobody.follow(env.url('closed', `/${encodeURIComponent(LURE).replaceAll('%2F', '')}`))).at(
          -1,
        );
        assert.match(login?.answer.text ?? '', /name="password"/, 'no login page');
        const browser = env.anyone();
        await enter(env, browser, 'one', person);
        const denial = (await browser.follow(env.url('closed', '/private'))).at(-1);
        const portal = await browser.visit(`${env.base}/if/user/`);
        const failed = login === undefined ? undefined : await nobody.submit(login, { username: LURE, password: LURE });
        const client = await clientOf(env, 'closed');
        const wrong = await authorize(env, browser, { ...proper(client), redirect_uri: LURE });
        const error = await browser.visit(
          env.url(
            'one',
            `/outpost.goauthentik.io/callback?error=${encodeURIComponent(LURE)}&error_description=${encodeURIComponent(LURE)}`,
          ),
        );
        const missing = await browser.visit(`${env.base}/${encodeURIComponent(LURE)}?x=${encodeURIComponent(LURE)}`);
        const signedOut = (await browser.follow(env.url('one', '/outpost.goauthentik.io/sign_out'))).at(-1);
        for (const answer of [
          login?.answer,
          denial?.answer,
          portal,
          failed,
          wrong,
          error,
          missing,
          signedOut?.answer,
        ]) {
          assert.ok(answer, 'a page is missing');
          if (one(answer, 'location') !== '') continue;
          inert(answer);
        }
      } finally {
        await env.gatehouse.api.patch('core/applications/closed/', {
          name: 'closed',
          meta_description: '',
          meta_publisher: '',
        });
      }
    },
  },
  {
    id: 'K4',
    rule: 'K',
    title: 'a launch address that is a script is no link',
    async run(env) {
      for (const meta_launch_url of [
        'javascript:alert(1)',
        ' javascript:alert(1)',
        'java\tscript:alert(1)',
        'data:text/html,<script>alert(1)</script>',
        'vbscript:x',
        '//evil.test/%(username)s"onclick="alert(1)',
      ]) {
        const saved = await env.gatehouse.api.raw('PATCH', 'core/applications/one/', { meta_launch_url });
        if (saved.status === 400) continue;
        const portal = await env.eve.copy().visit(`${env.base}/if/user/`);
        assert.ok(
          !/href\s*=\s*["']?\s*(javascript|java\tscript|data|vbscript):/i.test(portal.text),
          `${meta_launch_url} is a link: ${story(portal)}`,
        );
        assert.ok(!/"onclick="/.test(portal.text), story(portal));
      }
      await env.gatehouse.api.patch('core/applications/one/', { meta_launch_url: '' });
    },
  },
  {
    id: 'K5',
    rule: 'K',
    title: 'a session says nothing about where requests are carried',
    async run(env) {
      const person = await env.person({
        attributes: {
          ak_proxy: { backend_override: 'http://127.0.0.1:1' },
          backend_override: 'http://127.0.0.1:1',
          host_header: 'evil.test',
        },
      });
      const browser = env.anyone();
      await enter(env, browser, 'one', person);
      const answer = await browser.visit(env.url('one', '/private'));
      assert.equal(answer.status, 200, story(answer));
      assert.ok(!answer.text.includes('evil.test'), story(answer));
    },
  },
  {
    id: 'K6',
    rule: 'K',
    title: 'answers of the API and of machines are not pages',
    async run(env) {
      for (const [host, path] of [
        [new URL(env.base).host, `/api/v3/core/users/?search=${encodeURIComponent(LURE)}`],
        [new URL(env.base).host, `/api/v3/${encodeURIComponent(LURE)}`],
        [env.host('one'), `/outpost.goauthentik.io/auth/${encodeURIComponent(LURE)}`],
        [env.host('fwd'), '/outpost.goauthentik.io/auth/nginx'],
      ] as const) {
        const answer = await ask({ port: env.port, host, path, headers: [['Accept', 'application/json']] });
        const type = all(answer, 'content-type').join();
        assert.ok(!/<script>alert|<img src=x/.test(answer.text) || type.startsWith('application/json'), story(answer));
      }
    },
  },
  {
    id: 'K7',
    rule: 'K',
    title: 'names and hosts cannot break out of a generated configuration',
    async run(env) {
      const path = `providers/proxy/${env.applications.two.provider}/`;
      const { name, mode, internal_host } = await env.gatehouse.api.get(path);
      const neutral = new Map<string, number>();
      try {
        for (const hostile of [
          'plain',
          'a"; } return 200; # {{ env "PATH" }} {$HOME} $(id) `id`',
          'a\nreturn 200;\r\n- b: c',
        ]) {
          await env.gatehouse.api.patch(path, { name: hostile, mode, internal_host });
          for (const target of ['nginx', 'traefik', 'caddy', 'haproxy']) {
            const { status, stdout, stderr } = config(env, target, hostile);
            assert.equal(status, 0, stderr);
            const lines = stdout.split('\n').length;
            assert.equal(lines, neutral.get(target) ?? lines, `${target}: ${hostile} makes lines of its own`);
            neutral.set(target, lines);
            assert.doesNotMatch(stdout, /\{\{|\{\$|return 200;|\$\(|`id`/, target);
          }
        }
      } finally {
        await env.gatehouse.api.patch(path, { name: String(name), mode, internal_host });
      }
      for (const upstream of ['http://x;return200;', 'http://${HOME}', 'http://a"b', 'http://a{b}', 'http://x/;y']) {
        const { status, stdout } = config(env, 'nginx', String(name), '--upstream', upstream);
        assert.deepEqual([status, stdout], [1, ''], upstream);
      }
    },
  },
];
