/** Rule I: revocation takes effect everywhere within a second and survives restarts. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Person } from '../harness/provision.ts';
import { ask, story, type Answer } from './support/ask.ts';
import type { Browser } from './support/browser.ts';
import type { Case } from './support/case.ts';
import { enter, type Env } from './support/env.ts';
import { MODES, type Mode } from './support/modes.ts';
import { allowed, passes, refused, shutWithin, within } from './support/verify.ts';

/** A second, and what a busy machine adds to the way there. */
const SOON = 1500;
const PROXY = MODES[0];
const NGINX = MODES[1];

async function both(
  env: Env,
): Promise<{ person: Awaited<ReturnType<Env['person']>>; browser: Browser; stolen: Browser }> {
  const { person, browser } = await env.visitor('one');
  await enter(env, browser, 'fwd', person);
  const stolen = browser.copy();
  for (const mode of MODES) allowed(await mode.knock(env, { path: '/private', who: stolen }), 'before');
  return { person, browser, stolen };
}

async function inTurn(modes: readonly Mode[], knock: (mode: Mode) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const mode of modes) answers.push(await knock(mode));
  return answers;
}

/** The cookies as they were are worth nothing any more, at every worker. */
async function gone(env: Env, stolen: Browser, what: string): Promise<void> {
  await shutWithin(SOON, what, () => inTurn(MODES, (mode) => mode.knock(env, { path: '/private', who: stolen })));
}

/** Ends a person's sessions through the API, as an administrator. */
async function endSessions(env: Env, username: string): Promise<void> {
  const sessions = await env.gatehouse.api.list('core/authenticated_sessions/?page_size=100');
  const users = await env.gatehouse.api.list(`core/users/?username=${username}`);
  const mine = sessions.filter((s) => s['user'] === users[0]?.['pk']);
  assert.ok(mine.length > 0, 'the person has no session to end');
  for (const session of mine) await env.gatehouse.api.delete(`core/authenticated_sessions/${String(session['uuid'])}/`);
}

export const cases: Case[] = [
  {
    id: 'I1',
    rule: 'I',
    title: 'sign-out at one application ends the others, whatever cookies were kept',
    async run(env) {
      const { browser, stolen } = await both(env);
      await browser.follow(env.url('one', '/outpost.goauthentik.io/sign_out'));
      await gone(env, stolen, 'sign-out');
      const again = (await stolen.follow(env.url('one', '/private'))).at(-1);
      assert.match(again?.answer.text ?? '', /name="password"/, 'the server session outlived the sign-out');
    },
  },
  {
    id: 'I2',
    rule: 'I',
    title: 'logout at the identity server',
    async run(env) {
      const { browser, stolen } = await both(env);
      const page = (await browser.follow(`${env.base}/if/flow/default-invalidation-flow/`)).at(-1);
      assert.ok(page, 'no logout page');
      if (page.answer.text.includes('<form')) await browser.submit(page, {});
      await gone(env, stolen, 'logout');
    },
  },
  {
    id: 'I3',
    rule: 'I',
    title: 'deletion of the session, deactivation, new password, deletion of the person',
    async run(env) {
      const acts: [what: string, act: (person: { pk: number; username: string }) => Promise<unknown>][] = [
        ['deletion of the session', (p) => endSessions(env, p.username)],
        ['deactivation', (p) => env.gatehouse.api.patch(`core/users/${p.pk}/`, { is_active: false })],
        [
          'a new password',
          (p) => env.gatehouse.api.post(`core/users/${p.pk}/set_password/`, { password: 'another good password' }),
        ],
        ['deletion of the person', (p) => env.gatehouse.api.delete(`core/users/${p.pk}/`)],
      ];
      for (const [what, act] of acts) {
        const { person, stolen } = await both(env);
        await act(person);
        await gone(env, stolen, what);
      }
    },
  },
  {
    id: 'I4',
    rule: 'I',
    title: 'leaving the group that may',
    async run(env) {
      const person = await env.person();
      await env.provision.addMember(env.staffGroup, person.pk);
      const browser = env.anyone();
      await enter(env, browser, 'closed', person);
      await enter(env, browser, 'closedfwd', person);
      for (const mode of MODES)
        allowed(await mode.knock(env, { path: '/private', closed: true, who: browser }), 'as a member');
      await env.provision.removeMember(env.staffGroup, person.pk);
      await shutWithin(SOON, 'leaving the group', () =>
        inTurn(MODES, (mode) => mode.knock(env, { path: '/private', closed: true, who: browser })),
      );
    },
  },
  {
    id: 'I5',
    rule: 'I',
    title: 'a worker that starts again knows what was revoked before',
    async run(env) {
      const { browser, stolen } = await both(env);
      await browser.follow(env.url('one', '/outpost.goauthentik.io/sign_out'));
      await gone(env, stolen, 'sign-out');
      env.gatehouse.kill('worker');
      await afterRestart(env, stolen, 'after the death of a worker');
    },
  },
  {
    id: 'I6',
    rule: 'I',
    title: 'a revocation made while the identity server restarts holds, before and after',
    async run(env) {
      const { browser, stolen } = await both(env);
      env.gatehouse.kill('control-plane');
      await browser.visit(env.url('one', '/outpost.goauthentik.io/sign_out'));
      for (const mode of [PROXY, NGINX] as Mode[]) {
        const site = mode.name === 'proxy';
        // without the identity server only the application signed out of is known to be over
        if (site)
          await within(
            SOON,
            'sign-out without the identity server',
            async () => !passes(await mode.knock(env, { path: '/private', who: stolen })),
          );
      }
      await env.gatehouse.ready();
      await within(
        30_000,
        'told after the restart',
        async () => !passes(await (NGINX as Mode).knock(env, { path: '/private', who: stolen })),
      );
      await gone(env, stolen, 'after the restart of the identity server');
    },
  },
  {
    id: 'I7',
    rule: 'I',
    title: 'expiry is checked at use',
    async run(env) {
      const provider = env.applications.two.provider;
      const before = { mode: 'proxy', internal_host: `http://127.0.0.1:${env.upstream.port}` };
      await env.gatehouse.api.patch(`providers/proxy/${provider}/`, { ...before, access_token_validity: 'seconds=3' });
      try {
        const { person, browser } = await env.visitor('one');
        // the outpost is told of the new length without a date; sign in until a session has it
        await within(20_000, 'short sessions', async () => {
          browser.jar.delete('two.test');
          await enter(env, browser, 'two', person);
          return Number(browser.sessionCookies(env.host('two'))[0]?.attributes.get('max-age') ?? '9999') <= 5;
        });
        // a script's request, which is never led through the login on the way
        const look = () =>
          ask({
            port: env.port,
            host: env.host('two'),
            path: '/private',
            headers: [
              ['Cookie', browser.cookieHeader(env.host('two'))],
              ['Sec-Fetch-Mode', 'cors'],
              ['Sec-Fetch-Dest', 'empty'],
            ],
          });
        await within(20_000, 'a fresh short session', async () => {
          const entered = performance.now();
          browser.jar.delete('two.test');
          await enter(env, browser, 'two', person);
          const fresh = await look();
          // it ends with a whole second: a machine that was slower has seen nothing
          if (performance.now() - entered < 2000) allowed(fresh, 'a fresh short session');
          return passes(fresh);
        });
        await sleep(3500);
        const late = await look();
        assert.equal(late.status, 401, `an expired session: ${story(late)}`);
      } finally {
        await env.gatehouse.api.patch(`providers/proxy/${provider}/`, { ...before, access_token_validity: 'hours=1' });
      }
    },
  },
  {
    id: 'I8',
    rule: 'I',
    title: 'a restart of everything forgets no revocation, from the first answer on',
    async run(env) {
      const { browser, stolen } = await both(env);
      await browser.follow(env.url('one', '/outpost.goauthentik.io/sign_out'));
      await gone(env, stolen, 'sign-out');
      await env.gatehouse.end();
      env.gatehouse.launch();
      await afterRestart(env, stolen, 'after a restart of everything');
      await env.gatehouse.ready();
      for (const mode of MODES) {
        await within(30_000, 'eve is signed in after the restart', async () =>
          passes(await mode.knock(env, { path: '/private', who: env.eve })),
        );
      }
      await gone(env, stolen, 'after the restart');
    },
  },
  {
    id: 'I9',
    rule: 'I',
    title: 'an answer that streams ends with the session, and no other one does',
    async run(env) {
      const acts: [what: string, act: (person: Person, browser: Browser) => Promise<unknown>][] = [
        ['sign-out', (_, browser) => browser.follow(env.url('one', '/outpost.goauthentik.io/sign_out'))],
        ['deactivation', (person) => env.gatehouse.api.patch(`core/users/${person.pk}/`, { is_active: false })],
      ];
      const honest = stream(env, env.eve);
      try {
        for (const [what, act] of acts) {
          const { person, browser } = await env.visitor('one');
          const watched = stream(env, browser);
          try {
            await within(20_000, 'the stream begins', () => Promise.resolve(watched.received.includes('data: tick')));
            await act(person, browser);
            await within(SOON, `the stream goes on after ${what}`, () => Promise.resolve(watched.over));
          } finally {
            watched.socket.destroy();
          }
        }
        const before = honest.received.length;
        await within(20_000, "eve's stream", () => Promise.resolve(honest.received.length > before));
      } finally {
        honest.socket.destroy();
      }
    },
  },
];

/** An event stream of `one`, read as long as it lasts. */
function stream(env: Env, browser: Browser) {
  const socket = connect({ host: '127.0.0.1', port: env.port });
  const watched = { socket, received: '', over: false };
  socket.on('data', (chunk) => (watched.received += chunk.toString('latin1')));
  socket.on('error', () => (watched.over = true));
  socket.on('close', () => (watched.over = true));
  const host = env.host('one');
  socket.write(`GET /stream HTTP/1.1\r\nHost: ${host}\r\nCookie: ${browser.cookieHeader(host)}\r\n\r\n`);
  return watched;
}

/** For some seconds after a restart: not one request may be let in. */
async function afterRestart(env: Env, stolen: Browser, what: string): Promise<void> {
  const end = performance.now() + 2500;
  while (performance.now() < end) {
    for (const mode of MODES) {
      const answer = await mode.knock(env, { path: '/private', who: stolen }).catch(() => undefined);
      if (answer !== undefined) refused(answer, what);
    }
    await sleep(40);
  }
}
