/** Rule C: path rules see what the application will act on. */
import assert from 'node:assert/strict';
import { ask, story, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { FORWARD, MODES } from './support/modes.ts';
import { allowed, marker, passes, refused, unseen } from './support/verify.ts';
import { speak } from './support/wire.ts';

/** Public are `^/public/` and `^/assets/.*\.css$`; all of these ask for something else. */
export const CONFUSING = [
  '/admin?x=/public/',
  '/admin?/public/',
  '/admin?a=1&X-Original-URL=/public/',
  '/admin#/public/',
  '/admin;/public/',
  '/admin%3f/public/',
  '/admin%23/public/',
  '/public/../admin',
  '/public/./../admin',
  '/public/x/../../admin',
  '/public//../admin',
  '/public/..//admin',
  '/public/%2e%2e/admin',
  '/public/%2E%2E/admin',
  '/public/.%2e/admin',
  '/public/%2e./admin',
  '/public/%252e%252e/admin',
  '/public/%25252e%25252e/admin',
  '/public%2f..%2fadmin',
  '/public/..%2fadmin',
  '/public/%2e%2e%2fadmin',
  '/public/..%5cadmin',
  '/public/..%255cadmin',
  '/public/..\\admin',
  '/public\\..\\admin',
  '/public/%5c../admin',
  '/public/..;/admin',
  '/public/..;x=y/admin',
  '/public/;/../admin',
  '/public/%3b/../admin',
  '/public/..%3b/admin',
  '/public/..%00/admin',
  '/public/%00/../admin',
  '/public/..%0d/admin',
  '/public/..%09/admin',
  '/public/..%20/admin',
  '/public/%c0%ae%c0%ae/admin',
  '/public/%c0%af../admin',
  '/public/%u002e%u002e/admin',
  '/public/%/../admin',
  '/public/%zz',
  '/%70ublic/../admin',
  '/public/..',
  '/public/../',
  '/./admin/../admin/../public/../admin',
  '/admin/..;/public/x',
  '/PUBLIC/x',
  '/Public/x',
  '/xpublic/',
  '/x/public/',
  '//public/',
  '//evil.test/public/',
  '/public',
  '/admin/x.css',
  '/admin%0a/public/',
  '/admin/%2e%2e/public/../admin',
  '/assets/../admin.css',
  '/assets/..%2fadmin.css',
  '/assets/x.css/../../admin',
  '/admin?/assets/x.css',
  '/admin/assets/x.css',
  '/assets/x.css;/../../admin',
  '/a\u0000a',
];

/** Looks like one of our endpoints and is none. */
const LOOKALIKE = [
  '/outpost.goauthentik.io-evil/x',
  '/outpost.goauthentik.iox/ping',
  '/outpost.goauthentik.io/../admin',
  '/outpost.goauthentik.io/%2e%2e/admin',
  '/outpost.goauthentik.io/ping/../../admin',
  '/outpost.goauthentik.io/pingx',
  '/outpost.goauthentik.io/ping/x',
  '/outpost.goauthentik.io/static/../../admin',
  '/outpost.goauthentik.io/..;/admin',
  '/outpost.goauthentik.io%2fping',
  '/outpost.goauthentik.io%2f..%2fadmin',
  '/outpost.goauthentik.io/unknown',
  '/outpost.goauthentik.io',
  '/outpost.goauthentik.io/',
  '/OUTPOST.GOAUTHENTIK.IO/ping',
  '//outpost.goauthentik.io/ping',
  '/akproxevil',
  '/akprox-evil/ping',
  '/akprox/..;/admin',
  '/akprox/../admin',
  '/akprox/ping/../../admin',
  '/akprox/pingx',
];

/** Asks with one target in every mode that sees a path. Control characters need a socket of their own. */
async function nobodyPasses(env: Env, target: string): Promise<void> {
  const mark = marker();
  const path = `${target}${target.includes('?') ? '&' : target.includes('#') ? '' : '?'}${mark}`;
  if (/[\u0000-\u0020]/.test(path)) {
    const received = await speak(
      env.port,
      `GET ${path} HTTP/1.1\r\nHost: ${env.host('one')}\r\nConnection: close\r\n\r\n`,
    );
    assert.ok(
      received.statuses.every((s) => s >= 300),
      `${received.sent}: ${received.statuses.join()}`,
    );
    unseen(env, mark);
    return;
  }
  for (const mode of MODES) {
    if (!mode.seesPath) continue;
    const answer = await mode.knock(env, { path });
    refused(answer, `${mode.name}: ${target}`);
    unseen(env, mark, answer);
    const denied = await mode.knock(env, { path, closed: true, who: env.eve });
    refused(denied, `${mode.name} for eve at the site of staff: ${target}`);
    unseen(env, mark, denied);
  }
}

export const cases: Case[] = [
  {
    id: 'C1',
    rule: 'C',
    title: 'targets that only look public, in every mode',
    async run(env) {
      for (const target of CONFUSING) await nobodyPasses(env, target);
    },
  },
  {
    id: 'C2',
    rule: 'C',
    title: 'targets that only look like our endpoints',
    async run(env) {
      for (const target of LOOKALIKE) {
        for (const site of ['one', 'closed', 'fwd'] as const) {
          const mark = marker();
          const answer = await ask({ port: env.port, host: env.host(site), path: `${target}?${mark}` });
          refused(answer);
          unseen(env, mark, answer);
        }
        for (const mode of FORWARD) refused(await mode.knock(env, { path: target }), `${mode.name}: ${target}`);
      }
    },
  },
  {
    id: 'C3',
    rule: 'C',
    title: 'what is public is public, and nothing else of the same site, whatever lines are blank',
    async run(env) {
      for (const mode of MODES) {
        if (!mode.seesPath) continue;
        for (const path of ['/public/x', '/public/x?y=/../admin', '/assets/deep/x.css']) {
          allowed(await mode.knock(env, { path }), `${mode.name}: ${path}`);
        }
        for (const path of ['/', '/private', '/assets/x.js', '/aaaa']) {
          refused(await mode.knock(env, { path }), `${mode.name}: ${path}`);
        }
      }
      const odd = (path: string) => ask({ port: env.port, host: env.host('rules'), path });
      for (const path of ['/public/x', '/aaaa', '/assets/x.css']) allowed(await odd(path), path);
      for (const path of ['/', '/private', '/aaaab']) refused(await odd(path), path);
    },
  },
  {
    id: 'C4',
    rule: 'C',
    title: 'a pattern that backtracks elsewhere costs nothing here',
    async run(env) {
      const answer = await ask({ port: env.port, host: env.host('rules'), path: `/${'a'.repeat(30_000)}b` });
      refused(answer);
      // which would take longer than anybody lives
      assert.ok(answer.took < 15_000, `took ${Math.round(answer.took)} ms: ${story(answer)}`);
    },
  },
  {
    id: 'C5',
    rule: 'C',
    title: 'no header of the client names another path, in proxy mode or beside the address nginx sets',
    async run(env) {
      const names = [
        'X-Original-URI',
        'X-Original-URL',
        'X-Forwarded-Uri',
        'X-Forwarded-Path',
        'X-Rewrite-URL',
        'X-Forwarded-Prefix',
        'X-Auth-Request-Redirect',
        'X_Original_Uri',
        'X.Original.Url',
      ];
      for (const name of names) {
        for (const value of ['/public/x', env.url('fwd', '/public/x'), env.url('one', '/public/x')]) {
          const mark = marker();
          const answer = await ask({
            port: env.port,
            host: env.host('one'),
            path: `/admin?${mark}`,
            headers: [[name, value]],
          });
          refused(answer);
          unseen(env, mark, answer);
          // nginx replaces only the header its configuration names and hands every other one of the client on
          const set: Pair = ['X-Original-URL', env.url('fwd', '/admin')];
          if (name.toLowerCase() === 'x-original-url') continue;
          for (const headers of [
            [set, [name, value] as const],
            [[name, value] as const, set],
          ]) {
            const check = await ask({
              port: env.port,
              host: env.host('fwd'),
              path: '/outpost.goauthentik.io/auth/nginx',
              headers,
            });
            refused(check);
          }
        }
      }
    },
  },
  {
    id: 'C6',
    rule: 'C',
    title: 'on /akprox/auth, where the reverse proxy names no address, a client cannot name a public one',
    async run(env) {
      for (const name of ['X-Original-URI', 'X-Original-URL', 'X-Forwarded-Uri']) {
        for (const value of ['/public/x', env.url('fwd', '/public/x')]) {
          refused(await ask({ port: env.port, host: env.host('fwd'), path: '/akprox/auth', headers: [[name, value]] }));
        }
      }
    },
  },
  {
    id: 'C7',
    rule: 'C',
    title: 'a public path does not carry headers that send the application to another path',
    async run(env) {
      for (const name of ['X-Original-URL', 'X-Rewrite-URL', 'X-Original-URI', 'X_Rewrite_Url']) {
        const mark = marker();
        const answer = await ask({
          port: env.port,
          host: env.host('one'),
          path: `/public/x?${mark}`,
          headers: [[name, '/admin-by-header']],
        });
        for (const seen of env.upstream.about(mark)) {
          const hit = seen.pairs.find(([, v]) => v.includes('/admin-by-header'));
          assert.equal(hit, undefined, `${hit?.[0]} reached the application: ${story(answer)}`);
        }
      }
    },
  },
  {
    id: 'C8',
    rule: 'C',
    title: 'the User-Agent of a health checker means nothing',
    async run(env) {
      for (const agent of [
        'GoogleHC/1.0',
        'kube-probe/1.30',
        'ELB-HealthChecker/2.0',
        'goauthentik.io/healthcheck',
        'goauthentik.io/outpost/2026.5',
        'Amazon-Route53-Health-Check-Service',
      ]) {
        for (const mode of MODES) {
          const mark = marker();
          const answer = await mode.knock(env, { path: `/?${mark}`, headers: [['User-Agent', agent]] });
          refused(answer);
          unseen(env, mark, answer);
        }
      }
    },
  },
  {
    id: 'C9',
    rule: 'C',
    title: 'what is carried arrives byte for byte',
    async run(env) {
      const who = env.eve.cookieHeader(env.host('one'));
      for (const path of ['/api/queues/%2F/x', '/x//y', '/x%20y?a=%2e%2e&b=c+d', '/%7Euser/', '/a;b=c/d']) {
        const mark = marker();
        const target = `${path}${path.includes('?') ? '&' : '?'}${mark}`;
        const answer = await ask({ port: env.port, host: env.host('one'), path: target, headers: [['Cookie', who]] });
        if (passes(answer)) assert.equal(env.upstream.about(mark)[0]?.url, target, story(answer));
        else unseen(env, mark, answer);
      }
    },
  },
];
