/** Outposts whose line to the server is cut: nobody notices, and whatever happened counts as soon as it is whole. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client } from './harness/client.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { Namespaces } from './harness/namespaces.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import { Provision } from './harness/provision.ts';
import type { Person } from './harness/provision.ts';
import { Upstream, valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, sleep } from './harness/wait.ts';

/** The rule is one second (issue of the standalone outposts); a loaded machine gets more, and the time is reported. */
const BOUND_MS = 15_000;
const APPLICATION = 'http://wiki.test:9000';

describe('a cut line between outposts and server', { timeout: 600_000 }, () => {
  let net: Namespaces;
  let gatehouse: Gatehouse;
  let upstream: Upstream;
  let provision: Provision;
  let client: Client;
  const outposts: StandaloneOutpost[] = [];
  let counter = 0;

  before(async () => {
    net = new Namespaces(0);
    await net.create();
    upstream = await Upstream.start('0.0.0.0');
    const inside = (name: string) => ['ip', 'netns', 'exec', name];
    gatehouse = await Gatehouse.start({
      workers: 1,
      host: '0.0.0.0',
      reachedAt: net.gateForTest,
      port: 9000,
      metricsPort: 9300,
      prefix: inside(net.gate),
    });
    provision = new Provision(gatehouse.api);
    await provision.serverAddress('http://auth.test:9000');
    const { provider } = await provision.application({
      slug: 'wiki',
      mode: 'proxy',
      externalHost: APPLICATION,
      internalHost: `http://${net.testForWeb}:${upstream.port}`,
      embedded: false,
    });
    const { token } = await provision.outpost('far away', [provider]);
    for (const [port, metricsPort] of [
      [9000, 9300],
      [9001, 9301],
    ] as const) {
      const server = `http://${net.gateForWeb}:9000`;
      const listen = { host: '0.0.0.0', reachedAt: net.webForTest, port, metricsPort, workers: 1 };
      const outpost = await StandaloneOutpost.prepare({ server, token, ...listen, prefix: inside(net.web) });
      outposts.push(outpost);
      outpost.launch();
    }
    for (const outpost of outposts) {
      await outpost.configured();
      await outpost.connected();
    }
    client = new Client((name) => (name === 'wiki.test' ? net.webForTest : net.gateForTest));
  });
  after(async () => {
    await client?.close();
    for (const outpost of outposts) await outpost.stop();
    await gatehouse?.stop();
    await upstream?.stop();
    await net?.remove();
  });
  afterEach((t) => {
    gatehouse?.explain(t);
    for (const outpost of outposts) outpost.explain(t);
  });

  const signedIn = async (): Promise<{ person: Person; cookie: string }> => {
    const person = await provision.user(`person${++counter}`);
    client.jar.forget(/./);
    await client.enter(`${APPLICATION}/`, person.username, person.password);
    return { person, cookie: client.jar.header(new URL(`${APPLICATION}/`)) };
  };

  /** What a script gets: status and the groups the application saw, at each outpost. */
  const seen = (cookie: string): Promise<string[]> => Promise.all(outposts.map((outpost) => ask(outpost, cookie)));

  const endSessions = async ({ pk }: Person): Promise<void> => {
    const sessions = await gatehouse.api.list('core/authenticated_sessions/?page_size=100');
    for (const session of sessions.filter(({ user }) => user === pk)) {
      await gatehouse.api.delete(`core/authenticated_sessions/${String(session['uuid'])}/`);
    }
  };

  for (const [end, forMs] of [
    ['web', 1_500],
    ['gate', 6_000],
  ] as const) {
    it(`for ${forMs / 1000} s, pulled at the ${end === 'web' ? 'outposts' : 'server'}`, async (t) => {
      for (const outpost of outposts) await outpost.connected();
      const out = await signedIn();
      const gone = await signedIn();
      const moved = await signedIn();
      const group = await provision.group(`movers-${counter}`);
      for (const { cookie } of [out, gone, moved]) assert.deepEqual(await seen(cookie), ['200 ', '200 ']);

      const mend = net.cut(end);
      const cutAt = performance.now();
      await endSessions(out.person);
      await gatehouse.api.patch(`core/users/${gone.person.pk}/`, { is_active: false });
      await provision.addMember(group, moved.person.pk);
      for (const { cookie } of [out, gone, moved]) {
        assert.deepEqual(await seen(cookie), ['200 ', '200 '], 'nobody can know yet, and nobody is locked out');
      }
      await sleep(Math.max(0, forMs - (performance.now() - cutAt)));
      mend();

      const effective = async (what: string, cookie: string, expected: string): Promise<string> => {
        const { ms } = await eventually(`${what} effective`, BOUND_MS, async () => {
          assert.deepEqual(await seen(cookie), [expected, expected], what);
        });
        return `${what} after ${ms} ms`;
      };
      const times = await Promise.all([
        effective('session end', out.cookie, '401 '),
        effective('deactivation', gone.cookie, '401 '),
        effective('change of groups', moved.cookie, `200 movers-${counter}`),
      ]);
      t.diagnostic(`effective since the return of the line: ${times.join(', ')}`);
    });
  }
});

function ask(outpost: StandaloneOutpost, cookie: string): Promise<string> {
  const headers = { host: new URL(APPLICATION).host, accept: '*/*', 'sec-fetch-mode': 'cors', cookie };
  return new Promise((resolve, reject) => {
    const req = request(`${outpost.origin}/x`, { agent: false, headers }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (piece: string) => (text += piece));
      res.once('error', reject);
      res.once('end', () => {
        const groups =
          res.statusCode === 200 ? valuesOf((JSON.parse(text) as Received).rawHeaders, 'x-authentik-groups') : [];
        resolve(`${res.statusCode} ${groups.join()}`);
      });
    });
    req.setTimeout(20_000, () => req.destroy(new Error('no answer within 20 s')));
    req.once('error', reject);
    req.end();
  });
}
