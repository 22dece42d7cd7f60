import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import { OfficialOutpost } from './harness/official-outpost.ts';
import { freePort } from './harness/ports.ts';
import { Scene } from './harness/scene.ts';
import type { Person } from './harness/provision.ts';
import { eventually } from './harness/wait.ts';

describe('an official outpost at our server', () => {
  let scene: Scene;
  let outpost: OfficialOutpost;
  let port: number;
  let pk: string;
  let provider: number;
  let alice: Person;
  const clients: Client[] = [];

  before(async () => {
    scene = await Scene.start();
    alice = await scene.provision.user('alice', {
      attributes: { additionalHeaders: { 'X-Team': 'red' }, secret: 's' },
    });
    await scene.provision.group('staff', [alice.pk]);
    // the outpost's address is known first, its token last
    port = await freePort();
    const application = await scene.provision.application({
      slug: 'app',
      mode: 'forward_single',
      externalHost: `http://app.test:${port}`,
      embedded: false,
    });
    provider = application.provider;
    const made = await scene.provision.outpost('official', [provider]);
    pk = made.pk;
    outpost = new OfficialOutpost(`http://localhost:${scene.gatehouse.port}/`, made.token);
    await outpost.listen(port);
    await outpost.start();
    await outpost.connect();
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await outpost?.stop();
    await scene?.stop();
  });
  afterEach((t) => scene?.explain(t));

  const address = () => `http://app.test:${port}/`;
  const visitor = () => {
    const client = new Client();
    clients.push(client);
    return client;
  };
  const signedIn = async () => {
    const client = visitor();
    const page = await client.enter(address(), 'alice', alice.password);
    assert.equal(page.status, 200, trace(page));
    return { client, claims: JSON.parse(page.text) as Record<string, unknown> };
  };
  const isIn = async (client: Client) => (await client.background('GET', address())).status === 200;
  const health = async () =>
    (await scene.gatehouse.api.get(`outposts/instances/${pk}/health/`)) as unknown as Record<string, unknown>[];

  it('starts: every answer is exactly what is published, and it stands in the health list', async () => {
    assert.deepEqual(
      outpost.providers.map((one) => one.external_host),
      [`http://app.test:${port}`],
    );
    await eventually('in the health list', 15_000, async () => {
      const [instance, ...more] = await health();
      assert.deepEqual(
        [instance?.['uid'], instance?.['version'], instance?.['hostname'], instance?.['version_outdated'], more.length],
        [outpost.instance, '2026.5.0', 'official', false, 0],
      );
    });
    await eventually('each HELLO is answered', 15_000, () => {
      assert.ok(outpost.frames.some(({ instruction }) => instruction === 0));
    });
  });

  it('signs people in without PKCE and nonce, with what it needs in the token and nothing else', async () => {
    const { claims } = await signedIn();
    assert.equal(claims['preferred_username'], 'alice');
    assert.deepEqual(claims['groups'], ['staff']);
    assert.deepEqual((claims['ak_proxy'] as { user_attributes: unknown }).user_attributes, {
      additionalHeaders: { 'X-Team': 'red' },
    });
    assert.match(String(claims['sid']), /^[0-9a-f]{64}$/);
  });

  it('is told when a session is over, both ways, and nothing of our own', async () => {
    const [bystander, ended] = [await signedIn(), await signedIn()];
    const session = await scene.gatehouse.api.first('core/authenticated_sessions/?ordering=-session__last_used');
    await scene.gatehouse.api.delete(`core/authenticated_sessions/${String(session['uuid'])}/`);
    await eventually('ended', 10_000, async () => assert.equal(await isIn(ended.client), false));
    assert.equal(await isIn(bystander.client), true);
    await scene.gatehouse.api.patch(`core/users/${alice.pk}/`, { is_active: false });
    await eventually('ended with the account', 10_000, async () => assert.equal(await isIn(bystander.client), false));
    await scene.gatehouse.api.patch(`core/users/${alice.pk}/`, { is_active: true });
    for (const { claims } of [bystander, ended]) {
      // either of them ends the session
      await eventually('told both ways', 20_000, () => {
        const told = outpost.frames.filter(({ args }) => args['session_id'] === claims['sid']);
        assert.deepEqual(
          told.map(({ instruction }) => instruction).toSorted((a, b) => a - b),
          [3, 4],
        );
      });
    }
    assert.ok(!outpost.frames.some(({ instruction }) => instruction > 4));
  });

  it('fetches anew when something changed, and then has it', async () => {
    const before = outpost.refreshes;
    await scene.gatehouse.api.patch(`providers/proxy/${provider}/`, { mode: 'forward_single', name: 'renamed' });
    await eventually('the new name', 20_000, () => {
      assert.equal(outpost.providers[0]?.name, 'renamed');
      assert.ok(outpost.refreshes > before);
    });
    const certificate = await scene.gatehouse.api.post('crypto/certificatekeypairs/generate/', {
      common_name: 'app.test',
      validity_days: 9,
      alg: 'ecdsa',
    });
    const uuid = String(certificate['pk']);
    await scene.gatehouse.api.patch(`providers/proxy/${provider}/`, { mode: 'forward_single', certificate: uuid });
    await eventually('the certificate', 10_000, () => {
      assert.match(outpost.certificates[uuid]?.certificate ?? '', /BEGIN CERTIFICATE/);
      assert.match(outpost.certificates[uuid]?.key ?? '', /PRIVATE KEY/);
    });
  });

  it('lets machines in: app passwords, and tokens it asks about', async () => {
    const [served] = outpost.providers;
    assert.ok(served);
    const key = await scene.provision.appPassword(alice.pk, 'machine');
    const claims = await outpost.basic(served, 'alice', key);
    assert.deepEqual([claims?.['preferred_username'], claims?.['sid']], ['alice', undefined]);
    assert.equal(await outpost.basic(served, 'alice', 'wrong'), undefined);
    assert.deepEqual(await outpost.introspect(served, 'no token'), { active: false });
  });

  it('sees nothing of others, and ends with its token', async () => {
    for (const path of ['/core/users/', '/core/tokens/', '/outposts/instances/default_settings/']) {
      assert.equal(await outpost.status(path), 403, path);
    }
    const key = 'another key of the same outpost 0123456789'.replaceAll(' ', '-');
    await scene.gatehouse.api.post(`core/tokens/ak-outpost-${pk}-api/set_key/`, { key });
    await eventually('the link is closed', 10_000, () => assert.equal(outpost.connected, false));
    assert.equal(await outpost.status('/outposts/instances/'), 403);
    await eventually('out of the health list', 10_000, async () => assert.deepEqual(await health(), []));
  });
});
