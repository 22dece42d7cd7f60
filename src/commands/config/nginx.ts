/** nginx as a program of its own: `auth_request` (spec/outpost.md 20.1). */
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { asVariable, COPIED, OWN_COOKIE, removedHeaders } from './headers.ts';
import { intro } from './intro.ts';
import type { Address, ConfigValues } from './values.ts';

/** @returns text for a file that nginx includes at http level */
export function nginx(values: ConfigValues): string {
  const where = 'put this file where nginx includes files at http level, for example /etc/nginx/conf.d/';
  const certificates = values.application.scheme === 'https' ? ' and give the certificates their paths' : '';
  return `${[...intro(values, 'nginx', where + certificates), maps, ...servers(values)].join('\n')}\n`;
}

function servers(values: ConfigValues): string[] {
  switch (values.mode) {
    case 'forward_single':
      return [applicationServer(values)];
    case 'forward_domain':
      return [
        '# One such block for each application.',
        applicationServer(values),
        '',
        '# The login itself, and the identity server.',
        gatehouseServer(values, values.login),
      ];
    case 'proxy':
      return [gatehouseServer(values, values.application)];
  }
}

/** Each step takes out one run of our cookies: nginx has no "replace all". */
const cookieStep = (from: string, to: string, step: number) =>
  [
    `map ${from} ${to} {`,
    `    default ${from};`,
    `    "~^(?<gh_before_${step}>|.*?; )(?:${OWN_COOKIE}(?:; |$))+(?<gh_after_${step}>.*)$" "$gh_before_${step}$gh_after_${step}";`,
    '}',
  ].join('\n');

const maps = [
  '# The application does not need our cookies: take them out of what it receives. Each step removes one run of them, and',
  '# they come in at most a few runs (a session is one or two cookies, each login under way one more).',
  cookieStep('$http_cookie', '$gatehouse_cookie_1', 1),
  cookieStep('$gatehouse_cookie_1', '$gatehouse_cookie_2', 2),
  cookieStep('$gatehouse_cookie_2', '$gatehouse_cookie', 3),
  '',
  '# WebSockets.',
  'map $http_upgrade $gatehouse_connection {',
  '    default upgrade;',
  "    '' '';",
  '}',
  '',
].join('\n');

/** What every server block begins with. */
const listen = ({ scheme, host, port }: Address) => [
  `    listen ${port}${scheme === 'https' ? ' ssl http2' : ''};`,
  `    server_name ${host};`,
  '',
  ...(scheme === 'https'
    ? [
        '    ssl_certificate /etc/ssl/certs/ssl-cert-snakeoil.pem;',
        '    ssl_certificate_key /etc/ssl/private/ssl-cert-snakeoil.key;',
        '',
      ]
    : []),
  '    # The login travels in cookies, and a signed token in a header: leave room for them.',
  '    large_client_header_buffers 4 16k;',
  '    proxy_buffers 8 16k;',
  '    proxy_buffer_size 32k;',
  '',
  '    # Names with other characters than letters, digits and "-" are other spellings of headers that are replaced below.',
  '    underscores_in_headers off;',
  '    ignore_invalid_headers on;',
  '',
];

/** How nginx checks a certificate; nothing for http. */
const verified = ({ scheme, host }: Address) =>
  scheme === 'http'
    ? []
    : [
        '        proxy_ssl_server_name on;',
        `        proxy_ssl_name ${host.replace(/[[\]]/g, '')};`,
        '        proxy_ssl_verify on;',
        '        proxy_ssl_verify_depth 5;',
        '        proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;',
      ];

/** What carries WebSockets, event streams and long answers. */
const carried = [
  '        proxy_http_version 1.1;',
  '        proxy_set_header Upgrade $http_upgrade;',
  '        proxy_set_header Connection $gatehouse_connection;',
  '        proxy_buffering off;',
  '        proxy_read_timeout 1h;',
  '        proxy_send_timeout 1h;',
];

const QUESTION = `${OUTPOST_PREFIX}${QUESTION_PATH}/nginx/with-method`;

/**
 * $host is what chose the server block; $http_host may be another one (`GET https://a/ HTTP/1.1` with `Host: b`). Then
 * the two name different applications, and Gatehouse refuses.
 */
const toGatehouse = [
  '        proxy_set_header Host $host;',
  '        proxy_set_header X-Original-URL $scheme://$http_host$request_uri;',
  '        proxy_set_header X-Original-Method $request_method;',
  '        proxy_set_header X-Original-URI "";',
  '        proxy_set_header X-Forwarded-Host "";',
  '        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
  '        proxy_set_header X-Forwarded-Proto $scheme;',
  '        proxy_set_header Upgrade "";',
  '        proxy_pass_request_body off;',
  '        proxy_set_header Content-Length "";',
];

const variable = (header: string) => asVariable(header.slice(2));

/**
 * Presets and names of one's own. Variables are numbered: nginx has some like $remote_user itself, and bounds the length of
 * names.
 */
const furtherHeaders = ({ headers }: ConfigValues) =>
  headers.flatMap((name, i) => [
    `        auth_request_set $gatehouse_header_${i + 1} $upstream_http_${asVariable(name)};`,
    `        proxy_set_header ${name} $gatehouse_header_${i + 1};`,
  ]);

function applicationServer(values: ConfigValues): string {
  const { outpost, upstream } = values;
  return [
    'server {',
    ...listen(values.application),
    '    location / {',
    `        proxy_pass ${upstream.origin};`,
    ...verified(upstream),
    ...carried,
    '        proxy_set_header Host $http_host;',
    '        proxy_set_header X-Forwarded-Host $http_host;',
    '        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    '        proxy_set_header X-Forwarded-Proto $scheme;',
    '        proxy_set_header Cookie $gatehouse_cookie;',
    '',
    '        # Ask Gatehouse about every request; without a login, go and get one.',
    `        auth_request ${QUESTION};`,
    '        error_page 401 = @goauthentik_proxy_signin;',
    '        auth_request_set $auth_cookie $upstream_http_set_cookie;',
    '        add_header Set-Cookie $auth_cookie;',
    '',
    '        # Tell the application who it is. These lines also replace whatever a visitor sent under these names, so to keep',
    '        # one from the application (the token is large), give it the value "" instead of leaving it out.',
    ...COPIED.map((name) => `        auth_request_set $${variable(name)} $upstream_http_x_${variable(name)};`),
    ...COPIED.map((name) => `        proxy_set_header ${name} $${variable(name)};`),
    ...furtherHeaders(values),
    '',
    '        # Credentials for the application, or what the visitor sent, or nothing where Gatehouse used it up. Headers of your',
    '        # own (additionalHeaders) need two lines like these.',
    '        auth_request_set $authentik_authorization $upstream_http_authorization;',
    '        proxy_set_header Authorization $authentik_authorization;',
    '',
    '        # Names of the older generation, which nobody sets here, and addresses that some frameworks would open instead.',
    ...removedHeaders(values).map((name) => `        proxy_set_header ${name} "";`),
    '    }',
    '',
    '    # The question. Only nginx itself may ask: the answer holds credentials, which no script of a page may read.',
    `    location = ${QUESTION} {`,
    '        internal;',
    `        proxy_pass ${outpost.origin}${QUESTION};`,
    ...verified(outpost),
    ...toGatehouse,
    '    }',
    `    location ${OUTPOST_PREFIX}${QUESTION_PATH} {`,
    '        return 404;',
    '    }',
    '',
    '    # Everything else below this path belongs to Gatehouse and needs no login.',
    `    location ${OUTPOST_PREFIX} {`,
    `        proxy_pass ${outpost.origin}${OUTPOST_PREFIX};`,
    ...verified(outpost),
    ...toGatehouse,
    '    }',
    '',
    '    # A 401 of the question above becomes a redirect to the login, which comes back to the page first asked for.',
    '    location @goauthentik_proxy_signin {',
    '        internal;',
    '        add_header Set-Cookie $auth_cookie;',
    `        return 302 ${values.mode === 'forward_domain' ? values.login.origin : ''}${OUTPOST_PREFIX}/start?rd=$scheme://$http_host$request_uri;`,
    '    }',
    '}',
  ].join('\n');
}

/** A server block whose every request is Gatehouse's. */
function gatehouseServer({ outpost }: ConfigValues, address: Address): string {
  return [
    'server {',
    ...listen(address),
    '    client_max_body_size 0;',
    '',
    '    location / {',
    `        proxy_pass ${outpost.origin};`,
    ...verified(outpost),
    ...carried,
    '        proxy_request_buffering off;',
    '        proxy_set_header Host $http_host;',
    '        proxy_set_header X-Forwarded-Host "";',
    '        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    '        proxy_set_header X-Forwarded-Proto $scheme;',
    '    }',
    '}',
  ].join('\n');
}
