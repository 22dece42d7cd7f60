/**
 * The nginx configuration that ingress-nginx makes of the annotations of an Ingress (rootfs/etc/nginx/template/nginx.tmpl
 * of its release 1.12), as far as authorisation is concerned.
 */

import { join } from 'node:path';
import { ROOT } from './gatehouse.ts';

/** Annotations of the older generation, word for word. */
export const SEED_INGRESS = join(ROOT, 'test/fixtures/seed-ingress-akprox.yaml');

export interface IngressOptions {
  /** applications: one Ingress each, with the same annotations but for their name */
  names: readonly string[];
  /** annotations without their prefix */
  annotations: (name: string) => Readonly<Record<string, string>>;
  /** paths that a second Ingress leads to the outpost, as nginx's `location` has them */
  outpostPaths: readonly string[];
  port: number;
  tls: { cert: string; key: string };
  /** origins */
  upstream: string;
  gatehouse: string;
  /** request targets of the test: escaping is done in Lua there, which Debian's nginx does not have */
  targets: readonly string[];
}

export function ingressNginx(options: IngressOptions): string {
  return `
map_hash_bucket_size 512;
map $request_uri $escaped_request_uri {
${options.targets.map((target) => `  "${target}" "${encodeURIComponent(target)}";`).join('\n')}
  default $request_uri;
}
proxy_headers_hash_bucket_size 128;
${options.names.map((name) => server(name, options)).join('')}`;
}

function server(name: string, options: IngressOptions): string {
  const { outpostPaths, port, tls, upstream, gatehouse } = options;
  const annotations = options.annotations(name);
  const needed = (key: string): string => {
    const value = annotations[key];
    if (value === undefined) throw new TypeError(`no annotation ${key}`);
    return value;
  };
  const authUrl = new URL(needed('auth-url'));
  const copied = needed('auth-response-headers').split(',');
  const buffer = annotations['proxy-buffer-size'] ?? '4k';
  return `server {
  listen 127.0.0.1:${port} ssl;
  server_name ${name}.test;
  ssl_certificate ${tls.cert};
  ssl_certificate_key ${tls.key};
  set $best_http_host $http_host;
  set $pass_access_scheme $scheme;

  location = /_external-auth-Lw-Prefix {
    internal;
    access_log off;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header X-Forwarded-Proto "";
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header Host ${authUrl.host};
    proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Sent-From "nginx-ingress-controller";
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Auth-Request-Redirect $request_uri;
    proxy_buffering off;
    proxy_buffer_size ${buffer};
    proxy_buffers 4 ${buffer};
    proxy_request_buffering on;
    proxy_ssl_server_name on;
    proxy_pass_request_headers on;
    client_max_body_size 1m;
${annotations['auth-snippet'] ?? ''}
    proxy_pass ${reached(authUrl, name, port)};
  }

  location @authentication {
    internal;
    add_header Set-Cookie $auth_cookie;
    return 302 ${needed('auth-signin')};
  }

  location / {
    auth_request /_external-auth-Lw-Prefix;
    auth_request_set $auth_cookie $upstream_http_set_cookie;
    add_header Set-Cookie $auth_cookie;
${copied.map(copy).join('\n')}
    error_page 401 = @authentication;
${onward(buffer)}
${annotations['configuration-snippet'] ?? ''}
    proxy_pass ${upstream};
  }

${outpostPaths
  .map(
    (path) => `  location ${path} {
${onward(buffer)}
    proxy_pass ${gatehouse};
  }
`,
  )
  .join('')}}
`;
}

/** The name of the application leads to this nginx again. */
function reached(url: URL, name: string, port: number): string {
  const host = url.hostname === `${name}.test` ? `127.0.0.1:${port}` : url.host;
  return `${url.protocol}//${host}${url.pathname}${url.search}`;
}

const copy = (name: string, i: number) =>
  `    auth_request_set $authHeader${i} $upstream_http_${name.trim().toLowerCase().replaceAll('-', '_')};
    proxy_set_header '${name.trim()}' $authHeader${i};`;

const onward = (buffer: string) => `    proxy_set_header Host $best_http_host;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $best_http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Forwarded-Proto $pass_access_scheme;
    proxy_set_header X-Forwarded-Scheme $pass_access_scheme;
    proxy_set_header X-Scheme $pass_access_scheme;
    proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_buffer_size ${buffer};
    proxy_buffers 4 ${buffer};`;
