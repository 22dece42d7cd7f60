import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { trace } from './harness/client.ts';
import type { Client } from './harness/client.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually } from './harness/wait.ts';

/** The rule is one second (spec/security.md I); a loaded machine gets more, and the measured time is reported. */
const BOUND_MS = 5_000;

describe('a change to a person reaches every worker', () => {
  let scene: Scene;
  let counter = 0;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 2 } });
    await scene.application('wiki');
    await scene.application('forge');
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const someone = async (): Promise<{ person: Person; visitor: Client }> => {
    const person = await scene.provision.user(`person${++counter}`);
    const visitor = scene.visitor();
    await visitor.enter(`${scene.address('wiki')}/`, person.username, person.password);
    const second = await visitor.open(`${scene.address('forge')}/`);
    assert.equal(second.status, 200, trace(second));
    return { person, visitor };
  };

  /** Status of a signed-in script request on connections of their own, so that both workers are asked. */
  const statuses = async (visitor: Client, name: string): Promise<number[]> => {
    const found: number[] = [];
    for (let i = 0; i < 6; i++) {
      const once = scene.visitor();
      const cookie = visitor.jar.header(new URL(scene.address(name)));
      const answer = await once.background('GET', `${scene.address(name)}/data`, { headers: { cookie } });
      await once.close();
      found.push(answer.status);
    }
    return found;
  };

  const refusedSoon = async (t: TestContext, visitor: Client, names = ['wiki', 'forge']): Promise<void> => {
    const { ms } = await eventually('refused by every worker', BOUND_MS, async () => {
      for (const name of names) {
        const found = await statuses(visitor, name);
        assert.ok(
          found.every((status) => status === 401 || status === 403),
          `${name} answers ${found.join(' ')}`,
        );
      }
    });
    t.diagnostic(`effective after at most ${ms} ms`);
  };

  it('when the account is deactivated', async (t) => {
    const { person, visitor } = await someone();
    await scene.gatehouse.api.patch(`core/users/${person.pk}/`, { is_active: false });
    await refusedSoon(t, visitor);
    const page = await visitor.open(`${scene.address('wiki')}/`);
    assert.equal(page.url.origin, scene.server, trace(page));
    const again = await visitor.login(page, person.username, person.password);
    assert.equal(again.url.origin, scene.server, 'the password works no more');
  });

  it('when the account is deleted', async (t) => {
    const { person, visitor } = await someone();
    await scene.gatehouse.api.delete(`core/users/${person.pk}/`);
    await refusedSoon(t, visitor);
  });

  it('when an administrator ends the session', async (t) => {
    const { person, visitor } = await someone();
    const sessions = await scene.gatehouse.api.list('core/authenticated_sessions/?page_size=100');
    const own = sessions.filter((s) => s['user'] === person.pk);
    assert.equal(own.length, 1);
    await scene.gatehouse.api.delete(`core/authenticated_sessions/${String(own[0]!['uuid'])}/`);
    await refusedSoon(t, visitor);
  });

  it('when the password changes', async (t) => {
    const { person, visitor } = await someone();
    await scene.gatehouse.api.post(`core/users/${person.pk}/set_password/`, { password: 'another good password' });
    await refusedSoon(t, visitor);
  });

  it('when the person signs out at one application', async (t) => {
    const { visitor } = await someone();
    const before = visitor.jar.clone();
    const out = await visitor.open(`${scene.address('wiki')}/outpost.goauthentik.io/sign_out`);
    assert.equal(out.status, 200, trace(out));
    const thief = scene.visitor();
    for (const name of ['wiki', 'forge']) {
      for (const cookie of before.for(new URL(scene.address(name)))) {
        thief.jar.store(new URL(scene.address(name)), `${cookie.name}=${cookie.value}; Path=/`);
      }
    }
    await refusedSoon(t, thief);
  });

  it('when groups change: the application sees the new ones, nobody is signed out', async (t) => {
    const { person, visitor } = await someone();
    const group = await scene.provision.group(`group-of-${person.username}`);
    await scene.provision.addMember(group, person.pk);
    const { ms } = await eventually('new group seen', BOUND_MS, async () => {
      for (let i = 0; i < 4; i++) {
        const page = await visitor.open(`${scene.address('wiki')}/`);
        assert.equal(page.status, 200, trace(page));
        const groups = valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'x-authentik-groups');
        assert.deepEqual(groups, [`group-of-${person.username}`]);
      }
    });
    t.diagnostic(`effective after at most ${ms} ms`);
  });

  it('when access to one application is taken away: only that one is closed', async (t) => {
    const { person, visitor } = await someone();
    const { person: other, visitor: otherVisitor } = await someone();
    const application = await scene.gatehouse.api.get('core/applications/wiki/');
    const binding = await scene.gatehouse.api.post('policies/bindings/', {
      target: String(application['pk']),
      user: other.pk,
      order: 0,
    });
    await refusedSoon(t, visitor, ['wiki']);
    assert.deepEqual(new Set(await statuses(visitor, 'forge')), new Set([200]), person.username);
    await eventually('the bound person goes on', BOUND_MS, async () => {
      assert.deepEqual(new Set(await statuses(otherVisitor, 'wiki')), new Set([200]));
    });
    await scene.gatehouse.api.delete(`policies/bindings/${String(binding['pk'])}/`);
  });

  it('when the server is told a new address: logins go there without a restart', async () => {
    const elsewhere = `http://login.test:${scene.gatehouse.port}`;
    await scene.provision.serverAddress(elsewhere);
    await eventually('logins go to the new address', BOUND_MS, async () => {
      for (let i = 0; i < 4; i++) {
        const page = await scene.visitor().open(`${scene.address('wiki')}/`);
        assert.equal(page.url.origin, elsewhere, trace(page));
      }
    });
    await someone(); // a whole login works there
    await scene.provision.serverAddress(scene.server);
  });
});
