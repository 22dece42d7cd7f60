/** Rule C, access rules: what a rule keeps closed stays closed however the address is spelled. */
import assert from 'node:assert/strict';
import type { AccessRule } from '../../src/contract/provider-settings.ts';
import { Asker, DIALECTS, type Dialect } from '../harness/asking.ts';
import { ask as askOnce } from './support/ask.ts';
import type { Browser } from './support/browser.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { marker, unseen, within } from './support/verify.ts';

const rule = (pattern: string, over: Partial<AccessRule>): AccessRule => {
  return { match: 'glob', pattern, methods: [], effect: 'signed_in', groups: [], ...over };
};
/** Everything is public but what these name. */
const RULES = [
  rule('/enter', {}),
  rule('/staff/**', { effect: 'groups', groups: ['staff'] }),
  rule('^/inner(?:/|$)', { match: 'regex' }),
  rule('/gone/**', { effect: 'deny' }),
  rule('/feed/**', { effect: 'public', methods: ['GET'] }),
  rule('/feed/**', {}),
];

/** Ways to write `/<closed>/x` that some application takes for it. */
const SPELLINGS = (closed: string): string[] => {
  const first = `%${closed.charCodeAt(0).toString(16)}`;
  const rest = closed.slice(1);
  return [
    `/${closed}/x`,
    `/${closed}`,
    `/${closed}/`,
    `/${closed.toUpperCase()}/x`,
    `/${closed[0]?.toUpperCase()}${rest}/x`,
    `//${closed}/x`,
    `/${closed}//x`,
    `///${closed}///x`,
    `/${closed};a=b/x`,
    `/;a/${closed}/x`,
    `/${first}${rest}/x`,
    `/%25${first.slice(1)}${rest}/x`,
    `/${closed}%2fx`,
    `/${closed}%2Fx`,
    `/${closed}%5cx`,
    `/%2f${closed}/x`,
    `/${closed}\\x`,
    `/./${closed}/x`,
    `/public/../${closed}/x`,
    `/public/..;/${closed}/x`,
    `/public/%2e%2e/${closed}/x`,
    `/public%2f..%2f${closed}/x`,
    `/%ff/../${closed}/x`,
    `/${closed}/%ff`,
    `/${closed}?/feed/`,
    `/${closed}/x?method=GET`,
    `/${closed}/${'a'.repeat(9000)}`,
  ];
};

interface Ruled {
  asker: Asker;
  /** in no group at first; a person of our own, since a change makes every session of theirs new */
  guest: Browser;
  guestPk: number;
  staff: Browser;
  group: string;
}

const furnished = new WeakMap<Env, Promise<Ruled>>();
const name = (dialect: Dialect) => (dialect === 'proxy' ? 'ruled' : 'ruledfwd');
const host = (env: Env, dialect: Dialect) => `${name(dialect)}.test:${env.port}`;

/** Two sites with the same rules, once for each product. */
function sites(env: Env): Promise<Ruled> {
  let ready = furnished.get(env);
  if (ready === undefined) furnished.set(env, (ready = furnish(env)));
  return ready;
}

async function furnish(env: Env): Promise<Ruled> {
  const person = await env.person();
  const guest = env.anyone();
  const group = await env.provision.group('juniors', [], { parents: [env.staffGroup] });
  for (const mode of ['proxy', 'forward_single'] as const) {
    const slug = mode === 'proxy' ? 'ruled' : 'ruledfwd';
    const externalHost = `http://${slug}.test:${env.port}`;
    const internalHost = mode === 'proxy' ? `http://127.0.0.1:${env.upstream.port}` : '';
    const gatehouse = { access_default: 'public' as const, access_rules: RULES };
    await env.provision.application({ slug, mode, externalHost, internalHost, gatehouse });
    await env.provision.served(env.gatehouse.origin, externalHost);
    const start = `${externalHost}/outpost.goauthentik.io/start?rd=${encodeURIComponent(`${externalHost}/enter`)}`;
    await guest.signIn(start, person.username, person.password);
    await env.staff.signIn(start, env.people.staff.username, env.people.staff.password);
  }
  const asker = new Asker(env.port);
  env.closing.push(async () => asker.close());
  return { asker, group, guest, guestPk: person.pk, staff: env.staff };
}

async function ask(env: Env, dialect: Dialect, target: string, who?: Browser, method = 'GET') {
  const { asker } = await sites(env);
  const cookie = who?.cookieHeader(host(env, dialect)) ?? '';
  return asker.ask(dialect, { host: host(env, dialect), method, target, cookie });
}

const ALL = Object.keys(DIALECTS) as Dialect[];

export const cases: Case[] = [
  {
    id: 'C40',
    rule: 'C',
    title: 'what a rule closes is closed in every spelling and every dialect',
    async run(env) {
      const { guest } = await sites(env);
      for (const dialect of ALL) {
        for (const closed of ['staff', 'inner', 'gone']) {
          for (const spelling of SPELLINGS(closed)) {
            for (const who of closed === 'inner' ? [undefined] : [undefined, guest]) {
              const mark = marker();
              const target = `${spelling}${spelling.includes('?') ? '&' : '?'}${mark}`;
              const { status } = await ask(env, dialect, target, who);
              const asked = `${dialect}: ${target.slice(0, 80)} ${who === undefined ? 'as nobody' : 'as a guest'}`;
              assert.ok(status >= 300, `${asked}: ${status}`);
              unseen(env, mark);
            }
          }
        }
        for (const target of ['/', '/x', '/staffing', '/feed/x']) {
          if (dialect === 'nginx' && target === '/feed/x') continue;
          assert.equal((await ask(env, dialect, target)).status, 200, `${dialect}: ${target} is public`);
        }
      }
    },
  },
  {
    id: 'C41',
    rule: 'C',
    title: 'a rule for one method opens no other, and none where nobody vouches for the method',
    async run(env) {
      await sites(env);
      for (const dialect of ALL) {
        for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
          const { status } = await ask(env, dialect, '/feed/x', undefined, method);
          assert.ok(status >= 300, `${dialect}: ${method} /feed/x: ${status}`);
        }
      }
      assert.equal((await ask(env, 'nginx', '/feed/x')).status, 401, 'plain nginx asks with GET whatever was sent');
    },
  },
  {
    id: 'C42',
    rule: 'C',
    title: 'no header makes another method of the one a rule was asked about',
    async run(env) {
      const { guest } = await sites(env);
      for (const header of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'X_HTTP_Method_Override']) {
        const mark = marker();
        const question = { port: env.port, host: host(env, 'proxy'), path: `/feed/x?${mark}` };
        const nobody = await askOnce({ ...question, headers: [[header, 'DELETE']] });
        assert.ok(nobody.status >= 300, `${header} as nobody: ${nobody.status}`);
        unseen(env, mark);
        const cookie = guest.cookieHeader(question.host);
        const member = await askOnce({ ...question, headers: [[header, 'DELETE'], ['Cookie', cookie]] }); // prettier-ignore
        assert.equal(member.status, 200);
        const [seen] = env.upstream.about(mark);
        const hit = seen?.pairs.find(([, value]) => value === 'DELETE');
        assert.equal(hit, undefined, `${hit?.[0]} reached the application`);
      }
    },
  },
  {
    id: 'C43',
    rule: 'C',
    title: 'groups count as the server knows them now, nested ones too',
    async run(env) {
      const { staff, guest, guestPk, group } = await sites(env);
      for (const dialect of ALL) {
        assert.equal((await ask(env, dialect, '/staff/x', staff)).status, 200, `${dialect}: a member`);
        assert.ok((await ask(env, dialect, '/staff/x', guest)).status >= 400, `${dialect}: no member`);
      }
      await env.provision.addMember(group, guestPk);
      try {
        for (const dialect of ALL) {
          const member = async () => (await ask(env, dialect, '/staff/x', guest)).status === 200;
          await within(2000, `${dialect}: a member of a group below`, member);
        }
      } finally {
        await env.provision.removeMember(group, guestPk);
      }
      for (const dialect of ALL) {
        const out = async () => (await ask(env, dialect, '/staff/x', guest)).status >= 400;
        await within(2000, `${dialect}: a member no more`, out);
      }
    },
  },
];
