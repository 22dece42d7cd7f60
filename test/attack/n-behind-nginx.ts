/** What visitors can do through the real nginx with the published texts: rules A, C and D once more. */
import assert from 'node:assert/strict';
import { foldHeaderName, IDENTITY_HEADERS } from '../../src/contract/headers.ts';
import { ask, story, type Answer, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import { CONFUSING } from './c-paths.ts';
import type { Env } from './support/env.ts';
import { behindNginx, type Gate, type GateName } from './support/gate.ts';
import { allowed, marker, refused, unseen, values } from './support/verify.ts';

const FORGED = 'forged-by-client';

function knock(gate: Gate, name: GateName, path: string, headers: readonly Pair[]): Promise<Answer> {
  return ask({ port: gate.port, tls: true, host: gate.host(name), path, headers });
}

/** eve's cookies of one site, sent to another. */
const cookieOf = (gate: Gate, name: GateName): Pair => ['Cookie', gate.eve.cookieHeader(gate.host(name))];

async function closedStaysClosed(env: Env, path: string, headers: readonly Pair[]): Promise<void> {
  const gate = await behindNginx(env);
  for (const [open, closed] of [
    ['gate', 'gateclosed'],
    ['old', 'oldclosed'],
  ] as const) {
    for (const host of [gate.host(open), `${open}.test`]) {
      const mark = marker();
      const lures = headers.map(([name, value]): Pair => [name, value.replace('OPEN', host)]);
      const answer = await knock(gate, closed, `${path}?${mark}`, [...lures, cookieOf(gate, open)]);
      refused(answer, `${closed} opened with ${JSON.stringify(lures)}`);
      unseen(env, mark, answer);
    }
  }
}

export const cases: Case[] = [
  {
    id: 'A10',
    rule: 'A',
    title: 'behind nginx a visitor sets no identity header, with the newer text none at all',
    async run(env) {
      const gate = await behindNginx(env);
      for (const separator of ['-', '_', '.', '~']) {
        const headers = IDENTITY_HEADERS.map((name): Pair => [name.replaceAll('-', separator), FORGED]);
        for (const [who, path] of [
          [[cookieOf(gate, 'gate')], '/private'],
          [[], '/public/x'],
        ] as const) {
          const mark = marker();
          const answer = await knock(gate, 'gate', `${path}?${mark}`, [...headers, ...who]);
          allowed(answer);
          const [seen] = env.upstream.about(mark);
          assert.ok(seen, `not seen: ${story(answer)}`);
          const hit = seen.pairs.find(([n, v]) => v.includes(FORGED) && foldHeaderName(n).startsWith('x-authentik-'));
          assert.equal(hit, undefined, `${hit?.[0]} came through nginx: ${story(answer)}`);
          if (who.length > 0) assert.deepEqual(values(seen.pairs, 'X-Authentik-Username'), ['eve'], story(answer));
        }
      }
      // the older text sets two headers and lets every other one of the visitor through
      const mark = marker();
      const forged: Pair[] = [
        ['X-Auth-Username', FORGED],
        ['X-Forwarded-Email', FORGED],
        ['X_Auth_Username', FORGED],
      ];
      const answer = await knock(gate, 'old', `/private?${mark}`, [...forged, cookieOf(gate, 'old')]);
      allowed(answer);
      const [seen] = env.upstream.about(mark);
      assert.deepEqual(values(seen?.pairs ?? [], 'X-Auth-Username'), ['eve'], story(answer));
      assert.ok(!JSON.stringify(seen?.pairs).includes(FORGED), story(answer));
    },
  },
  {
    id: 'C10',
    rule: 'C',
    title: 'behind nginx targets that only look public reach nothing',
    async run(env) {
      const gate = await behindNginx(env);
      for (const target of CONFUSING.filter((t) => /^[\u0021-\u007e]+$/.test(t) && !t.includes('#'))) {
        for (const name of ['gate', 'old'] as const) {
          const mark = marker();
          const answer = await knock(gate, name, `${target}${target.includes('?') ? '&' : '?'}${mark}`, []);
          unseen(env, mark, answer);
        }
      }
    },
  },
  {
    id: 'C11',
    rule: 'C',
    title: 'behind nginx no header of a visitor names a public path for a private one',
    async run(env) {
      const gate = await behindNginx(env);
      for (const name of ['gate', 'old'] as const) {
        for (const value of ['/public/x', gate.url(name, '/public/x')]) {
          for (const header of ['X-Original-URI', 'X-Original-URL', 'X-Forwarded-Uri', 'X-Rewrite-URL']) {
            const mark = marker();
            const answer = await knock(gate, name, `/private?${mark}`, [[header, value]]);
            refused(answer);
            unseen(env, mark, answer);
          }
        }
      }
    },
  },
  {
    id: 'D11',
    rule: 'D',
    title: 'behind nginx no forwarded header turns the application for staff into one for everybody',
    async run(env) {
      await closedStaysClosed(env, '/admin', [['X-Forwarded-Host', 'OPEN']]);
      await closedStaysClosed(env, '/admin', [
        ['X-Forwarded-Host', 'OPEN'],
        ['X-Original-URL', 'https://OPEN/admin'],
      ]);
      await closedStaysClosed(env, '/admin', [
        ['X-Original-URL', 'https://OPEN/admin'],
        ['X-Original-URI', '/admin'],
      ]);
      await closedStaysClosed(env, '/admin', [
        ['Forwarded', 'host=OPEN'],
        ['X_Forwarded_Host', 'OPEN'],
        ['X-Host', 'OPEN'],
      ]);
      await closedStaysClosed(env, '/public/x', [
        ['X-Forwarded-Host', 'OPEN'],
        ['X-Forwarded-Proto', 'http'],
      ]);
    },
  },
];
