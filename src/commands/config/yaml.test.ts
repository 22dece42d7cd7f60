import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IDENTITY_HEADERS, LEGACY_HEADERS } from '../../contract/headers.ts';
import type { ProviderMode } from '../../contract/api.ts';
import { parsed } from './parsed.test-helper.ts';
import type { Node } from './parsed.test-helper.ts';

const MODES: readonly ProviderMode[] = ['forward_single', 'forward_domain', 'proxy'];

const at = (node: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | undefined)?.[key], node);
const keys = (node: unknown) => Object.keys((node ?? {}) as object);
const sorted = (names: Iterable<string>) => [...names].sort();

/** Asserts that an object has these members, those with `?` at most. */
function shape(node: unknown, members: string): void {
  const wanted = members.split(' ');
  const allowed = wanted.map((name) => name.replace('?', ''));
  assert.deepEqual(
    keys(node).filter((key) => !allowed.includes(key)),
    [],
    `unknown members beside ${members}`,
  );
  const missing = wanted.filter((name) => !name.endsWith('?') && !keys(node).includes(name));
  assert.deepEqual(missing, [], `missing members of ${members}`);
}

/** What any form of Traefik's middleware must say. */
function checkForwardAuth(middleware: unknown): void {
  shape(middleware, 'address trustForwardHeader authResponseHeaders authResponseHeadersRegex');
  assert.equal(
    at(middleware, 'address'),
    'http://gatehouse.auth.svc.cluster.local:9000/outpost.goauthentik.io/auth/traefik?strip-cookies',
  );
  assert.equal(String(at(middleware, 'trustForwardHeader')), 'false');
  const list = at(middleware, 'authResponseHeaders');
  const copied = (Array.isArray(list) ? list : String(list).split(',')) as string[];
  const expected = ['Cookie', ...IDENTITY_HEADERS, 'Authorization'];
  assert.deepEqual(
    sorted(copied.map((name) => name.toLowerCase())),
    sorted(expected.map((name) => name.toLowerCase())),
  );
  // Go's syntax: the flag stands in front
  const pattern = /^\(\?i\)(.*)$/.exec(String(at(middleware, 'authResponseHeadersRegex')))?.[1] ?? '';
  const regex = new RegExp(pattern, 'i');
  const otherSpellings = ['X_Authentik_Username', 'X.authentik-Groups', 'X-Gatehouse-Peer', 'x-Auth_username'];
  const opened = ['X-Original-URL', 'x_original_uri', 'X-Rewrite-Url'];
  for (const name of [...IDENTITY_HEADERS, ...LEGACY_HEADERS, ...otherSpellings, ...opened]) assert.match(name, regex);
  const others = ['Cookie', 'Accept', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-User-Agent', 'X-Auth-Token'];
  for (const name of [...others, 'My-X-Authentik-Y']) assert.doesNotMatch(name, regex);
}

/** Routers by name, and what they lead to, of any form of Traefik's dynamic configuration. */
function checkRouters(
  http: { routers: Node; services: Node; middlewares?: Node | undefined },
  mode: ProviderMode,
): void {
  const rules = Object.values(http.routers).map((router) => {
    assert.ok(keys(http.services).includes(String(at(router, 'service'))));
    return [
      String(at(router, 'rule')),
      Number(at(router, 'priority')),
      String(at(router, 'service')),
      at(router, 'middlewares'),
    ];
  });
  const rule = `Host(\`app.company.example\`)`;
  const application = rules.find(([text]) => text === rule) ?? assert.fail('no router for the application');
  if (mode === 'proxy') {
    assert.deepEqual(rules, [[rule, 10, 'gatehouse', undefined]]);
    assert.equal(http.middlewares, undefined);
    return;
  }
  assert.deepEqual([application[3]].flat(), keys(http.middlewares), 'the application is asked about');
  const own = rules.find(
    ([text]) =>
      text === `${rule} && PathPrefix(\`/outpost.goauthentik.io/\`) && !PathPrefix(\`/outpost.goauthentik.io/auth\`)`,
  );
  assert.deepEqual([own?.[2], own?.[3]], ['gatehouse', undefined]);
  assert.ok(Number(own?.[1]) > Number(application[1]), 'the more special router comes first');
  assert.equal(
    rules.some(([text]) => text === 'Host(`login.company.example`)'),
    mode === 'forward_domain',
  );
}

describe('generated YAML', () => {
  for (const mode of MODES) {
    it(`for Traefik's file provider has the members it knows: ${mode}`, () => {
      const [file, ...more] = parsed('traefik', mode, 'http');
      assert.deepEqual(more, []);
      shape(file, 'http');
      const http = at(file, 'http') as { routers: Node; services: Node; middlewares?: Node };
      shape(http, 'routers services middlewares?');
      for (const router of Object.values(http.routers)) {
        shape(router, 'rule priority entryPoints service tls middlewares?');
      }
      for (const service of Object.values(http.services)) {
        assert.match(String(at(service, 'loadBalancer', 'servers', 0, 'url')), /^http:\/\/[a-z.]+:\d+$/);
      }
      checkRouters(http, mode);
      for (const middleware of Object.values(http.middlewares ?? {})) {
        shape(middleware, 'forwardAuth');
        checkForwardAuth(at(middleware, 'forwardAuth'));
      }
    });

    it(`for Traefik's labels says the same: ${mode}`, () => {
      const [file] = parsed('traefik-labels', mode, 'http');
      shape(file, 'services');
      const labels = Object.values(at(file, 'services') as Node).flatMap((service) => {
        shape(service, 'labels');
        return Object.entries(at(service, 'labels') as Record<string, string>);
      });
      const http: Record<string, Record<string, Record<string, unknown>>> = {};
      for (const [label, value] of labels) {
        assert.equal(typeof value, 'string', 'a label is text');
        assert.doesNotMatch(value.replaceAll('$$', ''), /\$/, 'compose would replace a variable');
        const [, kind, name, member] = /^traefik\.http\.(\w+)\.([a-z0-9-]+)\.(.+)$/.exec(label) ?? [];
        if (kind === undefined) assert.deepEqual([label, value], ['traefik.enable', 'true']);
        else ((http[kind] ??= {})[name ?? ''] ??= {})[(member ?? '').replace('forwardauth.', '')] = value;
      }
      for (const router of Object.values(http['routers'] ?? {})) {
        shape(router, 'rule priority entrypoints service tls middlewares?');
      }
      for (const service of Object.values(http['services'] ?? {})) shape(service, 'loadbalancer.server.port');
      const { routers = {}, services = {}, middlewares } = http;
      checkRouters({ routers, services, middlewares }, mode);
      for (const middleware of Object.values(middlewares ?? {})) checkForwardAuth(middleware);
    });

    it(`for Traefik in Kubernetes is what its custom resources take: ${mode}`, () => {
      const documents = parsed('traefik-kubernetes', mode, 'http');
      const names = new Set<string>();
      for (const document of documents) {
        shape(document, 'apiVersion kind metadata spec');
        shape(at(document, 'metadata'), 'name namespace');
        assert.equal(at(document, 'apiVersion'), 'traefik.io/v1alpha1');
        if (at(document, 'kind') === 'Middleware') {
          shape(at(document, 'spec'), 'forwardAuth');
          checkForwardAuth(at(document, 'spec', 'forwardAuth'));
          names.add(`${String(at(document, 'metadata', 'namespace'))}/${String(at(document, 'metadata', 'name'))}`);
          continue;
        }
        assert.equal(at(document, 'kind'), 'IngressRoute');
        shape(at(document, 'spec'), 'entryPoints routes tls');
        shape(at(document, 'spec', 'tls'), 'secretName');
        for (const route of at(document, 'spec', 'routes') as Node[]) {
          shape(route, 'kind match priority middlewares? services');
          for (const { namespace, name } of (route['middlewares'] ?? []) as Record<string, string>[]) {
            assert.ok(names.has(`${namespace}/${name}`));
          }
          const [service] = route['services'] as Node[];
          shape(service, 'kind name namespace port');
          const toApplication = route['middlewares'] !== undefined;
          assert.deepEqual(
            service,
            toApplication
              ? { kind: 'Service', name: 'app', namespace: 'web', port: 5000 }
              : { kind: 'Service', name: 'gatehouse', namespace: 'auth', port: 9000 },
          );
        }
      }
      assert.equal(names.size, mode === 'proxy' ? 0 : 1);
      assert.equal(documents.length, { forward_single: 2, forward_domain: 3, proxy: 1 }[mode]);
    });
  }

  it('names Services that an address of the cluster belongs to, and asks there', () => {
    const [middleware] = parsed('traefik-kubernetes', 'forward_single', 'https');
    assert.match(String(at(middleware, 'spec', 'forwardAuth', 'address')), /^https:\/\/gatehouse\.auth\.svc/);
  });
});
