/** Rule L: the login surface. */
import assert from 'node:assert/strict';
import { Gatehouse } from '../harness/gatehouse.ts';
import { eventually } from '../harness/wait.ts';
import { ask, one, story, type Answer, type Pair } from './support/ask.ts';
import { Browser, type Hop } from './support/browser.ts';
import type { Case } from './support/case.ts';
import { STRANGER, type Env } from './support/env.ts';
import { marker, passes, refused } from './support/verify.ts';

const LOGIN = '/if/flow/default-authentication-flow/';

async function attempt(
  env: Env,
  from: string,
  username: string,
  password: string,
  extra: readonly Pair[] = [],
  browser = new Browser(env.port, from),
): Promise<Answer> {
  const page = (await browser.follow(`${env.base}${LOGIN}`)).at(-1);
  assert.ok(page, 'no login page');
  return browser.submit(page, { username, password }, [
    ['Origin', env.base],
    ['Sec-Fetch-Site', 'same-origin'],
    ...extra,
  ]);
}

/** An answer without what differs between any two answers: ids, tokens, dates, the name that was typed. */
function likeness(answer: Answer, username: string): string {
  const clean = (text: string) =>
    text
      .replaceAll(username, 'NAME')
      .replace(/<code>[^<]*<\/code>/g, 'ID')
      .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'UUID')
      .replace(/[A-Za-z0-9_-]{16,}/g, 'LONG')
      .replace(/\b\d+\b/g, 'N');
  const head = answer.pairs
    .filter(([n]) => !['date', 'content-length'].includes(n.toLowerCase()))
    .map(([n, v]) => `${n}: ${clean(v)}`)
    .toSorted();
  return `${answer.status}\n${head.join('\n')}\n${clean(answer.text)}`;
}

/** Whatever else the machine does only adds to the time of an answer. */
const fastest = (times: readonly number[]) => Math.min(...times);

export const cases: Case[] = [
  {
    id: 'L1',
    rule: 'L',
    title: 'known, unknown and deactivated people look the same after a wrong password',
    async run(env) {
      const known = await env.person();
      const off = await env.person();
      await env.gatehouse.api.patch(`core/users/${off.pk}/`, { is_active: false });
      const reference = likeness(await attempt(env, '127.0.0.21', known.username, 'wrong'), known.username);
      const stranger = `nobody${known.username}`;
      assert.equal(
        likeness(await attempt(env, '127.0.0.22', stranger, 'wrong'), stranger),
        reference,
        'an unknown name shows',
      );
      assert.equal(
        likeness(await attempt(env, '127.0.0.23', off.username, 'wrong'), off.username),
        reference,
        'a deactivated person shows',
      );
      const right = await attempt(env, '127.0.0.24', off.username, off.password);
      assert.equal(likeness(right, off.username), reference, 'the right password of a deactivated person shows');
      const service = (await env.gatehouse.api.list('core/users/?type=internal_service_account'))[0];
      if (service !== undefined) {
        const name = String(service['username']);
        assert.equal(
          likeness(await attempt(env, '127.0.0.25', name, 'wrong'), name),
          reference,
          'a service account shows',
        );
      }
    },
  },
  {
    id: 'L2',
    rule: 'L',
    title: 'and take the same time',
    async run(env) {
      const times = { known: [] as number[], unknown: [] as number[] };
      let [known, unknown] = [0, 0];
      // a password hash is some 30 ms; leaving it out would make a factor of five and more
      const alike = () => unknown > known * 0.45 && known > unknown * 0.45;
      // on a busy machine it takes longer until each was answered once without delay
      for (const most of [7, 25]) {
        while (!alike() && times.known.length < most) {
          const i = times.known.length + 1;
          const person = await env.person();
          times.known.push((await attempt(env, `127.0.1.${i}`, person.username, 'wrong')).took);
          times.unknown.push((await attempt(env, `127.0.2.${i}`, `nobody${marker()}`, 'wrong')).took);
        }
        [known, unknown] = [fastest(times.known), fastest(times.unknown)];
      }
      assert.ok(alike(), `known ${known.toFixed(1)} ms, unknown ${unknown.toFixed(1)} ms`);
    },
  },
  {
    id: 'L3',
    rule: 'L',
    title: 'the limiter counts an account however it is spelled and wherever the guesses come from',
    async run(env) {
      const person = await env.person();
      const name = person.username;
      const spell = [
        name,
        name.toUpperCase(),
        `${name[0]?.toUpperCase()}${name.slice(1)}`,
        ` ${name}`,
        `${name} `,
        `\t${name}`,
        name.normalize('NFKD'),
        name.replace('g', 'ｇ'),
      ];
      let limited: Answer | undefined;
      for (let i = 0; i < 60 && limited === undefined; i++) {
        const answer = await attempt(env, `127.0.3.${(i % 200) + 1}`, spell[i % spell.length] ?? name, `wrong ${i}`, [
          ['X-Forwarded-For', `6.6.6.${i}`],
        ]);
        if (answer.status === 429) limited = answer;
        else assert.ok(answer.status < 500, story(answer));
      }
      assert.ok(limited, 'sixty wrong passwords for one account from many addresses and nothing happened');
      const right = await attempt(env, '127.0.3.250', name, person.password);
      assert.equal(right.status, 429, `the right password while limited: ${story(right)}`);
      const other = await env.person();
      const fine = await attempt(env, '127.0.3.251', other.username, other.password);
      assert.ok(fine.status >= 300 && fine.status < 400, `another account is locked out too: ${story(fine)}`);
    },
  },
  {
    id: 'L4',
    rule: 'L',
    title: 'the limiter counts addresses that cannot be forged',
    async run(env) {
      let limited: Answer | undefined;
      for (let i = 0; i < 120 && limited === undefined; i++) {
        const answer = await attempt(env, '127.0.4.4', `nobody${marker()}`, 'wrong', [
          ['X-Forwarded-For', `6.6.${i}.6`],
          ['X-Real-IP', `7.7.${i}.7`],
          ['Forwarded', `for=8.8.${i}.8`],
        ]);
        if (answer.status === 429) limited = answer;
      }
      assert.ok(limited, '120 guesses of names from one address under forged addresses and nothing happened');
      const other = await attempt(env, '127.0.4.5', `nobody${marker()}`, 'wrong');
      assert.notEqual(other.status, 429, 'another address is locked out too');
    },
  },
  {
    id: 'L5',
    rule: 'L',
    title: 'the first-run set-up cannot be opened where a password was set',
    async run(env) {
      for (const token of ['', 'x', 'null', '0'.repeat(64), '%00', env.gatehouse.api.token]) {
        const url = `${env.base}/if/flow/initial-setup/?token=${encodeURIComponent(token)}`;
        const browser = env.anyone();
        const page = await browser.visit(url);
        assert.ok(!/name="password"/.test(page.text), `the set-up opens: ${story(page)}`);
        await browser.visit(
          url,
          [
            ['Origin', env.base],
            ['Sec-Fetch-Site', 'same-origin'],
          ],
          'POST',
          {
            token,
            password: 'taken over by eve',
            password_repeat: 'taken over by eve',
            password2: 'taken over by eve',
          },
        );
        refused(await browser.visit(`${env.base}/if/user/`), 'signed in through the set-up');
      }
      const taken = await attempt(env, STRANGER, 'akadmin', 'taken over by eve');
      assert.equal(one(taken, 'location'), '', `the administrator's password was changed: ${story(taken)}`);
    },
  },
  {
    id: 'L6',
    rule: 'L',
    title: 'the set-up link works once, also when used twice at the same time',
    async run(env) {
      const fresh = await Gatehouse.start({
        root: env.root,
        workers: 0,
        env: { GATEHOUSE_BOOTSTRAP_PASSWORD: undefined, GATEHOUSE_BOOTSTRAP_TOKEN: undefined },
      });
      try {
        // it is ready before it says so
        const { value: link } = await eventually('a set-up link in the terminal', 20_000, () => {
          const found = /https?:\/\/\S+initial-setup\/\?token=[^\s"]+\s/.exec(fresh.log)?.[0];
          return found?.trim() ?? assert.fail(fresh.tail());
        });
        const origin = new URL(link).origin;
        const open = async (): Promise<{ browser: Browser; page: Hop }> => {
          const browser = new Browser(fresh.port);
          return { browser, page: { url: link, answer: await browser.visit(link) } };
        };
        const [first, second] = [await open(), await open()];
        assert.match(first.page.answer.text, /type="password"/, story(first.page.answer));
        const fields = (password: string) =>
          Object.fromEntries(
            [...first.page.answer.text.matchAll(/<input[^>]*type="password"[^>]*>/g)].map(([tag]) => [
              /name="([^"]*)"/.exec(tag)?.[1] ?? '',
              password,
            ]),
          );
        const other = fresh.log.includes('initial-setup')
          ? await new Browser(fresh.port).visit(`${origin}/if/flow/initial-setup/?token=${'0'.repeat(43)}`)
          : undefined;
        assert.ok(other !== undefined && !/type="password"/.test(other.text), 'a guessed token opens the set-up');
        const evil = await first.browser.submit(first.page, fields('chosen by another site'), [
          ['Origin', 'http://evil.test'],
          ['Sec-Fetch-Site', 'cross-site'],
        ]);
        assert.ok(evil.status >= 400, `set up by a post of another site: ${story(evil)}`);
        const answers = await Promise.all([
          first.browser.submit(first.page, fields('the first password chosen')),
          second.browser.submit(second.page, fields('the second password chosen')),
        ]);
        const worked = answers.filter((a) => a.status < 400);
        assert.equal(worked.length, 1, answers.map(story).join('\n'));
        const third = await open();
        assert.ok(!/type="password"/.test(third.page.answer.text), `the link opens again: ${story(third.page.answer)}`);
        const late = await third.browser.visit(
          link,
          [
            ['Origin', origin],
            ['Sec-Fetch-Site', 'same-origin'],
          ],
          'POST',
          { ...fields('the third password chosen'), token: new URL(link).searchParams.get('token') ?? '' },
        );
        refused(late);
        await fresh.restart();
        assert.ok(
          !/initial-setup\/\?token=/.test(fresh.log.slice(fresh.log.lastIndexOf('token='))) ||
            !passes(await new Browser(fresh.port).visit(link)),
          'open again after a restart',
        );
        const anew = await new Browser(fresh.port).visit(link);
        assert.ok(!/type="password"/.test(anew.text), `the link opens again after a restart: ${story(anew)}`);
      } finally {
        await fresh.stop();
      }
    },
  },
  {
    id: 'L7',
    rule: 'L',
    title: 'odd input at the login form is an answer, not an error',
    async run(env) {
      for (const [username, password] of [
        ['', ''],
        ['akadmin', ''],
        ["' OR 1=1 --", "' OR 1=1 --"],
        ['a'.repeat(60_000), 'x'],
        ['akadmin', 'x'.repeat(60_000)],
        ['\u0000akadmin', 'x'],
        ['akadmin\r\nX: y', 'x'],
        ['\ud800', '\udfff'],
      ] as const) {
        const answer = await attempt(env, '127.0.5.5', username, password);
        assert.ok(answer.status >= 400 ? answer.status < 500 : one(answer, 'location') === '', story(answer));
      }
      const twice = await ask({
        port: env.port,
        method: 'POST',
        host: new URL(env.base).host,
        path: LOGIN,
        headers: [
          ['Origin', env.base],
          ['Sec-Fetch-Site', 'same-origin'],
          ['Content-Type', 'application/x-www-form-urlencoded'],
        ],
        body: 'username=akadmin&username=eve&password=a&password=b&__proto__=x&username[]=x',
      });
      assert.ok(twice.status < 500 && one(twice, 'set-cookie').includes('authentik_session=') === false, story(twice));
    },
  },
  {
    id: 'L8',
    rule: 'L',
    title: 'guessing keeps nobody waiting who signed in here before; who did so as somebody else is a stranger',
    async run(env) {
      const [person, guesser] = [await env.person(), await env.person()];
      const jars = new Map<string, Browser['jar']>();
      for (const { username, password } of [person, guesser]) {
        const browser = new Browser(env.port, '127.0.6.1');
        const answer = await attempt(env, '127.0.6.1', username, password, [], browser);
        assert.ok(answer.status >= 300 && answer.status < 400, story(answer));
        const known = [...browser.jar].map(([host, cookies]) => {
          const kept = [...cookies].filter(([name]) => name === 'authentik_proxy_known');
          return [host, new Map(kept)] as const;
        });
        assert.ok(known.some(([, cookies]) => cookies.size === 1));
        jars.set(username, new Map(known));
      }
      /** Signed out, and somewhere else. */
      const from = (address: string, who: { username: string }) =>
        new Browser(env.port, address, jars.get(who.username));
      const { username, password } = person;
      for (let i = 0; i < 10; i++) {
        const answer = await attempt(env, '', username, `wrong ${i}`, [], from(`127.0.6.${10 + i}`, guesser));
        assert.equal(answer.status, 400, story(answer));
      }
      for (const [who, browser] of [
        ['the guesser', from('127.0.6.2', guesser)],
        ['anybody', new Browser(env.port, '127.0.6.3')],
      ] as const) {
        const answer = await attempt(env, '', username, password, [], browser);
        assert.equal(answer.status, 429, `${who}: ${story(answer)}`);
      }
      const own = await attempt(env, '', username, password, [], from('127.0.6.4', person));
      assert.ok(own.status >= 300 && own.status < 400, `locked out by guesses: ${story(own)}`);
    },
  },
];
