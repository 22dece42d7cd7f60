/** What `explain` says about a domain with several applications, against the answers of the running outpost. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Asker, DIALECTS, inParallel, toldUser } from './harness/asking.ts';
import type { Dialect, Heard } from './harness/asking.ts';
import type { Client } from './harness/client.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { eventually } from './harness/wait.ts';

const DOMAIN = 'corp.test';
const HOSTS = ['login', 'wiki', 'forge', 'shop', 'files', 'other', 'a.b'];
const PATHS = [
  '/',
  '/admin',
  '/admin/users?x=/public/',
  '/administration',
  '/ADMIN/x',
  '/%61dmin',
  '/x%2fadmin',
  '/admin;a=b/x',
  '//admin',
  '/x/../admin',
  '/%ff/admin',
  '/admin/deep',
  '/admin/deep/er',
  '/public/x',
  '/public/../admin',
  '/%C3%84rger/x',
];
const ASKING = (Object.keys(DIALECTS) as Dialect[]).filter((dialect) => dialect !== 'proxy');

describe('explain at domain level', () => {
  let scene: Scene;
  let asker: Asker;
  let provider: number;
  const people = new Map<string, Client>();
  const authority = (host: string) => `${host}.${DOMAIN}:${scene.gatehouse.port}`;
  const address = (host: string) => `http://${authority(host)}`;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 } });
    asker = new Asker(scene.gatehouse.port);
    const { provision } = scene;
    const ada = await provision.user('ada');
    const ben = await provision.user('ben');
    const eve = await provision.user('eve');
    const staff = await provision.group('staff', [ada.pk]);
    const crew = await provision.group('crew', [ada.pk, ben.pk]);
    const made = await provision.application({
      slug: 'corp',
      mode: 'forward_domain',
      externalHost: address('login'),
      groups: [crew],
      provider: { cookie_domain: DOMAIN, skip_path_regex: `^http://[^/]+/public/` },
    });
    provider = made.provider;
    const bind = (slug: string, host: string, path: string, ...groups: string[]) =>
      provision.boundApplication(provider, { slug, host: `${host}.${DOMAIN}`, path, groups });
    await bind('wiki', 'wiki', '/'); // everybody, also those who may open nothing else
    await bind('forge', 'forge', '/', staff);
    await bind('shop', 'shop', '/', crew);
    await bind('shop-admin', 'shop', '/admin', staff);
    await bind('shop-deep', 'shop', '/admin/deep', crew);
    await bind('files', 'files', '/Ärger', staff);
    await provision.served(scene.gatehouse.origin, address('other'));
    const enter = async (person: Person) => {
      const client = scene.visitor();
      people.set(person.username, client);
      const rd = encodeURIComponent(`${address('wiki')}/enter`);
      const login = await client.open(`${address('login')}/outpost.goauthentik.io/start?rd=${rd}`);
      const page = await client.login(login, person.username, person.password);
      assert.equal(page.url.href, `${address('wiki')}/enter`);
    };
    await enter(ada); // who gets in whether the outpost knows all bindings yet or not
    await eventually('all applications are known', 60_000, async () => {
      const visit = { host: authority('files'), method: 'GET', target: '/%C3%84rger', cookie: cookie('files', 'ada') };
      assert.equal((await asker.ask('traefik', visit)).headers['x-authentik-meta-app'], 'files');
    });
    await enter(ben);
    await enter(eve);
  });
  after(async () => {
    asker?.close();
    await scene?.stop();
  });
  afterEach((t) => scene?.explain(t));

  const cookie = (host: string, who: string) => people.get(who)?.jar.header(new URL(address(host))) ?? '';

  it('agrees with the outpost, for every host, path and person, in every dialect', async () => {
    const wrong: string[] = [];
    const seen = new Map<string, number>();
    const questions = HOSTS.flatMap((host) =>
      PATHS.flatMap((target) => ['', 'ada', 'ben', 'eve'].map((who) => ({ host, target, who }))),
    );
    await inParallel(questions, 8, async ({ host, target, who }) => {
      const body = { method: 'GET', url: address(host) + target, user: who === '' ? null : who };
      const said = await scene.gatehouse.api.post(`providers/proxy/${provider}/explain/`, body);
      for (const dialect of ASKING) {
        const blind = dialect === 'nginx' ? said['without_method'] : null;
        const { decision } = (blind ?? said) as { decision: string };
        const heard = await asker.ask(dialect, {
          host: authority(host),
          method: 'GET',
          target,
          cookie: cookie(host, who),
        });
        const answered = answerOf(dialect, heard, who);
        seen.set(decision, (seen.get(decision) ?? 0) + 1);
        if (answered !== decision)
          wrong.push(`${dialect} ${host}${target} as ${who}: ${answered}, explained as ${decision}`);
      }
    });
    assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} differ`);
    for (const decision of ['allow', 'login', 'deny', 'error']) {
      assert.ok((seen.get(decision) ?? 0) > 100, `${decision} ${seen.get(decision)}`);
    }
  });
});

/** As `explain` calls it. Of login and denial nginx gets the same 401, which its login page tells apart. */
function answerOf(dialect: Dialect, heard: Heard, who: string): string {
  if (heard.status === 200) return ['', who].includes(toldUser(dialect, heard)) ? 'allow' : 'somebody else';
  if (heard.status === 401) return dialect.startsWith('nginx') && who !== '' ? 'deny' : 'login';
  if (dialect.startsWith('nginx')) return heard.status === 403 ? 'error' : String(heard.status);
  return heard.text.includes('"code":"access-denied"') ? 'deny' : 'error';
}
