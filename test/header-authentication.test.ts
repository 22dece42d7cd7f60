/** Programs that sign in with a header, in proxy mode and behind real and re-made reverse proxies. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { TARGETS } from '../src/commands/config/targets.ts';
import { configValues } from '../src/commands/config/values.ts';
import type { Page } from './harness/client.ts';
import { trace } from './harness/client.ts';
import { startFront } from './harness/fronts.ts';
import type { FrontKind } from './harness/fronts.ts';
import type { Person } from './harness/provision.ts';
import { envoyOfOurs, traefikAsPublished } from './harness/relaying.ts';
import { Scene } from './harness/scene.ts';
import type { SceneOptions } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, promised } from './harness/wait.ts';

interface Place {
  options: SceneOptions;
  /** hands on refusals as they are */
  relays: boolean;
  /** hands on no cookie of a permission, unless it is told the name */
  withholdsCookies?: boolean;
  /** leads to the application only */
  noServer?: boolean;
}

/** The real program with the text of `gatehouse config`. */
const ours = (kind: FrontKind): Place => ({
  options: {
    front: {
      names: ['wiki'],
      start({ port, gatehouse, upstream }) {
        const external_host = `https://wiki.test:${port}`;
        const provider = {
          name: 'wiki',
          mode: 'forward_single',
          external_host,
          internal_host: '',
          cookie_domain: '',
        } as const;
        return startFront(
          kind,
          TARGETS[kind](configValues(provider, { outpostUrl: gatehouse, upstream, host: undefined })),
          port,
        );
      },
    },
  },
  relays: kind !== 'nginx',
  noServer: true,
});

const PLACES: Record<string, Place> = {
  'in proxy mode': { options: {}, relays: true },
  'behind nginx': ours('nginx'),
  'behind Caddy': { ...ours('caddy'), withholdsCookies: true },
  'behind HAProxy': ours('haproxy'),
  'behind nginx, in proxy mode': { options: { nginx: { wiki: 'carried' } }, relays: true },
  'behind Traefik': {
    options: { front: { names: ['wiki'], start: traefikAsPublished('wiki') } },
    relays: true,
    withholdsCookies: true,
  },
  'behind Envoy': {
    options: { front: { names: ['wiki'], start: envoyOfOurs('wiki') } },
    relays: true,
  },
};

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const received = (page: Page) => JSON.parse(page.text) as Received;
const userIn = (page: Page) => valuesOf(received(page).rawHeaders, 'x-authentik-username')[0];

for (const [title, { options, relays, withholdsCookies = false, noServer = false }] of Object.entries(PLACES)) {
  describe(`header authentication ${title}`, () => {
    let scene: Scene;
    let server: string;
    let robot: Person;
    let stranger: Person;
    let right: string;
    let denied: string;
    before(async () => {
      scene = await Scene.start({ gatehouse: { workers: 1 }, ...options });
      server = noServer ? `http://auth.test:${scene.gatehouse.port}` : scene.server;
      await scene.provision.serverAddress(server);
      robot = await scene.provision.user('robot');
      stranger = await scene.provision.user('stranger');
      const machines = await scene.provision.group('machines', [robot.pk]);
      await scene.application('wiki', { groups: [machines], provider: { skip_path_regex: '^/public/' } });
      right = basic('robot', await scene.provision.appPassword(robot.pk, 'robot-key'));
      denied = basic('stranger', await scene.provision.appPassword(stranger.pk, 'stranger-key'));
    });
    after(() => scene?.stop());
    afterEach((t) => scene?.explain(t));

    const ask = (authorization: string | undefined, path = '/x?a=1', visitor = scene.visitor()) =>
      visitor.background('GET', scene.address('wiki') + path, authorization ? { headers: { authorization } } : {});

    it('lets a machine in, with a session that needs the header no more', async () => {
      const visitor = scene.visitor();
      for (const [what, authorization] of [
        ['first', right],
        ['with the cookie', undefined],
        ['with both', right],
      ] as const) {
        if (withholdsCookies && authorization === undefined) continue;
        const page = await ask(authorization, '/x?a=1', visitor);
        assert.equal(page.status, 200, `${what}: ${trace(page)}`);
        assert.equal(userIn(page), 'robot', what);
        assert.equal(received(page).url, '/x?a=1');
        assert.deepEqual(valuesOf(received(page).rawHeaders, 'authorization'), [], what);
      }
    });

    it('keeps the header from the application where it was used up, also from the cache, and only there', async () => {
      for (const path of ['/x', '/x', '/public/x']) {
        const page = await ask(right, path);
        assert.equal(userIn(page), 'robot', trace(page));
        const seen = valuesOf(received(page).rawHeaders, 'authorization');
        assert.deepEqual(seen, [], path);
      }
      const visitor = scene.visitor();
      await visitor.enter(`${scene.address('wiki')}/`, 'robot', robot.password);
      const beside = await ask('Token of-the-application', '/x', visitor);
      assert.deepEqual(valuesOf(received(beside).rawHeaders, 'authorization'), ['Token of-the-application']);
      const open = await ask('Token of-the-application', '/public/x');
      assert.equal(open.status, 200, trace(open));
      assert.deepEqual(valuesOf(received(open).rawHeaders, 'authorization'), ['Token of-the-application']);
    });

    it('tells wrong ones so, and those who may not', async () => {
      const follow = async (authorization: string): Promise<Page> => {
        const page = await ask(authorization);
        if (relays) return page;
        // nginx makes a redirect of every 401
        assert.equal(page.status, 302, trace(page));
        return scene.visitor().background('GET', new URL(page.hops[0]?.location ?? '', page.url), {
          headers: { authorization },
        });
      };
      const wrong = await follow(basic('robot', 'wrong'));
      assert.equal(wrong.status, 401, trace(wrong));
      assert.match(String(wrong.headers['www-authenticate']), /^Basic realm="wiki"/);
      const own = await follow(basic('robot', robot.password));
      assert.equal(own.status, 401, 'the password of the account');
      assert.equal((await follow(denied)).status, 403);
    });

    it('believes no deleted app password', async () => {
      let count = 0;
      await promised('end of an app password', 1000, async () => {
        const name = `short-lived-${++count}`;
        const key = basic('robot', await scene.provision.appPassword(robot.pk, name));
        const visitor = scene.visitor();
        assert.equal((await ask(key, '/x', visitor)).status, 200);
        await scene.gatehouse.api.delete(`core/tokens/${name}/`);
        const { ms } = await eventually('believed no more', 20_000, async () => {
          assert.notEqual((await ask(key)).status, 200);
          assert.notEqual((await ask(key, '/x', visitor)).status, 200);
        });
        return ms;
      });
    });

    it('takes a token, and one as the password of the reserved user', async () => {
      const access_token = await tokenFor(scene, server, 'wiki', right);
      for (const authorization of [`Bearer ${access_token}`, basic('goauthentik.io/token', access_token)]) {
        const page = await ask(authorization);
        assert.equal(page.status, 200, trace(page));
        assert.equal(userIn(page), 'robot');
      }
    });
  });
}

/** An access token of a provider for whoever the app password is of. @param right value of an Authorization header */
async function tokenFor(scene: Scene, server: string, name: string, right: string): Promise<string> {
  const provider = (await scene.gatehouse.api.list('providers/proxy/')).find((p) => p['name'] === name);
  const [username = '', password = ''] = Buffer.from(right.slice('Basic '.length), 'base64').toString().split(':');
  const client_id = String(provider?.['client_id']);
  const form = { grant_type: 'client_credentials', client_id, username, password, scope: 'openid profile' };
  const answer = await scene.visitor().send('POST', `${server}/application/o/token/`, {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  });
  assert.equal(answer.status, 200, answer.text);
  return (JSON.parse(answer.text) as { access_token: string }).access_token;
}

describe('tokens of another provider', () => {
  let scene: Scene;
  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 } });
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  it('count where that one is trusted, as one of this provider, and nowhere else', async () => {
    const robot = await scene.provision.user('robot');
    const right = basic('robot', await scene.provision.appPassword(robot.pk, 'robot-key'));
    const wiki = await scene.application('wiki');
    await scene.application('forge', { provider: { jwt_federation_providers: [wiki.provider] } });
    const ask = (name: string, token: string) =>
      scene.visitor().background('GET', scene.address(name), { headers: { authorization: `Bearer ${token}` } });
    const page = await ask('forge', await tokenFor(scene, scene.server, 'wiki', right));
    assert.equal(page.status, 200, trace(page));
    assert.equal(userIn(page), 'robot');
    const token = valuesOf(received(page).rawHeaders, 'x-authentik-jwt')[0] ?? '';
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { iss: string };
    assert.match(claims.iss, /\/application\/o\/forge\/$/);
    assert.equal((await ask('wiki', await tokenFor(scene, scene.server, 'forge', right))).status, 401);
  });
});
