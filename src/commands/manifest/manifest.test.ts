import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { z } from 'zod';
import { HOSTILE_NAMES } from '../../../test/harness/hostile-names.ts';
import { CodedError } from '../../contract/errors.ts';
import { composeManifest } from './compose.ts';
import { kubernetesManifest } from './kubernetes.ts';
import { ComposeFile, KubernetesObject } from './schemas.test-helper.ts';
import { manifestValues } from './values.ts';
import type { OutpostFacts } from './values.ts';

const UUID = '01234567-89ab-4def-8123-456789abcdef';

const facts = (more: Partial<OutpostFacts> = {}): OutpostFacts => ({
  name: 'Branch office',
  pk: UUID,
  config: { authentik_host: 'https://auth.company/' },
  token: 'the-token-of-the-outpost',
  providers: [
    { mode: 'forward_single', external_host: 'https://wiki.company' },
    { mode: 'proxy', external_host: 'https://forge.company:8443/path' },
    { mode: 'proxy', external_host: 'https://192.0.2.1' },
  ],
  ...more,
});
const wishes = { server: undefined, image: undefined };

function parsed(text: string): unknown[] {
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], [], text);
    return document.toJS() as unknown;
  });
}

const compose = (values: OutpostFacts) => ComposeFile.parse(parsed(composeManifest(manifestValues(values, wishes)))[0]);
const kubernetes = (values: OutpostFacts) =>
  parsed(kubernetesManifest(manifestValues(values, wishes))).map((document) => KubernetesObject.parse(document));

/** The one object of a kind. */
function one<K extends z.infer<typeof KubernetesObject>['kind']>(objects: z.infer<typeof KubernetesObject>[], kind: K) {
  const [found, second] = objects.filter((o): o is Extract<typeof o, { kind: K }> => o.kind === kind);
  assert.ok(found !== undefined && second === undefined, kind);
  return found;
}

describe('gatehouse manifest compose', () => {
  it('writes the published variables, ports and labels, with nothing to write to but its volume', () => {
    const file = compose(facts());
    assert.deepEqual(Object.keys(file.services), ['ak-outpost-branch-office']);
    const service = file.services['ak-outpost-branch-office'];
    assert.deepEqual(service?.environment, {
      AUTHENTIK_HOST: 'https://auth.company/',
      AUTHENTIK_INSECURE: 'false',
      AUTHENTIK_TOKEN: 'the-token-of-the-outpost',
    });
    assert.deepEqual(service.ports, ['9000:9000', '9443:9443']);
    assert.equal(service.container_name, 'ak-outpost-branch-office');
    assert.equal(service.labels?.['io.goauthentik.outpost-uuid'], UUID.replaceAll('-', ''));
    assert.equal(
      service.labels['traefik.http.routers.ak-outpost-branch-office-router.rule'],
      '(Host(`forge.company`) || Host(`wiki.company`)) && PathPrefix(`/outpost.goauthentik.io/`) && !PathPrefix(`/outpost.goauthentik.io/auth`)',
    );
    assert.equal(
      service.labels['traefik.http.routers.ak-outpost-branch-office-proxy-router.rule'],
      'Host(`forge.company`)',
    );
    assert.equal(service.read_only, true);
    assert.deepEqual(service.volumes, ['data:/data']);
    assert.deepEqual(Object.keys(file.volumes ?? {}), ['data']);
  });

  it('does what the configuration of the outpost says', () => {
    const config = {
      authentik_host: 'http://inside:9000/',
      authentik_host_browser: 'https://auth.company/',
      authentik_host_insecure: true,
      container_image: 'registry.company/outpost:1',
      object_naming_template: 'Out_%(name)s.%(uuid)s',
      docker_network: 'front',
      docker_map_ports: false,
      docker_labels: { team: 'web', number: 3 },
    };
    const file = compose(facts({ config }));
    const [name, service] = Object.entries(file.services)[0] ?? [];
    assert.equal(name, `out-branch-office-${UUID.replaceAll('-', '')}`);
    assert.equal(service?.environment?.['AUTHENTIK_HOST_BROWSER'], 'https://auth.company/');
    assert.equal(service.environment['AUTHENTIK_INSECURE'], 'true');
    assert.equal(service.image, 'registry.company/outpost:1');
    assert.equal(service.ports, undefined);
    assert.deepEqual(service.networks, ['front']);
    assert.deepEqual(file.networks, { front: { external: true } });
    assert.equal(service.labels?.['team'], 'web');
    assert.equal(service.labels['number'], '3');
  });
});

describe('gatehouse manifest kubernetes', () => {
  it('writes the published objects for current versions of the API', () => {
    const objects = kubernetes(facts());
    assert.deepEqual(
      objects.map(({ kind }) => kind),
      ['Secret', 'Deployment', 'Service', 'Ingress', 'Middleware'],
    );
    for (const { metadata } of objects) {
      assert.equal(metadata.name, 'ak-outpost-branch-office');
      assert.equal(metadata.labels['app.kubernetes.io/name'], 'authentik-outpost-proxy');
      assert.equal(metadata.labels['app.kubernetes.io/managed-by'], 'goauthentik.io');
      assert.equal(metadata.labels['goauthentik.io/outpost-uuid'], UUID.replaceAll('-', ''));
      assert.equal(metadata.labels['goauthentik.io/outpost-name'], 'Branch-office');
      assert.equal(metadata.labels['goauthentik.io/outpost-type'], 'proxy');
    }
    assert.deepEqual(one(objects, 'Secret').stringData, {
      authentik_host: 'https://auth.company/',
      authentik_host_browser: '',
      authentik_host_insecure: 'false',
      token: 'the-token-of-the-outpost',
    });
    const { spec } = one(objects, 'Deployment');
    const { selector, ports } = one(objects, 'Service').spec;
    for (const chosen of [selector, spec.selector.matchLabels]) {
      const given = Object.entries(spec.template.metadata.labels);
      for (const label of Object.entries(chosen)) assert.ok(given.some((entry) => entry.join() === label.join()));
    }
    const [container] = spec.template.spec.containers;
    assert.deepEqual(
      container?.ports.map(({ name, containerPort }) => [name, containerPort]),
      [
        ['http', 9000],
        ['https', 9443],
        ['http-metrics', 9300],
      ],
    );
    assert.deepEqual(
      ports.map(({ targetPort }) => targetPort),
      ['http', 'https', 'http-metrics'],
    );
    const volumes = spec.template.spec.volumes.map(({ name }) => name);
    assert.deepEqual(container.volumeMounts.map(({ name }) => name).sort(), volumes.sort());
    const rules = one(objects, 'Ingress').spec.rules.map(({ host, http }) => [
      host,
      ...http.paths.map(({ path, pathType }) => `${pathType} ${path}`),
    ]);
    const own = ['start', 'callback', 'sign_out'].map((path) => `Exact /outpost.goauthentik.io/${path}`);
    assert.deepEqual(
      rules,
      [
        ['forge.company', 'Prefix /'],
        ['wiki.company', ...own],
      ],
      'nobody but the reverse proxy reaches the question',
    );
    const { forwardAuth } = one(objects, 'Middleware').spec;
    assert.equal(
      forwardAuth.address,
      'http://ak-outpost-branch-office.default.svc.cluster.local:9000/outpost.goauthentik.io/auth/traefik?strip-cookies',
    );
    for (const header of ['X-authentik-username', 'X-authentik-meta-version', 'Authorization', 'Cookie']) {
      assert.ok(forwardAuth.authResponseHeaders.includes(header), header);
    }
  });

  it('does what the configuration of the outpost says', () => {
    const config = {
      authentik_host: 'https://auth.company/',
      kubernetes_replicas: 3,
      kubernetes_namespace: 'gates',
      kubernetes_service_type: 'LoadBalancer',
      kubernetes_image_pull_secrets: ['pull'],
      kubernetes_ingress_annotations: { 'cert-manager.io/cluster-issuer': 'house' },
      kubernetes_ingress_class_name: 'traefik',
      kubernetes_ingress_path_type: 'Exact',
      kubernetes_ingress_secret_name: 'wild-card',
    };
    const objects = kubernetes(facts({ config }));
    assert.ok(objects.every(({ metadata }) => metadata.namespace === 'gates'));
    const { replicas, template } = one(objects, 'Deployment').spec;
    assert.equal(replicas, 3);
    assert.deepEqual(template.spec.imagePullSecrets, [{ name: 'pull' }]);
    assert.equal(one(objects, 'Service').spec.type, 'LoadBalancer');
    const { metadata, spec } = one(objects, 'Ingress');
    assert.equal(metadata.annotations?.['cert-manager.io/cluster-issuer'], 'house');
    assert.equal(spec.ingressClassName, 'traefik');
    assert.equal(spec.rules[0]?.http.paths[0]?.pathType, 'Exact');
    assert.equal(spec.tls[0]?.secretName, 'wild-card');
    const left = kubernetes(
      facts({ config: { ...config, kubernetes_disabled_components: ['ingress', 'traefik middleware', 'secret'] } }),
    );
    assert.deepEqual(
      left.map(({ kind }) => kind),
      ['Deployment', 'Service'],
    );
    assert.ok(!kubernetes(facts({ providers: [] })).some(({ kind }) => kind === 'Ingress'), 'no host to route');
  });
});

describe('both manifests', () => {
  for (const hostile of HOSTILE_NAMES) {
    it(`keep ${JSON.stringify(hostile)} what it is: text`, () => {
      const config = {
        authentik_host: hostile,
        authentik_host_browser: hostile,
        container_image: hostile,
        docker_labels: { a: hostile, [hostile]: 'b' },
      };
      const values = facts({ name: hostile, token: hostile, config });
      const [name = '', service] = Object.entries(compose(values).services)[0] ?? [];
      assert.match(name, /^ak-outpost(-[a-z0-9-]+)?$/);
      // as compose reads it: `$$` is a dollar sign, and nothing else is replaced
      const said = (text: string | undefined) => {
        assert.doesNotMatch((text ?? '').replaceAll('$$', ''), /\$/);
        return text?.replaceAll('$$', '$');
      };
      const expected = hostile.trim();
      assert.deepEqual(Object.keys(service?.environment ?? {}), [
        'AUTHENTIK_HOST',
        'AUTHENTIK_INSECURE',
        'AUTHENTIK_TOKEN',
        'AUTHENTIK_HOST_BROWSER',
      ]);
      assert.equal(said(service?.environment?.['AUTHENTIK_HOST']), expected);
      assert.equal(said(service?.environment?.['AUTHENTIK_TOKEN']), hostile);
      assert.equal(said(service?.image), expected);
      assert.equal(said(service?.labels?.['a']), hostile);
      assert.equal(service?.labels?.[hostile], 'b');
      const objects = kubernetes(values);
      assert.deepEqual(
        objects.map(({ kind }) => kind),
        ['Secret', 'Deployment', 'Service', 'Ingress', 'Middleware'],
      );
      assert.equal(one(objects, 'Secret').stringData['token'], hostile);
      assert.equal(one(objects, 'Secret').stringData['authentik_host'], expected);
      assert.equal(one(objects, 'Deployment').spec.template.spec.containers[0]?.image, expected);
    });
  }

  it('route no host that is more than a host name', () => {
    const hosts = ['https://a`) || Host(`b.company', 'https://[::1]:9000', 'https://xn--bcher-kva.company', 'nothing'];
    const providers = hosts.map((external_host) => ({ mode: 'proxy' as const, external_host }));
    assert.deepEqual(
      manifestValues(facts({ providers }), wishes).hosts.map(({ host }) => host),
      ['xn--bcher-kva.company'],
    );
  });

  it('are refused while nobody said where the server is', () => {
    assert.throws(
      () => manifestValues(facts({ config: {} }), wishes),
      (error) => error instanceof CodedError && error.code === 'manifest-address',
    );
    assert.equal(manifestValues(facts({ config: {} }), { ...wishes, server: 'https://s/' }).host, 'https://s/');
  });

  it('of deploy/ are what they should be', () => {
    for (const name of ['compose', 'outpost']) {
      ComposeFile.parse(parsed(readFileSync(`deploy/compose/${name}.yaml`, 'utf8'))[0]);
    }
    for (const name of ['server', 'outpost']) {
      for (const document of parsed(readFileSync(`deploy/kubernetes/${name}.yaml`, 'utf8'))) {
        KubernetesObject.parse(document);
      }
    }
  });
});
