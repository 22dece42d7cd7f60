import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { trace } from './harness/client.ts';
import { hasPasswordField } from './harness/forms.ts';
import { ROOT } from './harness/gatehouse.ts';
import { Hosts } from './harness/hosts.ts';
import { StandaloneOutpost } from './harness/outpost.ts';
import { freePort } from './harness/ports.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import { fromLabels, TraefikDouble } from './harness/traefik.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { failed } from './harness/wait.ts';

const run = promisify(execFile);

interface ComposeService {
  labels?: Record<string, unknown>;
  environment?: Record<string, string>;
}
type Compose = Record<string, ComposeService>;

const serviceOf = (text: string) => (parse(text) as { services: Compose }).services;
const fileOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');

interface SetUp {
  /** the text, when the test has an outpost to ask about */
  text: (manifest: string) => string;
  /** host of the application in it */
  placeholder: string;
  /** service that is the outpost */
  outpost: string;
  prefix: string;
  /** what tells the application who is there */
  header: string;
  /** labels the text leaves to its reader, by service */
  more?: Compose;
}

const SET_UPS: Record<string, SetUp> = {
  'of deploy/': {
    text: () => fileOf('deploy/compose/compose.yaml'),
    placeholder: 'whoami.company',
    outpost: 'outpost',
    prefix: '/outpost.goauthentik.io',
    header: 'x-authentik-username',
  },
  'of the older generation': {
    text: () => fileOf('test/fixtures/seed-compose-akprox.yaml'),
    placeholder: '*external host that you configured in authentik*',
    outpost: 'authentik_proxy',
    prefix: '/akprox',
    header: 'x-auth-username',
  },
  'of gatehouse manifest': {
    text: (manifest) => manifest,
    placeholder: 'whoami.test',
    outpost: 'ak-outpost-branch',
    prefix: '/outpost.goauthentik.io',
    header: 'x-authentik-username',
    more: {
      whoami: {
        labels: {
          'traefik.enable': 'true',
          'traefik.http.routers.whoami.rule': 'Host(`whoami.test`)',
          'traefik.http.routers.whoami.priority': '10',
          'traefik.http.routers.whoami.middlewares': 'ak-outpost-branch@docker',
        },
      },
    },
  },
};

/**
 * Compose set-ups, their processes started by hand: the server, an outpost of its own with the environment the file
 * gives it, an application, and what stands in for Traefik, which reads the labels.
 */
describe('the compose set-up', { timeout: 600_000 }, () => {
  let scene: Scene;
  let outpost: StandaloneOutpost;
  let alice: Person;
  let hosts: Hosts;
  const ports = new Map<string, number>();
  const fronts: TraefikDouble[] = [];
  let manifest: string;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 } });
    alice = await scene.provision.user('alice');
    hosts = new Hosts({ 'auth.test': '127.0.0.1' });
    const providers: number[] = [];
    for (const name of Object.keys(SET_UPS)) {
      const port = await freePort();
      ports.set(name, port);
      const externalHost = `https://whoami.test:${port}`;
      const slug = `whoami-${providers.length}`;
      const { provider } = await scene.provision.application({
        slug,
        mode: 'forward_single',
        externalHost,
        embedded: false,
      });
      providers.push(provider);
    }
    const server = `https://auth.test:${ports.get('of deploy/')}`;
    await scene.provision.serverAddress(server);
    await scene.provision.outpost('Branch', providers, { authentik_host: `${server}/`, authentik_host_insecure: true });
    const env = { GATEHOUSE_HOST: scene.gatehouse.origin, GATEHOUSE_TOKEN: scene.gatehouse.api.token };
    const line = [join(ROOT, 'src/main.ts'), 'manifest', 'compose', '--outpost', 'Branch'];
    manifest = (await run(process.execPath, line, { encoding: 'utf8', env })).stdout;
    const environment = serviceOf(manifest)['ak-outpost-branch']?.environment ?? {};
    assert.equal(environment['AUTHENTIK_HOST'], `${server}/`);
    outpost = await StandaloneOutpost.prepare({
      server: environment['AUTHENTIK_HOST'],
      workers: 1,
      env: environment,
      prefix: hosts.prefix,
    });
    for (const [name, setUp] of Object.entries(SET_UPS)) {
      fronts.push(await TraefikDouble.start(ports.get(name) ?? 0, dynamicOf(setUp)));
    }
    outpost.launch();
    await outpost.configured();
  });
  after(async () => {
    await outpost?.stop();
    for (const front of fronts) await front.stop();
    hosts?.remove();
    await scene?.stop();
  });
  afterEach((t) => {
    scene?.explain(t);
    outpost?.explain(t);
    if (failed(t)) for (const front of fronts) console.error(front.log());
  });

  /** The labels of the file as Traefik reads them, hosts and containers put where they are in this test. */
  function dynamicOf({ text, placeholder, outpost: name, more = {} }: SetUp): string {
    const labels: Record<string, Record<string, string>> = {};
    for (const [service, { labels: own = {} }] of Object.entries({ ...serviceOf(text(manifest)), ...more })) {
      if (service === 'traefik') continue; // its own dashboard
      labels[service] = Object.fromEntries(
        Object.entries(own).map(([key, value]) => [
          key,
          String(value)
            .replaceAll('$$', '$')
            .replaceAll(placeholder, 'whoami.test')
            .replaceAll('auth.company', 'auth.test'),
        ]),
      );
    }
    return fromLabels(labels, (service) => {
      if (service === name) return outpost.origin;
      if (service === 'whoami') return scene.upstream.origin;
      if (service === 'gatehouse') return scene.gatehouse.origin;
      throw new TypeError(`${service} is no service of this set-up`);
    });
  }

  for (const [name, { prefix, header }] of Object.entries(SET_UPS)) {
    const address = () => `https://whoami.test:${ports.get(name)}`;

    it(`${name} leads from the login to the application, and out again`, async () => {
      const visitor = scene.visitor();
      const target = `${address()}/page?x=1&y=%2F%26`;
      const login = await visitor.open(target);
      assert.equal(login.url.origin, `https://auth.test:${ports.get('of deploy/')}`, trace(login));
      const page = await visitor.login(login, 'alice', alice.password);
      assert.equal(page.url.href, target, trace(page));
      const received = JSON.parse(page.text) as Received;
      assert.equal(received.url, '/page?x=1&y=%2F%26');
      assert.deepEqual(valuesOf(received.rawHeaders, header), ['alice']);
      const again = await visitor.open(`${address()}/again`, { headers: { [header]: 'akadmin' } });
      assert.equal(again.hops.length, 1, trace(again));
      assert.deepEqual(valuesOf((JSON.parse(again.text) as Received).rawHeaders, header), ['alice']);
      const out = await visitor.open(`${address()}${prefix}/sign_out`);
      assert.equal(out.status, 200, trace(out));
      const after = await visitor.open(target);
      assert.ok(hasPasswordField(after.text), trace(after));
    });

    it(`${name} lets nobody in without a login`, async () => {
      const answer = await scene.visitor().background('GET', `${address()}/api`);
      assert.equal(answer.status, 401, answer.text);
    });
  }

  it('is refused by name for the outpost inside the server, and for one that is not there', async () => {
    const env = { GATEHOUSE_HOST: scene.gatehouse.origin, GATEHOUSE_TOKEN: scene.gatehouse.api.token };
    for (const [name, code] of [
      ['authentik Embedded Outpost', 'outpost-embedded'],
      ['nothing', 'no-such-object'],
    ] as const) {
      const line = [join(ROOT, 'src/main.ts'), 'manifest', 'kubernetes', '--outpost', name];
      await assert.rejects(run(process.execPath, line, { encoding: 'utf8', env }), (error) => {
        assert.match((error as { stderr: string }).stderr, new RegExp(`\\[${code}\\]`));
        return true;
      });
    }
  });
});
