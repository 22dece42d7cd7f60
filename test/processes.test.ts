import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { trace } from './harness/client.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, sleep } from './harness/wait.ts';

for (const workers of [0, 1, 3]) {
  describe(`with --workers ${workers}`, () => {
    it('a whole day works: start, login, change, sign-out, restart', async (t) => {
      const scene = await Scene.start({ gatehouse: { workers }, nginx: { wiki: 'outpost' } });
      try {
        const { gatehouse } = scene;
        assert.equal(gatehouse.pids('worker').length, workers);
        assert.equal(gatehouse.pids('control-plane').length, workers === 0 ? 0 : 1);
        const alice = await scene.provision.user('alice');
        await scene.application('wiki');
        await scene.application('forge');
        const visitor = scene.visitor();
        const page = await visitor.enter(`${scene.address('wiki')}/?a=1&b=2`, 'alice', alice.password);
        assert.equal((JSON.parse(page.text) as Received).url, '/?a=1&b=2', trace(page));

        const group = await scene.provision.group('writers');
        await scene.provision.addMember(group, alice.pk);
        await eventually('the new group is seen', 10_000, async () => {
          const answer = await visitor.open(`${scene.address('forge')}/`);
          const { rawHeaders } = JSON.parse(answer.text) as Received;
          assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-groups'), ['writers']);
        });

        await gatehouse.restart();
        await scene.provision.served(gatehouse.origin, scene.address('wiki'));
        for (const name of ['wiki', 'forge']) {
          const after = await visitor.open(`${scene.address(name)}/after-restart`);
          assert.equal(after.status, 200, trace(after));
          assert.equal(after.hops.length, 1, `still signed in:\n${trace(after)}`);
        }

        await visitor.open(`${scene.address('wiki')}/outpost.goauthentik.io/sign_out`);
        await eventually('signed out everywhere', 10_000, async () => {
          for (let i = 0; i < 6; i++) {
            const answer = await visitor.background('GET', `${scene.address('forge')}/`);
            assert.equal(answer.status, 401);
          }
        });
      } catch (error) {
        scene.explain({ passed: false });
        throw error;
      } finally {
        const code = await scene.gatehouse.end();
        t.diagnostic(`ended with ${code}`);
        await scene.stop();
        assert.equal(code, 0);
      }
    });
  });
}

describe('the metrics listener', () => {
  it('sums the workers, answers ping, and counts every request once', async () => {
    const scene = await Scene.start({ gatehouse: { workers: 2 } });
    try {
      await scene.application('wiki');
      const visitor = scene.visitor();
      for (let i = 0; i < 20; i++) {
        const once = scene.visitor();
        await once.background('GET', `${scene.address('wiki')}/counted`);
        await once.close();
      }
      const metrics = `http://127.0.0.1:${scene.gatehouse.metricsPort}`;
      await eventually('counted', 20_000, async () => {
        const text = (await visitor.send('GET', `${metrics}/metrics`)).text;
        assert.match(text, /^authentik_outpost_info\{/m);
        const host = `wiki.test:${scene.gatehouse.port}`;
        const counts = text
          .split('\n')
          .filter((l) => l.startsWith('authentik_outpost_proxy_request_duration_seconds_count') && l.includes(host))
          .map((l) => Number(l.slice(l.lastIndexOf(' ') + 1)));
        const sum = counts.reduce((a, b) => a + b, 0);
        assert.ok(sum >= 20, `counted ${sum}`);
      });
      for (const path of ['/outpost.goauthentik.io/ping', '/akprox/ping']) {
        assert.equal((await visitor.send('GET', `${metrics}${path}`)).status, 204);
      }
    } catch (error) {
      scene.explain({ passed: false });
      throw error;
    } finally {
      await scene.stop();
    }
  });
});

describe('the end of a process', () => {
  it('lets a request that is under way finish', async () => {
    const scene = await Scene.start({ gatehouse: { workers: 2 } });
    try {
      await scene.application('wiki', { provider: { skip_path_regex: '^/download' } });
      const response = await slowDownload(scene, 30_000_000);
      const ended = scene.gatehouse.end();
      await sleep(500);
      let bytes = 0;
      for await (const chunk of response) bytes += (chunk as Buffer).length;
      assert.equal(bytes, 30_000_000);
      assert.equal(await ended, 0);
    } catch (error) {
      scene.explain({ passed: false });
      throw error;
    } finally {
      await scene.stop();
    }
  });
});

/** A download that has begun and of which nothing is read yet. */
function slowDownload(scene: Scene, bytes: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const req = request(`${scene.gatehouse.origin}/download?bytes=${bytes}`, {
      agent: false,
      headers: { host: `wiki.test:${scene.gatehouse.port}` },
    });
    req.once('error', reject);
    req.once('response', (res) => {
      if (res.statusCode === 200) resolve(res);
      else reject(new Error(`download answers ${res.statusCode}`));
    });
    req.end();
  });
}
