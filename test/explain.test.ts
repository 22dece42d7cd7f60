import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { AccessRule, ProviderSettings } from '../src/contract/provider-settings.ts';
import { Asker, DIALECTS, inParallel, toldUser } from './harness/asking.ts';
import type { Dialect, Heard } from './harness/asking.ts';
import type { Client } from './harness/client.ts';
import { ROOT } from './harness/gatehouse.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { eventually } from './harness/wait.ts';

const run = promisify(execFile);

const rule = (pattern: string, effect: AccessRule['effect'], over: Partial<AccessRule> = {}): AccessRule => {
  return { match: 'glob', pattern, methods: [], effect, groups: effect === 'groups' ? ['staff'] : [], ...over };
};
/** People sign in here, whatever the other rules say. */
const ENTRY = rule('/enter', 'signed_in');
const regex = { match: 'regex' } as const;

interface RuleSet {
  skip: string;
  settings: Partial<ProviderSettings>;
}

const RULE_SETS: Record<string, RuleSet> = {
  none: { skip: '', settings: {} },
  skip: { skip: '^/a/\n\nc$\n(?i)^/b$', settings: { public_assets: true } },
  groups: { skip: '^/a/c', settings: { access_rules: [ENTRY, rule('/a/**', 'groups'), rule('/b/*', 'deny')] } },
  methods: {
    skip: '',
    settings: {
      access_rules: [
        ENTRY,
        rule('/a/**', 'public', { methods: ['GET'] }),
        rule('/a/**', 'groups', { methods: ['POST', 'PUT'] }),
        rule('/**/c', 'deny', { methods: ['DELETE'] }),
        rule('/b', 'public'),
      ],
    },
  },
  only: {
    skip: '',
    settings: {
      access_default: 'public',
      public_assets: true,
      access_rules: [ENTRY, rule('^/a', 'signed_in', regex), rule('/b/**', 'groups', { groups: ['staff', 'crew'] })],
    },
  },
  closed: {
    skip: '^/b/c',
    settings: {
      access_default: 'deny',
      access_rules: [ENTRY, rule('/a/**', 'signed_in'), rule('b$', 'public', regex)],
    },
  },
};

/** Hosts of one domain-level provider. */
const DOMAIN = ['login.corp', 'wiki.corp', 'other.corp'];

const SEGMENTS = [
  'a',
  'b',
  'c',
  'A',
  'a;x',
  ';a',
  'a%2Fb',
  '%61',
  '%62',
  'c%5Cb',
  '..',
  '%2e%2e',
  '%ff',
  '%252f',
  'é',
  '',
];
const METHODS = ['GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'];
const TAILS = ['', '', '', '?x=1', '?/a/', '/'];
/** How many HTTP answers are compared. */
const ANSWERS = 10_000;

/** Mulberry32: the same requests in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

type Who = 'nobody' | 'ada' | 'ben' | 'eve';
interface Asked {
  site: string;
  who: Who;
  method: string;
  target: string;
}
interface Explained {
  decision: string;
  reason: string;
  without_method: { decision: string; reason: string } | null;
}

function generate(sites: readonly string[], count: number): Asked[] {
  const next = random(20260501);
  const asked = sites.filter((site) => !site.endsWith('carried'));
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  return Array.from({ length: count }, () => {
    const segments = Array.from({ length: Math.floor(next() * 4) }, () => pick(SEGMENTS));
    const path = encodeURI(`/${segments.join('/')}`).replaceAll('%25', '%');
    const known = next() < 0.1 ? pick(['/manifest.json', '/favicon.ico', '/enter', '/b']) : path;
    const who = pick<Who>(['nobody', 'ada', 'ben', 'eve']);
    return { site: next() < 0.6 ? pick(asked) : pick(sites), who, method: pick(METHODS), target: known + pick(TAILS) };
  });
}

/** What an answer says, as far as the dialect tells it. */
function agrees(
  dialect: Dialect,
  { who, method }: Asked,
  said: { decision: string; reason: string },
  heard: Heard,
): boolean {
  const { status, text } = heard;
  const ofNginx = dialect.startsWith('nginx');
  const tells = (code: string) =>
    method === 'HEAD' && dialect !== 'traefik' && dialect !== 'caddy' ? true : text.includes(`"code":"${code}"`);
  switch (said.decision) {
    case 'allow': {
      if (status !== 200) return false;
      if (method === 'HEAD' && dialect === 'proxy') return true;
      return toldUser(dialect, heard) === (said.reason === 'session' ? who : '');
    }
    case 'login':
      return status === 401 && (ofNginx || tells('login-required'));
    case 'deny':
      return ofNginx ? status === 401 : status === 403 && tells(who === 'nobody' ? 'rule-denies' : 'access-denied');
    case 'error':
      return ofNginx ? status === 403 : (status === 400 || status === 403) && tells(said.reason);
  }
  return false;
}

describe('explain', () => {
  let scene: Scene;
  let asker: Asker;
  const providers = new Map<string, number>();
  const people = new Map<Who, { person: Person; client: Client }>();
  const address = (site: string) => `http://${site}.test:${scene.gatehouse.port}`;
  const cookie = (site: string, who: Who) => people.get(who)?.client.jar.header(new URL(address(site))) ?? '';

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 } });
    asker = new Asker(scene.gatehouse.port);
    const { provision } = scene;
    for (const who of ['ada', 'ben', 'eve'] as const) {
      people.set(who, { person: await provision.user(who), client: scene.visitor() });
    }
    const pk = (who: Who) => people.get(who)?.person.pk ?? 0;
    const staff = await provision.group('staff');
    await provision.group('lead', [pk('ada')], { parents: [staff] });
    const crew = await provision.group('crew', [pk('ada'), pk('ben'), pk('eve')]);
    for (const [name, { skip, settings }] of Object.entries(RULE_SETS)) {
      for (const mode of ['proxy', 'forward_single'] as const) {
        const slug = `${name}-${mode === 'proxy' ? 'carried' : 'asked'}`;
        const options = { mode, groups: [crew], gatehouse: settings, provider: { skip_path_regex: skip } };
        providers.set(slug, (await scene.application(slug, options)).provider);
      }
    }
    const domain = await scene.application('login.corp', {
      slug: 'domain',
      mode: 'forward_domain',
      groups: [crew],
      gatehouse: { access_rules: [ENTRY, rule('/a/b/**', 'groups'), rule('/**/c', 'deny', { methods: ['PUT'] })] },
      provider: { cookie_domain: 'corp.test', skip_path_regex: '^http://wiki\\.corp\\.test:[0-9]+/a/\n^/b' },
    });
    for (const site of DOMAIN) providers.set(site, domain.provider);
    for (const slug of [...providers.keys()].filter((site) => !DOMAIN.includes(site) || site === 'login.corp')) {
      const entry = encodeURIComponent(`${address(slug)}/enter`);
      for (const { person, client } of people.values()) {
        const start = `${address(slug)}/outpost.goauthentik.io/start?rd=${entry}`;
        const page = await client.open(start);
        if (page.text.includes('password')) await client.login(page, person.username, person.password);
        assert.match(client.jar.header(new URL(address(slug))), /authentik_proxy_/, slug);
      }
    }
    // eve stays signed in, and may not use the applications any more
    await provision.removeMember(crew, pk('eve'));
    await eventually('eve is refused', 60_000, async () => {
      for (const site of providers.keys()) {
        const dialect = site.endsWith('carried') ? 'proxy' : 'traefik';
        const host = new URL(address(site)).host;
        const visit = { host, method: 'GET', target: '/enter', cookie: cookie(site, 'eve') };
        const { status } = await asker.ask(dialect, visit);
        if (status !== 403) throw new Error(`${site} answers ${status}`);
      }
    });
  });
  after(async () => {
    asker?.close();
    await scene?.stop();
  });
  afterEach((t) => scene?.explain(t));

  it(`agrees with ${ANSWERS} answers of the running outpost, in every dialect`, async () => {
    const wrong: string[] = [];
    const seen = new Map<string, number>();
    let answers = 0;
    const questions = generate([...providers.keys()], ANSWERS);
    const known = new Map<string, Promise<Explained>>();
    await inParallel(questions, 12, async (asked) => {
      if (answers >= ANSWERS) return;
      const { site, who, method, target } = asked;
      const body = { method, url: address(site) + target, user: who === 'nobody' ? null : who };
      const key = JSON.stringify(body);
      const path = `providers/proxy/${providers.get(site)}/explain/`;
      let pending = known.get(key);
      if (pending === undefined) known.set(key, (pending = scene.gatehouse.api.post(path, body) as never));
      const said = await pending;
      const dialects = (Object.keys(DIALECTS) as Dialect[]).filter((d) => (d === 'proxy') === site.endsWith('carried'));
      for (const dialect of dialects) {
        const host = new URL(address(site)).host;
        const heard = await asker.ask(dialect, { host, method, target, cookie: cookie(site, who) });
        const meant = dialect === 'nginx' ? (said.without_method ?? said) : said;
        answers++;
        const word = `${meant.decision} ${meant.reason}`;
        seen.set(word, (seen.get(word) ?? 0) + 1);
        if (!agrees(dialect, asked, meant, heard)) {
          wrong.push(
            `${dialect}: ${method} ${site} ${target} as ${who}: ${heard.status}, explained as ${word} ${heard.text.slice(0, 80)}`,
          );
        }
      }
    });
    assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${answers} differ`);
    assert.ok(answers >= ANSWERS);
    for (const word of [
      'allow session',
      'allow public-path',
      'allow public-asset',
      'login no-session',
      'deny access-denied',
      'deny rule-denies',
      'deny rule-needs-group',
      'error path-malformed',
      'error path-ambiguous',
    ]) {
      assert.ok((seen.get(word) ?? 0) > 20, `${word}: ${seen.get(word) ?? 0} of ${JSON.stringify([...seen])}`);
    }
  });

  it('is a command that says decision, rule and steps', async () => {
    const explain = (...args: string[]) =>
      run(process.execPath, [join(ROOT, 'src/main.ts'), 'explain', ...args], {
        encoding: 'utf8',
        env: { GATEHOUSE_HOST: scene.gatehouse.origin, GATEHOUSE_TOKEN: scene.gatehouse.api.token },
      });
    const { stdout } = await explain('get', `${address('groups-asked')}/a/x`, '--as', 'ben');
    assert.match(stdout, /^GET .*\/a\/x as ben: deny \(rule-needs-group\)$/m);
    assert.match(stdout, /^- Access rule 2 matches: \/a\/\*\* -> groups staff\.$/m);
    const named = await explain('POST', `${address('methods-asked')}/a/x`, '--provider', 'methods-asked');
    assert.match(named.stdout, /: login \(no-session\)$/m);
    const away = explain('GET', 'http://elsewhere.test/');
    await assert.rejects(away, /No provider on the server has the host elsewhere\.test/);
    await assert.rejects(explain('GET', `${address('groups-asked')}/`, '--as', 'mallory'), /no user called "mallory"/);
    await assert.rejects(explain('GET', '/a'), /absolute address/);
  });
});
