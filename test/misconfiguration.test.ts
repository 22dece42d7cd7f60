import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { request } from 'undici';
import type { Json } from './harness/api.ts';
import { Scene } from './harness/scene.ts';
import { eventually } from './harness/wait.ts';

const OP = '/outpost.goauthentik.io';

describe('a set-up that cannot work', () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 2 } });
    for (const name of ['wiki', 'shop']) await scene.application(name, { mode: 'forward_single' });
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const told = async (message: RegExp): Promise<Json[]> => {
    const events = await scene.gatehouse.api.list('events/events/?action=configuration_error');
    return events.filter((event) => message.test(String((event['context'] as Json)['message'])));
  };

  /** A question as a reverse proxy asks it that does not say what was asked for. */
  async function ask(path: string, name: string): Promise<number> {
    const { statusCode, body } = await request(`${scene.gatehouse.origin}${OP}${path}?code=the-secret`, {
      headers: {
        'x-forwarded-host': new URL(scene.address(name)).host,
        'x-forwarded-for': '203.0.113.9',
        cookie: 'session=the-secret',
        authorization: 'Bearer the-secret',
        'x-api-key': 'the-secret',
        referer: 'https://elsewhere.test/?token=the-secret',
      },
    });
    await body.dump();
    return statusCode;
  }

  for (const [path, proxy, name] of [
    ['/auth/traefik', 'Traefik', 'wiki'],
    ['/auth/nginx', 'nginx', 'shop'],
  ] as const) {
    it(`stands in the events once, without secrets: ${proxy} names no address`, async () => {
      for (let i = 0; i < 20; i++) assert.equal(await ask(path, name), 500);
      const message = new RegExp(`\\(Provider ${name}\\) failed to detect a forward URL from ${proxy}$`);
      await eventually('the event', 20_000, async () => assert.equal((await told(message)).length, 1));
      for (let i = 0; i < 20; i++) await ask(path, name);
      const [event, ...more] = await told(message);
      assert.ok(event);
      assert.deepEqual(more, [], 'told once');
      assert.equal(event['app'], 'authentik.providers.proxy');
      assert.equal(isIP(String(event['client_ip'])), 4);
      assert.equal(event['client_ip'], '203.0.113.9');
      assert.ok(!JSON.stringify(event).includes('the-secret'), JSON.stringify(event));
      const context = event['context'] as Record<string, unknown>;
      assert.equal(context['provider'], name);
      assert.equal(context['outpost'], 'authentik Embedded Outpost');
      assert.match(String(context['url']), new RegExp(`^http://${name}\\.test:\\d+${OP}${path}$`));
      assert.ok(String(context['hint']).length > 20, 'what to do');
    });
  }
});
