import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './gatehouse.ts';

/** Values for the placeholders of the nginx texts. */
export interface Placeholders {
  /** port, or address and port */
  listen: string;
  cert: string;
  key: string;
  /** host and port of the application */
  application: string;
  /** host and port of Gatehouse */
  outpost: string;
}

export const SEED_FIXTURE = join(ROOT, 'test/fixtures/seed-nginx-akprox.conf');
/** The published text for a reverse proxy in front of the identity server, for every address of it. */
export const SERVER_FIXTURE = join(ROOT, 'test/fixtures/seed-nginx-server.conf');
export const NGINX_GUIDE = join(ROOT, 'deploy/nginx/single-application.conf');
const NGINX_DOMAIN = join(ROOT, 'deploy/nginx/domain-level.conf');

/** The older generation's text (`/akprox`), word for word but for its marked placeholders. */
export function akproxConfiguration(values: Placeholders): string {
  return fill(readFileSync(SEED_FIXTURE, 'utf8'), {
    '{{listen}}': values.listen,
    '{{certificate}}': values.cert,
    '{{certificate_key}}': values.key,
    '{{proxy_pass to your application}}': `proxy_pass http://${values.application};`,
    '{{outpost}}': values.outpost,
  });
}

/** The older generation's text for a whole domain: its other `error_page`, for every host that has no server of its own. */
export function akproxDomainConfiguration(values: Placeholders & { login: string }): string {
  return fill(akproxConfiguration(values), {
    'error_page 401 = @akprox_signin;': '# error_page 401 = @akprox_signin;',
    '# error_page 401 =302 https://authentik.company/': `error_page 401 =302 https://${values.login}/`,
  });
}

/** The newer generation's text for a whole domain, as in deploy/: a server for each application, and that of the login. */
export function outpostDomainConfiguration(values: Placeholders & { names: string[]; login: string }): string {
  const text = fill(readFileSync(NGINX_DOMAIN, 'utf8'), {
    'listen 443 ssl http2;': `listen ${values.listen} ssl http2;`,
    '/etc/ssl/certs/ssl-cert-snakeoil.pem': values.cert,
    '/etc/ssl/private/ssl-cert-snakeoil.key': values.key,
    'proxy_pass http://localhost:5000;': `proxy_pass http://${values.application};`,
    'http://outpost.company:9000': `http://${values.outpost}`,
    'return 302 https://login.company.example/': `return 302 https://${values.login}/`,
    'server_name login.company.example;': `server_name ${values.login.replace(/:\d+$/, '')};`,
  });
  const [maps = '', application = '', login = ''] = text.split(/^(?=server \{)/m);
  const servers = values.names.map((name) => fill(application, { 'app.company.example': name }));
  return [maps, ...servers, login].join('');
}

/** The newer generation's text, as we publish it in deploy/. */
export function outpostConfiguration(values: Placeholders & { name: string }): string {
  return fill(readFileSync(NGINX_GUIDE, 'utf8'), {
    'listen 443 ssl http2;': `listen ${values.listen} ssl http2;`,
    'server_name app.company;': `server_name ${values.name};`,
    '/etc/ssl/certs/ssl-cert-snakeoil.pem': values.cert,
    '/etc/ssl/private/ssl-cert-snakeoil.key': values.key,
    'proxy_pass http://localhost:5000;': `proxy_pass http://${values.application};`,
    'proxy_pass http://outpost.company:9000/': `proxy_pass http://${values.outpost}/`,
  });
}

/** Where the published text for the identity server stands. */
export interface ServerPlace {
  /** address of the identity server, which listens on 9443 */
  server: string;
  name: string;
  cert: string;
  key: string;
}

/** The published text for the identity server, word for word but for its marked placeholders. */
export function publishedServerConfiguration({ server, name, cert, key }: ServerPlace): string {
  return fill(readFileSync(SERVER_FIXTURE, 'utf8'), {
    '{{server}}': server,
    '{{name}}': name,
    '{{certificate}}': cert,
    '{{certificate_key}}': key,
  });
}

/** A plain reverse proxy in front of the identity server, after the published starting point. */
export function serverConfiguration(values: Omit<Placeholders, 'application'> & { name: string }): string {
  return `map $http_upgrade $connection_upgrade_keepalive {
  default upgrade;
  '' '';
}
upstream authentik {
  server ${values.outpost};
  keepalive 10;
}
server {
  listen ${values.listen} ssl http2;
  server_name ${values.name};
  ssl_certificate ${values.cert};
  ssl_certificate_key ${values.key};
  location / {
    proxy_pass http://authentik;
    proxy_http_version 1.1;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade_keepalive;
  }
}
`;
}

function fill(text: string, values: Readonly<Record<string, string>>): string {
  let filled = text;
  for (const [placeholder, value] of Object.entries(values)) {
    if (!filled.includes(placeholder)) throw new TypeError(`placeholder ${placeholder} is not in the configuration`);
    filled = filled.replaceAll(placeholder, value);
  }
  return filled;
}
