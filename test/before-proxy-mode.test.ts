/** What `gatehouse config` writes for a provider in proxy mode: a plain way to Gatehouse, in the real programs. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import { EchoUpstream } from './harness/echo-upstream.ts';
import { FRONTS, startFront } from './harness/fronts.ts';
import type { Front } from './harness/fronts.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { configText, firstEvent, throughWebSocket } from './harness/live.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import type { Person } from './harness/provision.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { failed } from './harness/wait.ts';

describe('in front of proxy mode', () => {
  let gatehouse: Gatehouse;
  let upstream: EchoUpstream;
  let provision: Provision;
  let alice: Person;

  before(async () => {
    gatehouse = await Gatehouse.start({ workers: 1 });
    upstream = await EchoUpstream.start();
    provision = new Provision(gatehouse.api);
    alice = await provision.user('alice');
    await provision.serverAddress(`http://auth.test:${gatehouse.port}`);
  });
  after(async () => {
    await upstream?.stop();
    await gatehouse?.stop();
  });

  for (const kind of FRONTS) {
    describe(kind, () => {
      let front: Front;
      let app: string;
      const client = new Client();

      before(async () => {
        const port = await freePort();
        app = `https://${kind}.test:${port}`;
        await provision.application({ slug: kind, mode: 'proxy', externalHost: app, internalHost: upstream.origin });
        await provision.served(gatehouse.origin, app);
        const text = await configText(gatehouse, [kind, '--provider', kind, '--outpost-url', gatehouse.origin]);
        front = await startFront(kind, text, port);
      });
      after(async () => {
        await client.close();
        await front?.stop();
      });
      afterEach((t) => {
        gatehouse.explain(t);
        if (failed(t)) console.error(front?.log());
      });

      it('leads through the login to the very address, and says who came', async () => {
        const page = await client.enter(`${app}/a%20b?x=1&y=%2F`, 'alice', alice.password);
        assert.equal(page.url.href, `${app}/a%20b?x=1&y=%2F`, trace(page));
        const { url, rawHeaders } = JSON.parse(page.text) as Received;
        assert.equal(url, '/a%20b?x=1&y=%2F');
        assert.deepEqual(valuesOf(rawHeaders, 'x-authentik-username'), ['alice']);
        assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-host'), [new URL(app).host]);
        assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-proto'), ['https']);
        assert.doesNotMatch(valuesOf(rawHeaders, 'cookie').join(), /authentik_/);
      });

      it('carries bodies, WebSockets and event streams', async () => {
        const body = 'x'.repeat(3_000_000);
        const saved = await client.background('POST', `${app}/save`, { body });
        assert.equal((JSON.parse(saved.text) as Received).bodyBytes, body.length);
        const cookie = client.jar.header(new URL(app));
        const { hello, echo } = await throughWebSocket(app, cookie);
        assert.equal(echo, 'ping');
        assert.equal(valuesOf(hello.rawHeaders, 'x-authentik-username').join(), 'alice');
        await assert.rejects(throughWebSocket(app, ''), /Unexpected server response: (?:401|302)/);
        assert.equal(await firstEvent(`${app}/events`, cookie), 'data: first\n\n');
      });

      it('signs out', async () => {
        await client.open(`${app}/outpost.goauthentik.io/sign_out`);
        const again = await client.background('GET', `${app}/`);
        assert.equal(again.status, 401, again.text);
      });
    });
  }
});
