import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDocument } from 'yaml';
import type { ProviderMode } from '../../contract/api.ts';
import { envoy } from './envoy.ts';
import { configValues } from './values.ts';

type Node = Readonly<Record<string, unknown>>;

function parsed(mode: ProviderMode, scheme: 'http' | 'https'): Node {
  const domain = mode === 'forward_domain';
  const text = envoy(
    configValues(
      {
        name: 'App',
        mode,
        external_host: `${scheme}://${domain ? 'login' : 'app'}.company.example`,
        internal_host: '',
        cookie_domain: domain ? 'company.example' : '',
      },
      { outpostUrl: `${scheme}://gatehouse:9000`, upstream: `${scheme}://app:5000`, host: undefined },
    ),
  );
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  assert.deepEqual([...document.errors, ...document.warnings], [], text);
  return document.toJS() as Node;
}

const API = 'type.googleapis.com/envoy.extensions.';

/**
 * Members of the messages that are used, from Envoy's API reference (v3). A typed message is named by its `@type`, all
 * others by the member they stand in.
 */
const MEMBERS: Readonly<Record<string, string>> = {
  '': 'static_resources',
  static_resources: 'listeners clusters',
  listeners: 'name address filter_chains',
  address: 'socket_address',
  socket_address: 'address port_value ipv4_compat',
  filter_chains: 'filters transport_socket',
  filters: 'name typed_config',
  http_filters: 'name typed_config',
  transport_socket: 'name typed_config',
  'filters.network.http_connection_manager.v3.HttpConnectionManager':
    'stat_prefix use_remote_address common_http_protocol_options stream_idle_timeout upgrade_configs route_config http_filters',
  common_http_protocol_options: 'headers_with_underscores_action',
  upgrade_configs: 'upgrade_type',
  route_config: 'virtual_hosts',
  virtual_hosts: 'name domains routes typed_per_filter_config',
  routes: 'match route direct_response typed_per_filter_config',
  direct_response: 'status',
  match: 'prefix',
  route: 'cluster timeout',
  typed_per_filter_config: 'envoy.filters.http.ext_authz',
  'filters.http.ext_authz.v3.ExtAuthzPerRoute': 'disabled',
  'filters.http.lua.v3.Lua': 'default_source_code',
  default_source_code: 'inline_string',
  'filters.http.ext_authz.v3.ExtAuthz':
    'transport_api_version failure_mode_allow status_on_error allowed_headers http_service',
  status_on_error: 'code',
  allowed_headers: 'patterns',
  allowed_upstream_headers: 'patterns',
  allowed_client_headers_on_success: 'patterns',
  patterns: 'exact prefix ignore_case safe_regex',
  safe_regex: 'regex',
  http_service: 'server_uri path_prefix authorization_response',
  server_uri: 'uri cluster timeout',
  authorization_response: 'allowed_upstream_headers allowed_client_headers_on_success',
  'filters.http.router.v3.Router': '',
  'transport_sockets.tls.v3.DownstreamTlsContext': 'common_tls_context',
  'transport_sockets.tls.v3.UpstreamTlsContext': 'sni common_tls_context',
  common_tls_context: 'alpn_protocols tls_certificates validation_context',
  tls_certificates: 'certificate_chain private_key',
  certificate_chain: 'filename',
  private_key: 'filename',
  validation_context: 'trusted_ca match_typed_subject_alt_names',
  trusted_ca: 'filename',
  match_typed_subject_alt_names: 'san_type matcher',
  matcher: 'exact',
  clusters: 'name type connect_timeout load_assignment transport_socket',
  load_assignment: 'cluster_name endpoints',
  endpoints: 'lb_endpoints',
  lb_endpoints: 'endpoint',
  endpoint: 'address',
};

function checkMembers(node: unknown, name: string): void {
  if (Array.isArray(node)) return node.forEach((item) => checkMembers(item, name));
  if (typeof node !== 'object' || node === null) return;
  const { '@type': type, ...members } = node as Node;
  const known = MEMBERS[typeof type === 'string' ? type.replace(API, '') : name]?.split(' ');
  assert.ok(known !== undefined, `unknown message ${String(type ?? name)}`);
  if (typeof type === 'string') assert.ok(type.startsWith(API), type);
  for (const [member, value] of Object.entries(members)) {
    assert.ok(known.includes(member), `${String(type ?? name)} has no member ${member}`);
    checkMembers(value, member);
  }
}

/** All objects below a node that have this member. */
function having(node: unknown, member: string): Node[] {
  if (typeof node !== 'object' || node === null) return [];
  const own = Object.hasOwn(node, member) ? [node as Node] : [];
  return [...own, ...Object.values(node).flatMap((inner) => having(inner, member))];
}

describe("Envoy's configuration", () => {
  for (const mode of ['forward_single', 'forward_domain', 'proxy'] as const) {
    for (const scheme of ['http', 'https'] as const) {
      it(`has the members its messages have: ${mode}, ${scheme}`, () => {
        const whole = parsed(mode, scheme);
        checkMembers(whole, '');
        const clusters = new Set(having(whole, 'load_assignment').map(({ name }) => name));
        for (const { cluster } of having(whole, 'cluster')) assert.ok(clusters.has(cluster), String(cluster));
        assert.equal(having(whole, 'sni').length, scheme === 'http' ? 0 : clusters.size);
        assert.equal(having(whole, 'alpn_protocols').length, scheme === 'http' ? 0 : 1);
      });
    }
  }

  it('cleans names, asks, strips cookies, and only then leads on', () => {
    const [manager] = having(parsed('forward_single', 'http'), 'http_filters');
    const filters = manager?.['http_filters'] as Node[];
    assert.deepEqual(
      filters.map(({ name }) => name),
      ['gatehouse.names', 'envoy.filters.http.ext_authz', 'gatehouse.cookies', 'envoy.filters.http.router'],
    );
    const [, question] = filters;
    assert.deepEqual(
      having(question, 'failure_mode_allow').map(({ failure_mode_allow: allow, status_on_error: status }) => [
        allow,
        status,
      ]),
      [[false, { code: 'ServiceUnavailable' }]],
    );
    assert.equal(having(question, 'path_prefix')[0]?.['path_prefix'], '/outpost.goauthentik.io/auth/envoy');
  });

  it('asks about everything but what is Gatehouse’s', () => {
    for (const mode of ['forward_single', 'forward_domain'] as const) {
      const hosts = having(parsed(mode, 'http'), 'domains');
      const asked = hosts.flatMap((host) =>
        (host['routes'] as Node[])
          .filter(
            (route) =>
              !Object.hasOwn(route, 'typed_per_filter_config') && !Object.hasOwn(host, 'typed_per_filter_config'),
          )
          .map(({ route }) => (route as Node)['cluster']),
      );
      assert.deepEqual(asked, ['app-app'], 'whatever leads to the application is asked about, and nothing else');
      const unasked = having(hosts, 'disabled');
      assert.equal(unasked.length, mode === 'forward_domain' ? 3 : 2);
      const [first, second] = (hosts[0]?.['routes'] ?? []) as Node[];
      assert.deepEqual(first?.['match'], { prefix: '/outpost.goauthentik.io/auth' }, 'nobody else asks');
      assert.deepEqual(first?.['direct_response'], { status: 404 });
      assert.deepEqual(second?.['match'], { prefix: '/outpost.goauthentik.io/' });
    }
  });
});
