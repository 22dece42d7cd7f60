import assert from 'node:assert/strict';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { SealedFile } from '../src/supervise/control/sealed-file.ts';
import type { KeptSignOut } from '../src/supervise/control/sign-outs.ts';
import { trace } from './harness/client.ts';
import type { Client } from './harness/client.ts';
import { hasPasswordField } from './harness/forms.ts';
import { listenersOn } from './harness/processes.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { eventually, sleep } from './harness/wait.ts';

/** Applications with sessions of six seconds: in proxy mode, and behind nginx with both configurations. */
const BRIEF = ['brief', 'newer', 'older'];
/** Half of six seconds; an end is a whole second, so that a session may be one second shorter. */
const FIRST_HALF_MS = 2_500;

/** How long a session lives, and that an ended one stays ended whatever is restarted. */
describe('the life of a session', () => {
  let scene: Scene;
  let alice: Person;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 2 }, nginx: { newer: 'outpost', older: 'akprox' } });
    alice = await scene.provision.user('alice');
    await scene.application('wiki');
    await scene.application('forge');
    for (const name of BRIEF) await scene.application(name, { provider: { access_token_validity: 'seconds=6' } });
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const signedIn = async (): Promise<Client> => {
    const visitor = scene.visitor();
    await visitor.enter(`${scene.address('wiki')}/`, 'alice', alice.password);
    assert.equal((await visitor.open(`${scene.address('forge')}/`)).status, 200);
    return visitor;
  };

  /** Statuses of script requests with these cookies, each on a connection of its own. */
  const statuses = async (visitor: Client, name: string): Promise<Set<number>> => {
    const found = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const once = scene.visitor();
      const cookie = visitor.jar.header(new URL(scene.address(name)));
      found.add((await once.background('GET', `${scene.address(name)}/x`, { headers: { cookie } })).status);
      await once.close();
    }
    return found;
  };

  const assertOver = async (thief: Client): Promise<void> => {
    for (const name of ['wiki', 'forge']) assert.deepEqual(await statuses(thief, name), new Set([401]), name);
  };

  /** Someone who kept a copy of the cookies before the sign-out. */
  const copyOf = (visitor: Client): Client => {
    const thief = scene.visitor();
    for (const name of ['wiki', 'forge']) {
      const url = new URL(scene.address(name));
      for (const cookie of visitor.jar.for(url)) thief.jar.store(url, `${cookie.name}=${cookie.value}; Path=/`);
    }
    return thief;
  };

  const signOut = `/outpost.goauthentik.io/sign_out`;

  it('ended stays ended when workers, the control plane or everything start anew', async () => {
    const visitor = await signedIn();
    const thief = copyOf(visitor);
    await visitor.open(scene.address('wiki') + signOut);
    await eventually('over', 10_000, () => assertOver(thief));

    const [first, second] = scene.gatehouse.pids('worker');
    for (const pid of [first!, second!]) {
      process.kill(pid, 'SIGKILL');
      await eventually('worker replaced', 20_000, () => {
        // a process about to end is no longer listed, while its socket still listens
        const now = scene.gatehouse.pids('worker');
        assert.ok(!now.includes(pid));
        assert.equal(now.length, 2);
        assert.equal(listenersOn(scene.gatehouse.port), 2);
      });
    }
    await assertOver(thief);

    scene.gatehouse.kill('control-plane');
    await scene.gatehouse.ready();
    await assertOver(thief);

    await scene.gatehouse.restart();
    await scene.provision.served(scene.gatehouse.origin, scene.address('wiki'));
    await assertOver(thief);
  });

  it('ended while the identity server is away is over at once, and for the server as soon as it is back', async () => {
    const visitor = await signedIn();
    const thief = copyOf(visitor);
    const serverSession = visitor.jar.clone();
    const controlPlane = scene.gatehouse.pids('control-plane')[0]!;
    process.kill(controlPlane, 'SIGSTOP');
    try {
      const out = await visitor.send('GET', scene.address('wiki') + signOut, {
        headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
      });
      assert.equal(out.status, 302, trace(out));
      await eventually('over', 10_000, async () => {
        assert.deepEqual(await statuses(thief, 'wiki'), new Set([401]));
      });
      // workers know before the disk does
      const kept = new SealedFile<KeptSignOut[]>(path.join(scene.gatehouse.data, 'outpost'), 'sign-outs.jwe');
      await eventually('kept', 10_000, async () => {
        assert.ok((await kept.read())?.some(({ told }) => !told));
      });
      // nobody tells the server before everything dies
      scene.gatehouse.kill('supervisor');
    } finally {
      process.kill(controlPlane, 'SIGKILL'); // before it could read what lies in its socket
    }
    await scene.gatehouse.exit();
    scene.gatehouse.launch();
    await scene.gatehouse.ready();
    await scene.provision.served(scene.gatehouse.origin, scene.address('wiki'));
    await eventually('over everywhere', 10_000, () => assertOver(thief));
    const back = scene.visitor();
    const url = new URL(scene.server);
    for (const cookie of serverSession.for(url)) back.jar.store(url, `${cookie.name}=${cookie.value}; Path=/`);
    const portal = await back.open(`${scene.server}/if/user/`);
    assert.ok(hasPasswordField(portal.text), `the server's own session is over too:\n${trace(portal)}`);
  });

  it('is as long as the provider says, and renews without a password while the person is there', async () => {
    await Promise.all(BRIEF.map(watch));
  });

  it('that a browser does not keep ends in a page that says so, not in a loop', async () => {
    const patterns = {
      'no cookie of ours': /^authentik_proxy_/,
      'not the session': /^authentik_proxy_[0-9a-f]{8}(_\d)?$/,
    };
    for (const name of ['wiki', 'newer', 'older']) {
      for (const [what, refused] of Object.entries(patterns)) {
        const visitor = scene.visitor();
        visitor.jar.refused = refused;
        const page = await visitor.enter(`${scene.address(name)}/`, 'alice', alice.password);
        assert.ok(page.status >= 400, `${name}, ${what}:\n${trace(page)}`);
        assert.match(page.text, /cookie/i, `${name}, ${what}`);
      }
    }
  });

  async function watch(name: string): Promise<void> {
    const visitor = scene.visitor();
    const address = `${scene.address(name)}/`;
    await visitor.enter(address, 'alice', alice.password);
    const cookies = () => visitor.jar.header(new URL(address));
    for (let seen = false; !seen;) {
      const first = cookies();
      await sleep(3_500); // past half of six seconds
      const began = performance.now();
      const renewed = await visitor.open(`${address}page?x=1&y=2`);
      assert.equal(renewed.url.href, `${address}page?x=1&y=2`, trace(renewed));
      assert.ok(renewed.hops.length > 1, `went through the login silently:\n${trace(renewed)}`);
      assert.notEqual(cookies(), first);
      const next = await visitor.open(address);
      // half of the new one may be over where the machine was slow: then this says nothing
      seen = performance.now() - began < FIRST_HALF_MS;
      if (seen) assert.equal(next.hops.length, 1, `once is enough:\n${trace(next)}`);
    }
    await sleep(6_500);
    const script = await visitor.background('GET', `${address}data`);
    assert.notEqual(script.status, 200, 'expired for a script');
    const again = await visitor.open(`${address}later`);
    assert.equal(again.url.href, `${address}later`, `no password asked:\n${trace(again)}`);
    assert.equal(again.status, 200);
  }
});
