/** Real nginx with the configuration ingress-nginx makes: the controller itself needs a cluster. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { IDENTITY_HEADERS, LEGACY_HEADERS } from '../src/contract/headers.ts';
import { rawExchangeTls, trace } from './harness/client.ts';
import { serverConfiguration } from './harness/configurations.ts';
import { ROOT } from './harness/gatehouse.ts';
import { ingressNginx } from './harness/ingress-nginx.ts';
import { Nginx } from './harness/nginx.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import type { FrontPlace } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';

const PREFIX = 'nginx.ingress.kubernetes.io/';
const OURS = 'deploy/ingress-nginx/single-application.yaml';
interface Path {
  path: string;
  pathType: string;
}
const TARGETS = [
  '/',
  '/a%20b/c?x=1&y=%2Fpath%26more&z=%C3%A4&empty=&flag',
  '/odd?rd=https://evil.test/&next=/b&a=1&a=2',
];

/** The locations ingress-nginx makes of the paths of the second Ingress of our text. */
function ownLocations(): string[] {
  const text = readFileSync(join(ROOT, OURS), 'utf8');
  const second = parseAllDocuments(text)[1]?.toJS() as { spec: { rules: { http: { paths: Path[] } }[] } };
  const paths = second.spec.rules.flatMap(({ http }) => http.paths);
  return paths.map(({ path, pathType }) => (pathType === 'Exact' ? `= ${path}` : path));
}

/** Annotations of the first Ingress of a file, without their prefix. */
function annotationsOf(file: string, replace: Readonly<Record<string, string>>): Record<string, string> {
  let text = readFileSync(join(ROOT, file), 'utf8');
  for (const [placeholder, value] of Object.entries(replace)) {
    assert.ok(text.includes(placeholder), `${placeholder} is not in ${file}`);
    text = text.replaceAll(placeholder, value);
  }
  const first = parseAllDocuments(text)[0]?.toJS() as { metadata: { annotations: Record<string, string> } };
  const all = Object.entries(first.metadata.annotations);
  return Object.fromEntries(all.map(([name, value]) => [name.replace(PREFIX, ''), value]));
}

const FILES = {
  'our text': {
    generation: 'outpost',
    outpostPath: '/outpost.goauthentik.io',
    outpostPaths: ownLocations(),
    annotations: ({ gatehouse, port }: FrontPlace, name: string) =>
      annotationsOf(OURS, {
        'app.company': `${name}.test:${port}`,
        'http://gatehouse.default.svc.cluster.local:9000': gatehouse,
      }),
    copied: IDENTITY_HEADERS,
  },
  'the older text': {
    generation: 'akprox',
    outpostPath: '/akprox',
    outpostPaths: ['/akprox'],
    annotations: ({ port }: FrontPlace, name: string) =>
      annotationsOf('test/fixtures/seed-ingress-akprox.yaml', {
        '*external host that you configured in authentik*': `${name}.test:${port}`,
      }),
    copied: LEGACY_HEADERS,
  },
} as const;

for (const [title, file] of Object.entries(FILES)) {
  describe(`behind ingress-nginx, ${title}`, () => {
    let scene: Scene;
    let alice: Person;
    let bob: Person;

    before(async () => {
      const start = (place: FrontPlace) =>
        Nginx.start({
          port: place.port,
          http: (tls) => {
            const listen = `127.0.0.1:${place.port}`;
            const server = { ...tls, listen, name: 'auth.test', outpost: new URL(place.gatehouse).host };
            const annotations = (name: string) => file.annotations(place, name);
            return [
              ingressNginx({ ...place, ...file, annotations, names: ['wiki', 'secret'], tls, targets: TARGETS }),
              serverConfiguration(server),
            ].join('\n');
          },
        });
      scene = await Scene.start({ gatehouse: { workers: 1 }, front: { names: ['wiki', 'secret'], start } });
      alice = await scene.provision.user('alice');
      bob = await scene.provision.user('bob');
      const writers = await scene.provision.group('writers', [alice.pk]);
      await scene.application('wiki', { groups: [writers], provider: { skip_path_regex: '^/public/' } });
      await scene.application('secret', { users: [bob.pk] });
    });
    after(() => scene?.stop());
    afterEach((t) => scene?.explain(t));
    const wiki = (path: string) => scene.address('wiki') + path;

    for (const target of TARGETS) {
      it(`leads to the login and back to ${target}, with every header at the application`, async () => {
        const visitor = scene.visitor();
        const page = await visitor.enter(wiki(target), 'alice', alice.password);
        assert.equal(page.status, 200, trace(page));
        assert.equal(page.url.href, wiki(target), trace(page));
        const { rawHeaders, url } = JSON.parse(page.text) as Received;
        assert.equal(url, target);
        for (const name of file.copied) {
          const values = valuesOf(rawHeaders, name.toLowerCase());
          // nginx sends no header without a value
          assert.equal(values.length, name.endsWith('Entitlements') ? 0 : 1, name);
        }
        const username = file.generation === 'akprox' ? 'x-auth-username' : 'x-authentik-username';
        assert.deepEqual(valuesOf(rawHeaders, username), ['alice']);
        const second = await visitor.open(wiki('/second'));
        assert.equal(second.hops.length, 1, trace(second));
      });
    }

    it('replaces what a visitor forges, on a public path too where the text names one', async () => {
      const visitor = scene.visitor();
      const forged = Object.fromEntries(file.copied.map((name) => [name, 'akadmin']));
      const lures = { 'x-forwarded-host': 'auth.test', 'x-original-url': wiki('/public/x') };
      const page = await visitor.open(wiki('/private'), { headers: { ...forged, ...lures } });
      assert.equal(page.url.origin, scene.server, trace(page));
      const open = await visitor.open(wiki('/public/x'), { headers: forged });
      if (file.generation === 'outpost') assert.equal(open.status, 200, trace(open));
      else assert.equal(open.url.origin, scene.server, trace(open));
      await visitor.enter(wiki('/'), 'alice', alice.password);
      const somebody = await visitor.open(wiki('/'), { headers: forged });
      for (const { status, text } of [open, somebody]) if (status === 200) assert.ok(!text.includes('akadmin'), text);
    });

    // the older text says nothing of what chose the server block, and leaves the question open to scripts
    if (file.generation === 'outpost') {
      it('opens no application with the session of another', async () => {
        const visitor = scene.visitor();
        await visitor.enter(wiki('/'), 'alice', alice.password);
        const [own, other] = ['wiki', 'secret'].map((name) => new URL(scene.address(name)).host);
        const Cookie = visitor.jar.header(new URL(wiki('/')));
        const ask = (target: string, host: string | undefined) =>
          rawExchangeTls(Number(new URL(wiki('/')).port), 'wiki.test', `GET ${target} HTTP/1.1`, {
            Host: host ?? '',
            Cookie,
          });
        assert.match(await ask('/admin', own), /^HTTP\/1\.1 200 /);
        assert.match(await ask(`https://${own}/admin`, own), /^HTTP\/1\.1 200 /);
        const before = scene.upstream.received.length;
        for (const [target, host] of [
          ['/admin', other],
          [`https://${other}/admin`, other],
          [`https://${other}/admin`, own],
          [`https://${other?.toUpperCase()}/admin`, own],
          [`https://secret.test/admin`, own],
          [`https://${other}/admin`, 'nowhere.test'],
        ] as const) {
          assert.match(await ask(target, host), /^HTTP\/1\.1 (?:302|400|403|500) /, `${target} ${host}`);
        }
        assert.equal(scene.upstream.received.length, before);
      });

      it('lets no script of a page read what the question says', async () => {
        const visitor = scene.visitor();
        await visitor.enter(wiki('/'), 'alice', alice.password);
        for (const path of ['/auth', '/auth/nginx', '/auth/nginx/with-method', '/auth/traefik', '/auth/envoy/x']) {
          const page = await visitor.background('GET', wiki(`${file.outpostPath}${path}`));
          assert.equal(page.headers['x-authentik-jwt'], undefined, path);
          assert.equal(
            (JSON.parse(page.text) as Received).url,
            `${file.outpostPath}${path}`,
            'the application answers',
          );
        }
      });
    }

    it('shows who is refused', async () => {
      const denied = await scene.visitor().enter(wiki('/page'), 'bob', bob.password);
      assert.equal(denied.status, 403, trace(denied));
      assert.match(denied.text, /You may not open wiki/);
    });

    it('tells a script where the login is, behind the redirect of nginx', async () => {
      const visitor = scene.visitor();
      const first = await visitor.background('GET', wiki('/api'));
      assert.equal(first.status, 302);
      const second = await visitor.background('GET', new URL(first.hops[0]?.location ?? '', first.url));
      assert.equal(second.status, 401);
      assert.match(second.text, /"login_url"/);
    });

    it('signs out: the next request asks for the password', async () => {
      const visitor = scene.visitor();
      await visitor.enter(wiki('/'), 'alice', alice.password);
      const out = await visitor.open(wiki(`${file.outpostPath}/sign_out`));
      assert.equal(out.status, 200, trace(out));
      const again = await visitor.open(wiki('/'));
      await visitor.login(again, 'alice', alice.password);
    });
  });
}
