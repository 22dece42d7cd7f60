/**
 * `GET https://secret.test/ HTTP/1.1` with `Host: wiki.test`: what reverse proxies lead to one application and ask about
 * another, a session of the other would open.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, rawExchangeTls, trace } from './harness/client.ts';
import { FRONTS, startFront } from './harness/fronts.ts';
import type { Front, FrontKind } from './harness/fronts.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { configText } from './harness/live.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import type { Person } from './harness/provision.ts';
import { Upstream } from './harness/upstream.ts';
import { failed } from './harness/wait.ts';

/** Two texts of the command as one configuration. */
const BOTH: Readonly<Record<FrontKind, (one: string, other: string) => string>> = {
  nginx: (one, other) => one + other,
  caddy: (one, other) => one + other,
  haproxy: (one, other) => {
    const route = /^ {4}use_backend app-.*\n/m.exec(other)?.[0] ?? assert.fail('no route');
    const backend = /^backend app-.*\n(?: .*\n)+/m.exec(other)?.[0] ?? assert.fail('no backend');
    return one.replace(/^(?= {4}use_backend app-)/m, route).replace(/^(?=backend app-)/m, `${backend}\n`);
  },
};

let gatehouse: Gatehouse;
let provision: Provision;
let alice: Person;
let bob: Person;

before(async () => {
  gatehouse = await Gatehouse.start({ workers: 1 });
  provision = new Provision(gatehouse.api);
  await provision.serverAddress(`http://auth.test:${gatehouse.port}`);
  alice = await provision.user('alice');
  bob = await provision.user('bob');
});
after(() => gatehouse?.stop());

for (const kind of FRONTS) {
  describe(`a request line with a host of its own, behind ${kind}`, () => {
    const client = new Client();
    const wiki = { name: `wiki-${kind}.test`, authority: '', upstream: undefined as Upstream | undefined };
    const secret = { name: `secret-${kind}.test`, authority: '', upstream: undefined as Upstream | undefined };
    let port: number;
    let front: Front;

    before(async () => {
      port = await freePort();
      const texts: string[] = [];
      for (const [app, who] of [
        [wiki, alice],
        [secret, bob],
      ] as const) {
        app.upstream = await Upstream.start();
        app.authority = `${app.name}:${port}`;
        const externalHost = `https://${app.authority}`;
        const slug = app.name.replace('.test', '');
        await provision.application({ slug, mode: 'forward_single', externalHost, users: [who.pk] });
        await provision.served(gatehouse.origin, externalHost);
        const places = ['--outpost-url', gatehouse.origin, '--upstream', app.upstream.origin];
        texts.push(await configText(gatehouse, [kind, '--provider', slug, ...places]));
      }
      front = await startFront(kind, BOTH[kind](texts[0] ?? '', texts[1] ?? ''), port);
      const page = await client.enter(`https://${wiki.authority}/`, 'alice', alice.password);
      assert.equal(page.status, 200, trace(page));
    });
    after(async () => {
      await client.close();
      await front?.stop();
      await wiki.upstream?.stop();
      await secret.upstream?.stop();
    });
    afterEach((t) => {
      gatehouse.explain(t);
      if (failed(t)) console.error(front?.log());
    });

    const ask = (target: string, Host: string) =>
      rawExchangeTls(port, wiki.name, `GET ${target} HTTP/1.1`, {
        Host,
        Cookie: client.jar.header(new URL(`https://${wiki.authority}/`)),
      });

    it('opens no other application', async () => {
      assert.match(await ask('/x', wiki.authority), /^HTTP\/1\.1 200 /);
      const before = wiki.upstream?.received.length;
      for (const [target, host] of [
        ['/admin', secret.authority],
        [`https://${secret.authority}/admin`, secret.authority],
        [`https://${secret.authority}/admin`, wiki.authority],
        [`http://${secret.authority}/admin`, wiki.authority],
        [`https://${secret.name}/admin`, wiki.authority],
        [`https://${secret.name}/admin`, wiki.name],
        [`https://${secret.name.toUpperCase()}/admin`, wiki.authority],
        [`https://${secret.authority}/admin`, 'nowhere.test'],
        [`https://${wiki.authority}@${secret.authority}/admin`, wiki.authority],
        [`https://${wiki.authority}/admin`, secret.authority],
      ] as const) {
        const answer = await ask(target, host);
        assert.equal(secret.upstream?.received.length, 0, `${target} with Host: ${host} -> ${answer}`);
      }
      // nor does an application hear of the other, which it might open instead
      assert.doesNotMatch(JSON.stringify(wiki.upstream?.received.slice(before)), new RegExp(secret.name, 'i'));
    });
  });
}
