import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProviderMode } from '../../contract/api.ts';
import { IDENTITY_HEADERS } from '../../contract/headers.ts';
import { parsed } from './parsed.test-helper.ts';

interface Ingress {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string; annotations?: Record<string, string> };
  spec: {
    ingressClassName: string;
    tls?: { hosts: string[]; secretName: string }[];
    rules: {
      host: string;
      http: {
        paths: { path: string; pathType: string; backend: { service: { name: string; port: { number: number } } } }[];
      };
    }[];
  };
}

const NAMES = 'nginx.ingress.kubernetes.io/';
/** Annotations ingress-nginx knows, as far as they are used here. */
const KNOWN = new Set(
  [
    'auth-url auth-signin auth-response-headers auth-snippet configuration-snippet backend-protocol proxy-buffering',
    'proxy-buffer-size proxy-buffers-number proxy-read-timeout proxy-send-timeout',
  ]
    .join(' ')
    .split(' ')
    .map((name) => NAMES + name),
);

const ingresses = (mode: ProviderMode, scheme = 'http') =>
  parsed('ingress-nginx', mode, scheme) as unknown as Ingress[];

const summary = ({ metadata, spec }: Ingress) => {
  const [rule] = spec.rules;
  const paths = rule?.http.paths ?? [];
  const [path] = paths;
  assert.ok(
    paths.every(
      ({ backend, pathType }) =>
        JSON.stringify([backend, pathType]) === JSON.stringify([path?.backend, path?.pathType]),
    ),
  );
  const service = path?.backend.service;
  const all = paths.map((one) => one.path).join(' ');
  return [metadata.namespace, rule?.host, all, path?.pathType, service?.name, service?.port.number];
};

describe('manifests for ingress-nginx', () => {
  for (const mode of ['forward_single', 'forward_domain', 'proxy'] as const) {
    it(`are Ingresses with annotations it knows: ${mode}`, () => {
      const all = ingresses(mode, 'https');
      for (const ingress of all) {
        assert.deepEqual(Object.keys(ingress).sort(), ['apiVersion', 'kind', 'metadata', 'spec']);
        assert.deepEqual([ingress.apiVersion, ingress.kind], ['networking.k8s.io/v1', 'Ingress']);
        assert.deepEqual(Object.keys(ingress.spec).sort(), ['ingressClassName', 'rules', 'tls']);
        for (const [name, value] of Object.entries(ingress.metadata.annotations ?? {})) {
          assert.ok(KNOWN.has(name), name);
          assert.equal(typeof value, 'string', `${name}: an annotation is text`);
        }
        assert.equal(ingress.metadata.annotations?.[`${NAMES}backend-protocol`], 'HTTPS');
      }
      assert.equal(new Set(all.map(({ metadata }) => metadata.namespace + metadata.name)).size, all.length);
    });
  }

  it('lead to the application, to the paths of Gatehouse, and at domain level to the login', () => {
    const application = ['web', 'app.company.example', '/', 'Prefix', 'app', 5000];
    // the question is not among them: no script of a page may read its answer
    const paths = ['start', 'callback', 'sign_out'].map((name) => `/outpost.goauthentik.io/${name}`).join(' ');
    const own = ['auth', 'app.company.example', paths, 'Exact', 'gatehouse', 9000];
    const login = ['auth', 'login.company.example', '/', 'Prefix', 'gatehouse', 9000];
    assert.deepEqual(ingresses('forward_single').map(summary), [application, own]);
    assert.deepEqual(ingresses('forward_domain').map(summary), [application, own, login]);
    assert.deepEqual(ingresses('proxy').map(summary), [
      ['auth', 'app.company.example', '/', 'Prefix', 'gatehouse', 9000],
    ]);
  });

  it('ask in the cluster, and send people where they sign in', () => {
    const of = (mode: ProviderMode) => ingresses(mode)[0]?.metadata.annotations ?? {};
    assert.equal(
      of('forward_single')[`${NAMES}auth-url`],
      'http://gatehouse.auth.svc.cluster.local:9000/outpost.goauthentik.io/auth/nginx/with-method',
    );
    for (const [mode, host] of [
      ['forward_single', 'app.company.example'],
      ['forward_domain', 'login.company.example'],
    ] as const) {
      assert.equal(
        of(mode)[`${NAMES}auth-signin`],
        `https://${host}/outpost.goauthentik.io/start?rd=$scheme://$http_host$escaped_request_uri`,
      );
    }
    const copied = of('forward_single')[`${NAMES}auth-response-headers`]?.toLowerCase().split(',') ?? [];
    const expected = ['set-cookie', 'authorization', ...IDENTITY_HEADERS.map((name) => name.toLowerCase())];
    assert.deepEqual(copied.sort(), expected.sort());
  });
});
