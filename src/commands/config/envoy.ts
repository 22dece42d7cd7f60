/** Envoy: the HTTP form of ext_authz (spec/outpost.md 20.4). */
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { STRIP_COOKIES_LUA, stripNamesLua } from './envoy-lua.ts';
import { intro } from './intro.ts';
import type { Address, ConfigValues } from './values.ts';

/** @returns a whole static configuration */
export function envoy(values: ConfigValues): string {
  const where = 'envoy -c this file; where you have a configuration, merge the listener and the clusters into it';
  return `${[...intro(values, 'Envoy', where), ...listener(values), '  clusters:', ...clusters(values)].join('\n')}\n`;
}

const API = 'type.googleapis.com/envoy.extensions';
const indent = (columns: number, lines: readonly string[]) =>
  lines.map((line) => (line === '' ? '' : ' '.repeat(columns) + line));

function listener(values: ConfigValues): string[] {
  const { application } = values;
  return [
    'static_resources:',
    '  listeners:',
    '    - name: web',
    '      address:',
    `        socket_address: { address: '::', port_value: ${application.port}, ipv4_compat: true }`,
    '      filter_chains:',
    '        - filters:',
    '            - name: envoy.filters.network.http_connection_manager',
    '              typed_config:',
    `                '@type': ${API}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    '                stat_prefix: web',
    '                # Where a request comes from is said by Envoy itself.',
    '                use_remote_address: true',
    '                common_http_protocol_options:',
    '                  headers_with_underscores_action: DROP_HEADER',
    '                # Event streams and WebSockets may be silent for long.',
    '                stream_idle_timeout: 3600s',
    '                upgrade_configs:',
    '                  - upgrade_type: websocket',
    '                route_config:',
    '                  virtual_hosts:',
    ...indent(20, virtualHosts(values)),
    '                http_filters:',
    ...(values.mode === 'proxy'
      ? []
      : indent(18, [...namesFilter(values), ...questionFilter(values), ...cookiesFilter])),
    '                  - name: envoy.filters.http.router',
    '                    typed_config:',
    `                      '@type': ${API}.filters.http.router.v3.Router`,
    ...(application.scheme === 'https' ? indent(10, certificate) : []),
  ];
}

const certificate = [
  'transport_socket:',
  '  name: envoy.transport_sockets.tls',
  '  typed_config:',
  `    '@type': ${API}.transport_sockets.tls.v3.DownstreamTlsContext`,
  '    common_tls_context:',
  '      alpn_protocols: [h2, http/1.1]',
  '      tls_certificates:',
  '        - certificate_chain: { filename: /etc/ssl/certs/ssl-cert-snakeoil.pem }',
  '          private_key: { filename: /etc/ssl/private/ssl-cert-snakeoil.key }',
];

/** Both with and without the port: browsers leave out the usual one. */
const domains = ({ host, port }: Address) => `domains: ['${host}', '${host}:${port}']`;

const unasked = [
  '  typed_per_filter_config:',
  '    envoy.filters.http.ext_authz:',
  `      '@type': ${API}.filters.http.ext_authz.v3.ExtAuthzPerRoute`,
  '      disabled: true',
];

const QUESTION = `${OUTPOST_PREFIX}${QUESTION_PATH}`;

const toGatehouse = (name: string, address: Address) => [
  `- name: ${name}`,
  `  ${domains(address)}`,
  '  routes:',
  "    - match: { prefix: '/' }",
  '      route: { cluster: gatehouse, timeout: 0s }',
];

function virtualHosts(values: ConfigValues): string[] {
  const { mode, slug, application, login } = values;
  if (mode === 'proxy') return toGatehouse(`app-${slug}`, application);
  const own = (match: string) => [
    `    - match: { ${match} }`,
    '      route: { cluster: gatehouse, timeout: 0s }',
    ...indent(4, unasked),
  ];
  return [
    `- name: app-${slug}`,
    `  ${domains(application)}`,
    '  routes:',
    '    # Only Envoy itself asks: the answer holds credentials, which no script of a page may read.',
    `    - match: { prefix: '${QUESTION}' }`,
    '      direct_response: { status: 404 }',
    ...indent(4, unasked),
    '    # These paths belong to Gatehouse and need no login.',
    ...own(`prefix: '${OUTPOST_PREFIX}/'`),
    "    - match: { prefix: '/' }",
    `      route: { cluster: app-${slug}, timeout: 0s }`,
    ...(mode === 'forward_domain'
      ? ['# The login itself, and the identity server.', ...toGatehouse('gatehouse', login), ...unasked]
      : []),
  ];
}

const lua = (name: string, why: string, source: readonly string[]) => [
  `# ${why}`,
  `- name: ${name}`,
  '  typed_config:',
  `    '@type': ${API}.filters.http.lua.v3.Lua`,
  '    default_source_code:',
  '      inline_string: |',
  ...indent(8, source),
];

const namesFilter = ({ headers }: ConfigValues) =>
  lua(
    'gatehouse.names',
    'Nobody but Gatehouse says who somebody is, and nobody but Envoy which address is asked for, in whatever spelling.',
    stripNamesLua(headers),
  );
const cookiesFilter = lua('gatehouse.cookies', 'The application does not need our cookies.', STRIP_COOKIES_LUA);

/** What of the visitor's request decides; Envoy adds host, method, path and Authorization itself. */
const ASKED_WITH = [
  ...['accept', 'accept-language', 'access-control-request-headers', 'access-control-request-method', 'content-type'],
  ...['cookie', 'origin', 'sec-fetch-dest', 'sec-fetch-mode', 'sec-fetch-site', 'sec-fetch-user', 'user-agent'],
  ...['sec-websocket-version', 'x-forwarded-for', 'x-forwarded-proto', 'x-requested-with'],
];

function questionFilter({ outpost, headers }: ConfigValues): string[] {
  return [
    '# Ask; anything but 200 goes to the visitor as it is, and no answer is a no.',
    '- name: envoy.filters.http.ext_authz',
    '  typed_config:',
    `    '@type': ${API}.filters.http.ext_authz.v3.ExtAuthz`,
    '    transport_api_version: V3',
    '    failure_mode_allow: false',
    '    status_on_error: { code: ServiceUnavailable }',
    '    allowed_headers:',
    '      patterns:',
    ...ASKED_WITH.map((name) => `        - { exact: ${name}, ignore_case: true }`),
    '        # Frameworks take another method from these, in any spelling; rules for methods must know.',
    "        - { safe_regex: { regex: '(?i)x[^a-z0-9](http[^a-z0-9])?method([^a-z0-9]override)?' } }",
    '    http_service:',
    '      server_uri:',
    `        uri: ${outpost.origin}`,
    '        cluster: gatehouse',
    '        timeout: 10s',
    `      path_prefix: ${QUESTION}/envoy`,
    '      authorization_response:',
    '        # Headers of your own (additionalHeaders) join this list.',
    '        allowed_upstream_headers:',
    '          patterns:',
    '            - { prefix: x-authentik-, ignore_case: true }',
    ...headers.map((name) => `            - { exact: ${name.toLowerCase()}, ignore_case: true }`),
    '            - { exact: authorization, ignore_case: true }',
    '        allowed_client_headers_on_success:',
    '          patterns:',
    '            - { exact: set-cookie, ignore_case: true }',
  ];
}

function clusters({ mode, slug, outpost, upstream }: ConfigValues): string[] {
  const cluster = (name: string, { scheme, host, port }: Address) => [
    `- name: ${name}`,
    '  type: STRICT_DNS',
    '  connect_timeout: 5s',
    '  load_assignment:',
    `    cluster_name: ${name}`,
    '    endpoints:',
    '      - lb_endpoints:',
    '          - endpoint:',
    '              address:',
    `                socket_address: { address: '${host.replace(/[[\]]/g, '')}', port_value: ${port} }`,
    ...(scheme === 'https' ? indent(2, verified(host)) : []),
  ];
  return indent(4, [...(mode === 'proxy' ? [] : cluster(`app-${slug}`, upstream)), ...cluster('gatehouse', outpost)]);
}

const verified = (host: string) => [
  'transport_socket:',
  '  name: envoy.transport_sockets.tls',
  '  typed_config:',
  `    '@type': ${API}.transport_sockets.tls.v3.UpstreamTlsContext`,
  `    sni: '${host}'`,
  '    common_tls_context:',
  '      validation_context:',
  '        trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt }',
  '        match_typed_subject_alt_names:',
  `          - { san_type: DNS, matcher: { exact: '${host}' } }`,
];
