/** What passes without a login because no browser could log in with it: rules B, C and D once more. */
import assert from 'node:assert/strict';
import { ask, story, type Answer, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { allowed, marker, refused, unseen } from './support/verify.ts';

const OP = '/outpost.goauthentik.io';
const CORS: readonly Pair[] = [
  ['Origin', 'https://elsewhere.test'],
  ['Access-Control-Request-Method', 'DELETE'],
];

/** Two applications that let preflights pass and make assets public: `easy` is carried, `easyfwd` asked about. */
const ready = new WeakMap<Env, Promise<void>>();
function furnished(env: Env): Promise<void> {
  let made = ready.get(env);
  if (made === undefined) ready.set(env, (made = furnish(env)));
  return made;
}

const host = (env: Env, name: string) => `${name}.test:${env.port}`;

async function furnish(env: Env): Promise<void> {
  const settings = { gatehouse: { preflight: 'pass', public_assets: true } } as const;
  for (const name of ['easy', 'easyfwd']) {
    const externalHost = `http://${host(env, name)}`;
    await env.provision.application({
      ...{ slug: name, externalHost, ...settings },
      ...(name === 'easy'
        ? { mode: 'proxy', internalHost: `http://127.0.0.1:${env.upstream.port}` }
        : { mode: 'forward_single' }),
    });
    await env.provision.served(env.gatehouse.origin, externalHost);
  }
}

interface Question {
  method: string;
  path: string;
  headers: readonly Pair[];
}

/** The same question in every way it can be asked. */
const WAYS: Record<string, (env: Env, question: Question) => Promise<Answer>> = {
  carried: (env, q) => ask({ port: env.port, host: host(env, 'easy'), ...q }),
  nginx: (env, q) => asAnswer(env, q, '/auth/nginx/with-method', [['X-Original-Method', q.method]]),
  traefik: (env, q) => asAnswer(env, q, '/auth/traefik', [['X-Forwarded-Method', q.method]]),
  envoy: (env, { method, path, headers }) =>
    ask({ port: env.port, host: host(env, 'easyfwd'), method, path: `${OP}/auth/envoy${path}`, headers }),
};

function asAnswer(env: Env, { path, headers }: Question, check: string, more: readonly Pair[]): Promise<Answer> {
  const named: Pair[] = check.includes('nginx')
    ? [['X-Original-URL', `http://${host(env, 'easyfwd')}${path}`]]
    : [['X-Forwarded-Uri', path], ['X-Forwarded-Host', host(env, 'easyfwd')], ['X-Forwarded-Proto', 'http']]; // prettier-ignore
  return ask({
    port: env.port,
    host: host(env, 'easyfwd'),
    path: OP + check,
    headers: [...headers, ...named, ...more],
  });
}

export const cases: Case[] = [
  {
    id: 'B30',
    rule: 'B',
    title: 'what is no preflight passes as none, and a preflight is nobody',
    async run(env) {
      await furnished(env);
      const wrong: [method: string, headers: readonly Pair[]][] = [
        ...['GET', 'HEAD', 'POST', 'DELETE', 'options', 'FOO'].map((m): [string, readonly Pair[]] => [m, CORS]),
        ['OPTIONS', []],
        ['OPTIONS', CORS.slice(0, 1)],
        ['OPTIONS', CORS.slice(1)],
        ['OPTIONS', [...CORS, ['Origin', 'https://other.test']]],
        ['OPTIONS', [...CORS, ['X-HTTP-Method-Override', 'DELETE']]],
        ['OPTIONS', [...CORS, ['X_Http_Method', 'GET']]],
        ['OPTIONS', [...CORS, ['Cookie', 'a=b']]],
        ['OPTIONS', [...CORS, ['Authorization', 'Bearer x']]],
        ['OPTIONS', [['Origin', 'https://elsewhere.test/x'], ...CORS.slice(1)]],
      ];
      for (const [way, put] of Object.entries(WAYS)) {
        for (const [method, headers] of wrong) {
          if (method === 'options' && (way === 'carried' || way === 'envoy')) continue; // Node sends it in capitals
          const mark = marker();
          const answer = await put(env, { method, path: `/private?${mark}`, headers });
          refused(answer, `${way}: passed as a preflight`);
          unseen(env, mark, answer);
        }
        const mark = marker();
        const forged: Pair = ['X-Authentik-Username', 'akadmin'];
        const answer = await put(env, { method: 'OPTIONS', path: `/private?${mark}`, headers: [...CORS, forged] });
        allowed(answer, `${way}: a true preflight`);
        const pairs = way === 'carried' ? (env.upstream.about(mark)[0]?.pairs ?? []) : answer.pairs;
        const named = pairs.find(([n, v]) => /^x.authentik.username$/i.test(n) && v !== '');
        assert.equal(named, undefined, `${way}: somebody's name went along: ${story(answer)}`);
      }
    },
  },
  {
    id: 'C30',
    rule: 'C',
    title: 'an asset is public by its name at the root, not by an ending, a folder or a header',
    async run(env) {
      await furnished(env);
      const asset: readonly Pair[] = [['Sec-Fetch-Dest', 'manifest'], ['Sec-Fetch-Mode', 'cors'], ['Accept', '*/*']]; // prettier-ignore
      const worker: readonly Pair[] = [
        ['Sec-Fetch-Dest', 'serviceworker'],
        ['Service-Worker', 'script'],
      ];
      const paths = [
        ...[
          '/private',
          '/private/manifest.json',
          '/users.webmanifest',
          '/manifest.json/private',
          '/private/favicon.ico',
        ],
        ...[
          '/manifest.json;/../private',
          '/manifest.json/../private',
          '/private%2fmanifest.json',
          '/private?/manifest.json',
        ],
        ...[
          '/manifest.json%00',
          '/MANIFEST.JSON',
          '//private/manifest.json',
          '/favicon.ico.php',
          '/private;/robots.txt',
        ],
      ];
      for (const [way, put] of Object.entries(WAYS)) {
        for (const headers of [asset, worker, []]) {
          for (const path of paths) {
            const mark = marker();
            const marked = `${path}${path.includes('?') ? '&' : '?'}${mark}`;
            const answer = await put(env, { method: 'GET', path: marked, headers });
            refused(answer, `${way}: ${path} passed as an asset`);
            unseen(env, mark, answer);
          }
          const post = await put(env, { method: 'POST', path: '/manifest.json', headers });
          refused(post, `${way}: a POST passed as an asset`);
        }
        allowed(
          await put(env, { method: 'GET', path: '/manifest.json', headers: asset }),
          `${way}: the manifest itself`,
        );
        const login = await put(env, { method: 'GET', path: '/private/manifest.json', headers: asset });
        assert.equal(login.status, 401, `${way}: a redirect for what cannot follow it: ${story(login)}`);
      }
    },
  },
  {
    id: 'D30',
    rule: 'D',
    title: 'a visitor behind nginx does not name the method by which the question is decided',
    async run(env) {
      await furnished(env);
      const question: Question = { method: 'OPTIONS', path: '/private', headers: CORS };
      // the published text asks here, and hands on every header of the visitor that it does not set
      for (const check of ['/auth/nginx', '/auth/nginx/', '/auth/nginx/x']) {
        const answer = await asAnswer(env, question, check, [['X-Original-Method', 'OPTIONS']]);
        refused(answer, `${check}: a method only the visitor can have named opened the application`);
      }
      const twice: readonly Pair[] = [['X-Original-Method', 'GET'], ['x-original-method', 'OPTIONS']]; // prettier-ignore
      refused(await asAnswer(env, question, '/auth/nginx/with-method', twice), 'two methods');
      const stranger = await ask({
        ...{ port: env.port, host: host(env, 'easyfwd'), from: '127.0.0.66', path: `${OP}/auth/nginx/with-method` },
        headers: [
          ...CORS,
          ['X-Original-URL', `http://${host(env, 'easyfwd')}/private`],
          ['X-Original-Method', 'OPTIONS'],
        ],
      });
      refused(stranger, 'a stranger named the method');
    },
  },
];
