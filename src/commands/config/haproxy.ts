/** HAProxy with deploy/haproxy/gatehouse.lua: it has no question of its own for other services. */
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { intro } from './intro.ts';
import type { Address, ConfigValues } from './values.ts';

/** @returns a whole haproxy.cfg */
export function haproxy(values: ConfigValues): string {
  const where =
    'copy gatehouse.lua to /etc/haproxy/ and merge this into /etc/haproxy/haproxy.cfg. HAProxy 2.6 or newer, with Lua';
  return `${[
    ...intro(values, 'HAProxy', where),
    ...general(values),
    ...frontend(values),
    ...(values.mode === 'proxy' ? [] : applicationBackend(values)),
    ...gatehouse(values),
  ].join('\n')}\n`;
}

const general = ({ mode }: ConfigValues) => [
  'global',
  '    # A login travels in cookies, and a signed token in a header: more than the usual 16 kB.',
  '    tune.bufsize 65536',
  ...(mode === 'proxy' ? [] : ['    lua-load-per-thread /etc/haproxy/gatehouse.lua']),
  '',
  'defaults',
  '    mode http',
  '    timeout connect 5s',
  '    timeout http-request 30s',
  '    timeout http-keep-alive 1m',
  '    # Event streams and WebSockets may be silent for long.',
  '    timeout client 1h',
  '    timeout server 1h',
  '    timeout tunnel 1h',
  '',
];

const isHost = ({ host }: Address) => `{ req.hdr(host),host_only,lower -m str ${host} }`;

const QUESTION = `${OUTPOST_PREFIX}${QUESTION_PATH}`;

function frontend({ mode, slug, application, login }: ConfigValues): string[] {
  const { scheme, port } = application;
  const tls = scheme === 'https' ? ' ssl crt /etc/haproxy/certs/ alpn h2,http/1.1' : '';
  return [
    'frontend web',
    `    bind :${port}${tls}`,
    '    # Where a request comes from is said here and nowhere else.',
    ...[
      'X-Forwarded-Host',
      'X-Forwarded-Port',
      'X-Forwarded-Uri',
      'X-Original-URL',
      'X-Original-URI',
      'X-Rewrite-URL',
    ].map((name) => `    http-request del-header ${name}`),
    '    http-request set-header X-Forwarded-For %[src]',
    `    http-request set-header X-Forwarded-Proto ${scheme}`,
    '    http-request set-header X-Forwarded-Host %[req.hdr(host)]',
    '',
    ...(mode === 'proxy'
      ? [`    use_backend gatehouse if ${isHost(application)}`]
      : [
          '    # Only the script below asks: the answer holds credentials, which no script of a page may read.',
          `    http-request deny deny_status 404 if { path ${QUESTION} } || { path_beg ${QUESTION}/ }`,
          '',
          '    # These paths belong to Gatehouse on every host, and need no login.',
          `    use_backend gatehouse if { path ${OUTPOST_PREFIX} } || { path_beg ${OUTPOST_PREFIX}/ }`,
          ...(mode === 'forward_domain' ? [`    use_backend gatehouse if ${isHost(login)}`] : []),
          `    use_backend app-${slug} if ${isHost(application)}`,
        ]),
    '',
  ];
}

const applicationBackend = ({ slug, upstream, headers }: ConfigValues) => [
  `backend app-${slug}`,
  '    # Headers of the answer for the application, beside X-authentik-*. Authorization: credentials for the application, or',
  '    # what the visitor sent, or nothing where Gatehouse used it up. Headers of your own (additionalHeaders) join the list,',
  '    # separated by spaces: a comma would end the argument.',
  `    http-request set-var(txn.gatehouse_headers) str("${['Authorization', ...headers].join(' ')}")`,
  '    # Ask; unless the answer is yes, nothing gets through. The two lines belong together.',
  '    http-request lua.gatehouse abns@gatehouse',
  '    http-request deny unless { var(txn.gatehouse) -m str allow }',
  '    http-response lua.gatehouse-cookies if { var(txn.gatehouse_cookies) -m bool }',
  `    server app ${server(upstream)}`,
  '',
];

const gatehouse = ({ mode, outpost }: ConfigValues) => [
  'backend gatehouse',
  '    retries 1',
  `    server gatehouse ${server(outpost)}`,
  ...(mode === 'proxy'
    ? []
    : [
        '',
        '# The questions come in here, from this HAProxy only.',
        'frontend gatehouse_questions',
        '    bind abns@gatehouse',
        '    default_backend gatehouse',
      ]),
];

const server = ({ scheme, host, port }: Address) =>
  `${host}:${port}${scheme === 'https' ? ` ssl verify required verifyhost ${host} sni str(${host}) ca-file @system-ca` : ''}`;
