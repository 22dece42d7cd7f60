/** Rule M: credentials that count, and what must not come of them. */
import assert from 'node:assert/strict';
import { all, story, type Answer, type Pair } from './support/ask.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { MODES, type Mode } from './support/modes.ts';
import { clientOf, post } from './support/oauth.ts';
import { allowed, marker, passes, refused, shutWithin, unseen, values, within } from './support/verify.ts';

const SOON = 1500;
/** Envoy's published check hands on no Authorization; the mode here hands on everything, as our text does. */
const [PROXY, ...FORWARD] = MODES as readonly [Mode, ...Mode[]];

const basic = (user: string, password: string): Pair => [
  'Authorization',
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
];

let count = 0;
/** Wrong credentials are counted by address: what one case tries must not stop another. */
const somewhere = (): Pair => ['X-Forwarded-For', `198.51.${100 + (++count >> 8)}.${count & 255}`];

/** A new account with an app password, and the header that shows it. */
async function robot(env: Env) {
  const person = await env.person();
  const identifier = `${person.username}-key`;
  const password = await env.provision.appPassword(person.pk, identifier);
  return { person, identifier, password, header: basic(person.username, password) };
}

/** An access token of an account at a site. */
async function tokenOf(env: Env, site: 'one' | 'two', username: string, password: string): Promise<string> {
  const { id } = await clientOf(env, site);
  const form = { grant_type: 'client_credentials', client_id: id, username, password, scope: 'openid profile' };
  const answer = await post(env, 'token', form);
  assert.equal(answer.status, 200, story(answer));
  return (JSON.parse(answer.text) as { access_token: string }).access_token;
}

const cookieOf = (answer: Answer) =>
  all(answer, 'set-cookie')
    .map((line) => line.split(';')[0])
    .join('; ');

function nameIn(mode: Mode, answer: Answer): string | undefined {
  const pairs = mode === PROXY ? (JSON.parse(answer.text) as { pairs: Pair[] }).pairs : answer.pairs;
  return values(pairs, 'x-authentik-username')[0];
}

export const cases: Case[] = [
  {
    id: 'M4',
    rule: 'M',
    title: 'credentials that let a request in never reach the application',
    async run(env) {
      const { person, password, header } = await robot(env);
      const token = await tokenOf(env, 'one', person.username, password);
      for (const sent of [
        header,
        ['Authorization', `Bearer ${token}`],
        basic('goauthentik.io/token', token),
      ] as Pair[]) {
        for (const path of ['/private', '/public/x']) {
          // the second and third time from the caches of two workers, then beside the session that was made from it
          let cookie = '';
          for (let i = 0; i < 6; i++) {
            const mark = marker();
            const beside = i < 4 ? '' : cookie;
            const answer = await PROXY.knock(env, {
              path: `${path}?${mark}`,
              headers: [sent, somewhere()],
              cookie: beside,
            });
            allowed(answer);
            cookie ||= cookieOf(answer);
            assert.equal(nameIn(PROXY, answer), person.username, story(answer));
            const [seen] = env.upstream.about(mark);
            assert.ok(seen !== undefined);
            assert.deepEqual(values(seen.pairs, 'authorization'), [], `reached the application: ${story(answer)}`);
          }
        }
      }
      for (const mode of FORWARD) {
        let cookie = '';
        for (let i = 0; i < 6; i++) {
          const beside = i < 4 ? '' : cookie;
          const answer = await mode.knock(env, { path: '/private', headers: [header, somewhere()], cookie: beside });
          allowed(answer);
          cookie ||= cookieOf(answer);
          assert.deepEqual(values(answer.pairs, 'authorization'), [], `${mode.name} repeats it: ${story(answer)}`);
        }
      }
    },
  },
  {
    id: 'M5',
    rule: 'M',
    title: 'a verified answer dies with its credential and its owner, and so does the session made from it',
    async run(env) {
      const ends: Record<string, (r: Awaited<ReturnType<typeof robot>>) => Promise<unknown>> = {
        deleted: ({ identifier }) => env.gatehouse.api.delete(`core/tokens/${identifier}/`),
        'given another key': ({ identifier }) =>
          env.gatehouse.api.post(`core/tokens/${identifier}/set_key/`, {
            key: `another-key-of-${identifier}-that-is-long-enough`,
          }),
        'switched off with its owner': ({ person }) =>
          env.gatehouse.api.patch(`core/users/${person.pk}/`, { is_active: false }),
      };
      for (const [what, end] of Object.entries(ends)) {
        const one = await robot(env);
        const cookies = new Map<Mode, string>();
        for (const mode of MODES) {
          for (let i = 0; i < 4; i++) {
            const answer = await mode.knock(env, { path: '/private', headers: [one.header, somewhere()] });
            allowed(answer, `${mode.name}, before`);
            cookies.set(mode, cookieOf(answer));
          }
        }
        await end(one);
        for (const mode of MODES) {
          const cookie = cookies.get(mode) ?? '';
          const knock = (more: Pair[]) =>
            mode.knock(env, { path: '/private', headers: [...more, somewhere()], cookie });
          for (const more of [[one.header], []]) await shutWithin(SOON, `${what}, ${mode.name}`, () => knock(more), 4);
        }
      }
    },
  },
  {
    id: 'M10',
    rule: 'M',
    title: 'who leaves a group is out at once, also from the cache and with the session made from a header',
    async run(env) {
      const { person, header } = await robot(env);
      await env.provision.addMember(env.staffGroup, person.pk);
      for (const mode of MODES) {
        const knock = (more: Pair[], cookie = '') =>
          mode.knock(env, { path: '/private', closed: true, headers: [...more, somewhere()], cookie });
        await within(SOON, `let in, ${mode.name}`, async () => {
          for (let i = 0; i < 4; i++) if (!passes(await knock([header]))) return false;
          return true;
        });
      }
      const answers = await Promise.all(
        MODES.map((mode) => mode.knock(env, { path: '/private', closed: true, headers: [header, somewhere()] })),
      );
      await env.provision.removeMember(env.staffGroup, person.pk);
      for (const [i, mode] of MODES.entries()) {
        for (const more of [[header], []]) {
          const knock = () =>
            mode.knock(env, {
              path: '/private',
              closed: true,
              headers: [...more, somewhere()],
              cookie: cookieOf(answers[i]!),
            });
          await shutWithin(SOON, `out of the group, ${mode.name}`, knock, 4);
        }
      }
    },
  },
  {
    id: 'M6',
    rule: 'M',
    title: 'what was verified for one application opens no other',
    async run(env) {
      const { person, password, header } = await robot(env);
      const token = await tokenOf(env, 'two', person.username, password);
      for (const mode of MODES) {
        for (let i = 0; i < 4; i++) allowed(await mode.knock(env, { path: '/private', headers: [header] }));
        for (let i = 0; i < 4; i++) {
          const mark = marker();
          const answer = await mode.knock(env, { path: `/private?${mark}`, closed: true, headers: [header] });
          refused(answer, 'only staff may');
          unseen(env, mark, answer);
          const foreign: Pair = ['Authorization', `Bearer ${token}`];
          refused(await mode.knock(env, { path: '/private', headers: [foreign, somewhere()] }), 'a token of another');
        }
      }
    },
  },
  {
    id: 'M7',
    rule: 'M',
    title: 'guesses stop being looked at, also in a burst',
    async run(env) {
      const { person, password } = await robot(env);
      const [, from] = somewhere();
      const guess = (value: string) =>
        PROXY.knock(env, {
          path: '/private',
          headers: [basic(person.username, value), ['X-Forwarded-For', from]],
        });
      const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => guess(`guess ${i}`)));
      for (const answer of answers) refused(answer);
      const looked = answers.filter(({ status }) => status === 401).length;
      assert.ok(looked <= 20, `${looked} of 60 were looked at by two workers: ${story(answers[0]!)}`);
      assert.ok(
        answers.some(({ status }) => status === 429),
        'nobody was told to wait',
      );
      // the limit is not told by the right one either
      const right = await Promise.all(Array.from({ length: 6 }, () => guess(password)));
      for (const answer of right) assert.equal(answer.status, 429, story(answer));
    },
  },
  {
    id: 'M8',
    rule: 'M',
    title: 'of two accounts that sign in side by side a thousand times none becomes the other',
    async run(env) {
      const both = await Promise.all([robot(env), robot(env)]);
      const headers = await Promise.all(
        both.map(async ({ person, password, header }) => {
          const token = await tokenOf(env, 'one', person.username, password);
          const all: Pair[] = [header, ['Authorization', `Bearer ${token}`], basic('goauthentik.io/token', token)];
          return { username: person.username, all };
        }),
      );
      for (let i = 0; i < 50; i++) {
        await Promise.all(
          Array.from({ length: 20 }, async (_, k) => {
            const { username, all } = headers[k % 2]!;
            const answer = await PROXY.knock(env, { path: '/private', headers: [all[(i + k) % 3]!] });
            allowed(answer);
            assert.equal(nameIn(PROXY, answer), username, story(answer));
          }),
        );
      }
    },
  },
  {
    id: 'M9',
    rule: 'M',
    title: 'app passwords and tokens that were used stand in no log line',
    async run(env) {
      const { person, password, header } = await robot(env);
      const token = await tokenOf(env, 'one', person.username, password);
      const wrong = basic(person.username, `wrong-${marker()}`);
      for (const sent of [header, ['Authorization', `Bearer ${token}`], wrong] as Pair[]) {
        for (const mode of MODES) await mode.knock(env, { path: '/private', headers: [sent, somewhere()] });
      }
      const last = Array.from({ length: 10 }, marker);
      for (const word of last) await PROXY.knock(env, { path: `/public/${word}` });
      await within(20_000, 'the log', () => Promise.resolve(last.every((word) => env.gatehouse.log.includes(word))));
      for (const secret of [password, token, header[1].slice(6), wrong[1].slice(6)]) {
        assert.ok(!env.gatehouse.log.includes(secret), 'stands in the log');
      }
    },
  },
];
