import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { trace } from './harness/client.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';

describe('an outpost of its own beside a Gatehouse', () => {
  let scene: Scene;
  let outpost: StandaloneOutpost;
  let alice: Person;

  before(async () => {
    scene = await Scene.start();
    alice = await scene.provision.user('alice');
    outpost = await StandaloneOutpost.prepare({ server: scene.gatehouse.origin });
    const { provider } = await scene.provision.application({
      slug: 'far',
      mode: 'proxy',
      externalHost: `http://far.test:${outpost.port}`,
      internalHost: scene.upstream.origin,
      embedded: false,
    });
    outpost.token = (await scene.provision.outpost('branch office', [provider])).token;
    outpost.launch();
    await outpost.configured();
  });
  after(async () => {
    await outpost?.stop();
    await scene?.stop();
  });
  afterEach((t) => {
    scene?.explain(t);
    outpost?.explain(t);
  });

  const address = () => `http://far.test:${outpost.port}`;

  it('signs people in and out, and hands on who they are', async () => {
    const visitor = scene.visitor();
    const page = await visitor.enter(`${address()}/?a=1`, 'alice', alice.password);
    const { url, rawHeaders } = JSON.parse(page.text) as Received;
    assert.equal(url, '/?a=1', trace(page));
    assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-username'), ['alice']);
    await visitor.open(`${address()}/outpost.goauthentik.io/sign_out`);
    assert.equal((await visitor.background('GET', `${address()}/`)).status, 401);
  });
});
