import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { NGINX_GUIDE, SEED_FIXTURE, SERVER_FIXTURE } from './harness/configurations.ts';
import { ROOT } from './harness/gatehouse.ts';
import { SEED_INGRESS } from './harness/ingress-nginx.ts';
import { SEED_TRAEFIK } from './harness/relaying.ts';

/** The published nginx text of the older generation, as people have it in their configuration. */
const PUBLISHED = `server {
# SSL and VHost configuration
listen 443 ssl http2;
server_name _;
ssl_certificate /etc/ssl/certs/ssl-cert-snakeoil.pem;
ssl_certificate_key /etc/ssl/private/ssl-cert-snakeoil.key;
# Increase buffer size for large headers
# This is needed only if you get 'upstream sent too big header while reading response header from upstream' error when trying to access an application protected by goauthentik
proxy_buffers 8 16k;
proxy_buffer_size 32k;
fastcgi_buffers 16 16k;
fastcgi_buffer_size 32k;
location / {
# Put your proxy_pass to your application here
# proxy_pass http://localhost:5000;
# authentik-specific config
auth_request /akprox/auth;
error_page 401 = @akprox_signin;
# For domain level, use the below error_page to redirect to your Authentik server with the full redirect path
# error_page 401 =302 https://authentik.company/akprox/start?rd=$scheme://$http_host$request_uri;
# translate headers from the outposts back to the actual upstream
auth_request_set $username $upstream_http_x_auth_username;
auth_request_set $email $upstream_http_X_Forwarded_Email;
proxy_set_header X-Auth-Username $username;
proxy_set_header X-Forwarded-Email $email;
}
# all requests to /akprox must be accessible without authentication
location /akprox {
proxy_pass http://*ip or hostname of the authentik OUTPOST*:9000/akprox;
# ensure the host of this vserver matches your external URL you've configured
# in authentik
proxy_set_header Host $host;
add_header Set-Cookie $auth_cookie;
auth_request_set $auth_cookie $upstream_http_set_cookie;
}
# Special location for when the /auth endpoint returns a 401,
# redirect to the /start URL which initiates SSO
location @akprox_signin {
internal;
add_header Set-Cookie $auth_cookie;
return 302 /akprox/start?rd=$request_uri;
}
}
`;

/** The published nginx text for a reverse proxy in front of the identity server. */
const PUBLISHED_SERVER = `# Upstream where your authentik server is hosted.
upstream authentik {
server <hostname of your authentik server>:9443;
# Improve performance by keeping some connections alive.
keepalive 10;
}

# Upgrade WebSocket if requested, otherwise use keepalive
map $http_upgrade $connection_upgrade_keepalive {
default upgrade;
'' '';
}

server {
# HTTP server config
listen 80;
listen [::]:80;
server_name sso.domain.tld;
# 301 redirect to HTTPS
return 301 https://$host$request_uri;
}
server {
# HTTPS server config
listen 443 ssl http2;
listen [::]:443 ssl http2;
server_name sso.domain.tld;

# TLS certificates
ssl_certificate /etc/letsencrypt/live/domain.tld/fullchain.pem;
ssl_certificate_key /etc/letsencrypt/live/domain.tld/privkey.pem;
add_header Strict-Transport-Security "max-age=63072000" always;

# Proxy site
# Location can be set to a subpath if desired, see documentation linked below:
# https://goauthentik.io/docs/installation/configuration#authentik_web__path
location / {
proxy_pass https://authentik;
proxy_http_version 1.1;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header Host $http_host;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $connection_upgrade_keepalive;
}
}`;

const SERVER_PLACEHOLDERS: Readonly<Record<string, string>> = {
  '{{server}}': '<hostname of your authentik server>',
  '{{name}}': 'sso.domain.tld',
  '{{certificate}}': '/etc/letsencrypt/live/domain.tld/fullchain.pem',
  '{{certificate_key}}': '/etc/letsencrypt/live/domain.tld/privkey.pem',
};

/** The published Traefik middleware of the older generation. */
const PUBLISHED_TRAEFIK = `middlewares:
authentik:
forwardAuth:
address: http://authentik-outpost-example-outpost:9000/akprox/auth?traefik
trustForwardHeader: true
authResponseHeaders:
- Set-Cookie
- X-Auth-Username
- X-Auth-Groups
- X-Forwarded-Email
- X-Forwarded-Preferred-Username
- X-Forwarded-User`;

/** The published annotations of the older generation. */
const PUBLISHED_INGRESS = `metadata:
annotations:
nginx.ingress.kubernetes.io/auth-url: https://*external host that you configured in authentik*/akprox/auth?nginx
nginx.ingress.kubernetes.io/auth-signin: https://*external host that you configured in authentik*/akprox/start?rd=$escaped_request_uri
nginx.ingress.kubernetes.io/auth-response-headers: X-Auth-Username,X-Forwarded-Email,X-Forwarded-Preferred-Username,X-Forwarded-User,X-Auth-Groups
nginx.ingress.kubernetes.io/auth-snippet: |
proxy_set_header X-Forwarded-Host $http_host;`;

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  '{{listen}}': '443',
  '{{certificate}}': '/etc/ssl/certs/ssl-cert-snakeoil.pem',
  '{{certificate_key}}': '/etc/ssl/private/ssl-cert-snakeoil.key',
  '{{proxy_pass to your application}}': '# proxy_pass http://localhost:5000;',
  '{{outpost}}': '*ip or hostname of the authentik OUTPOST*:9000',
};

describe('configurations under test', () => {
  it('use the published text of the older generation, only placeholders filled in', () => {
    let text = readFileSync(SEED_FIXTURE, 'utf8');
    for (const [placeholder, published] of Object.entries(PLACEHOLDERS)) text = text.replace(placeholder, published);
    assert.equal(text, PUBLISHED);
  });

  it('use the published text in front of the identity server, only placeholders filled in', () => {
    let text = readFileSync(SERVER_FIXTURE, 'utf8');
    for (const [placeholder, published] of Object.entries(SERVER_PLACEHOLDERS)) {
      text = text.replaceAll(placeholder, published);
    }
    assert.equal(text.trim(), PUBLISHED_SERVER);
  });

  it('use the published Traefik middleware and annotations of the older generation', () => {
    assert.equal(unindent(readFileSync(SEED_TRAEFIK, 'utf8')), PUBLISHED_TRAEFIK);
    assert.equal(unindent(readFileSync(SEED_INGRESS, 'utf8')), PUBLISHED_INGRESS);
  });

  it('use the published compose file of the older generation, of which only the indentation is ours', () => {
    const text = unindent(readFileSync(join(ROOT, 'test/fixtures/seed-compose-akprox.yaml'), 'utf8'));
    assert.equal(
      createHash('sha256').update(text).digest('hex'),
      '4298c5b2cf8858b4cc67c61c4661fba1abc20356e2c0dd8da27f77982499dd44',
    );
  });

  it('are what the guides tell people to use', () => {
    const guides = markdown(join(ROOT, 'docs'));
    assert.ok(
      guides.some((guide) => unindent(guide).includes(unindent(PUBLISHED))),
      'no page under docs/ shows the text for the older generation',
    );
    assert.ok(
      guides.some((guide) => guide.includes(PUBLISHED_SERVER)),
      'no page under docs/ shows the text in front of the identity server',
    );
    const newer = readFileSync(NGINX_GUIDE, 'utf8');
    assert.ok(
      guides.some((guide) => guide.includes(newer.trim())),
      'no page under docs/ shows deploy/nginx/single-application.conf',
    );
  });
});

function markdown(folder: string): string[] {
  assert.ok(existsSync(folder));
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
}

const unindent = (text: string) => text.replaceAll(/^[ \t]+/gm, '').trim();
