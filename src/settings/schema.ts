/**
 * Every setting: one table, from which the values, the command `gatehouse settings` and the reference page come.
 * Names and defaults are the published ones (spec/outpost.md 1.2 and 1.3, spec/server.md 16) unless said.
 */
import path from 'node:path';
import * as parse from './parse.ts';

export interface Setting<T> {
  /** name without its prefix: read as `GATEHOUSE_<name>`, else as `AUTHENTIK_<name>` */
  name: string;
  /** our own: there is no `AUTHENTIK_<name>` */
  own: boolean;
  /** text of the default, parsed like a value; empty = none */
  fallback: string;
  parse: (raw: string) => T;
  /** who reads it */
  used: 'server' | 'outpost' | 'both';
  /** never printed */
  secret: boolean;
  /** an empty value means something else than leaving the variable out */
  emptyCounts: boolean;
  /** an outpost of its own cannot run without it */
  neededByOutpost: boolean;
  /** one or two sentences for the reference page */
  about: string;
}

type Row<T> = Pick<Setting<T>, 'name' | 'parse' | 'used' | 'about'> & Partial<Setting<T>>;

const setting = <T>(row: Row<T>): Setting<T> => ({
  own: false,
  fallback: '',
  secret: false,
  emptyCounts: false,
  neededByOutpost: false,
  ...row,
});

const PRIVATE_NETWORKS = '127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fe80::/10,::1/128';

export const SETTINGS = {
  http: setting({
    name: 'LISTEN__HTTP',
    fallback: '[::]:9000',
    parse: parse.listenAddresses,
    used: 'both',
    about: 'Addresses for HTTP, separated by commas: `[::]:9000`, `127.0.0.1:9000`, `:9000` (all addresses).',
  }),
  https: setting({
    name: 'LISTEN__HTTPS',
    fallback: '[::]:9443',
    parse: parse.listenAddressesOrNone,
    used: 'both',
    emptyCounts: true,
    about: 'Addresses for HTTPS (HTTP/2 and HTTP/1.1), separated by commas. Empty: no HTTPS.',
  }),
  metrics: setting({
    name: 'LISTEN__METRICS',
    fallback: '[::]:9300',
    parse: parse.listenAddresses,
    used: 'both',
    about: 'Addresses for metrics and the health ping. Reachable without a login: keep them inside.',
  }),
  trustedProxyCidrs: setting({
    name: 'LISTEN__TRUSTED_PROXY_CIDRS',
    fallback: PRIVATE_NETWORKS,
    parse: parse.networks,
    used: 'both',
    emptyCounts: true,
    about:
      'Networks of the reverse proxies that may say who the client is and which host was asked for (`X-Forwarded-*`, ' +
      'PROXY protocol). ' +
      'Empty: nobody may.',
  }),
  strictPeers: setting({
    name: 'STRICT_PEERS',
    own: true,
    fallback: 'any',
    parse: parse.networksOrAny,
    used: 'both',
    emptyCounts: true,
    about:
      'Narrows the trusted networks: a peer must be in one of these too. ' +
      'Name the exact addresses of your reverse proxies here. `any`: no narrowing. Empty: nobody is trusted.',
  }),
  data: setting({
    name: 'DATA',
    own: true,
    fallback: './data',
    parse: (raw) => path.resolve(raw),
    used: 'both',
    about: 'Folder of everything that must survive a restart: database, keys. Back it up; keep it private.',
  }),
  workers: setting({
    name: 'WORKERS',
    own: true,
    parse: parse.workers,
    used: 'both',
    about:
      'Processes that answer on the HTTP port. Empty: by the number of cores, at most 2. 0: everything in one process.',
  }),
  logLevel: setting({
    name: 'LOG_LEVEL',
    fallback: 'info',
    parse: parse.logLevel,
    used: 'both',
    about: '`trace`, `debug`, `info`, `warning` or `error`. No level prints secrets.',
  }),
  logHttpHeaders: setting({
    name: 'LOG__HTTP_HEADERS',
    fallback: 'User-Agent',
    parse: parse.headerNames,
    used: 'both',
    emptyCounts: true,
    about: 'Names of request headers copied to the access log, separated by commas.',
  }),
  webPath: setting({
    name: 'WEB__PATH',
    fallback: '/',
    parse: parse.webPath,
    used: 'server',
    about: 'Path below which the identity server lives, such as `/login/`.',
  }),
  readHeader: setting({
    name: 'WEB__TIMEOUT_HTTP_READ_HEADER',
    fallback: '5s',
    parse: parse.goDuration,
    used: 'both',
    about: 'How long a client may take to send the head of a request, as `5s` or `1m30s`.',
  }),
  read: setting({
    name: 'WEB__TIMEOUT_HTTP_READ',
    fallback: '30s',
    parse: parse.goDuration,
    used: 'both',
    about: 'How long a client may be silent while it sends a body. Long uploads are never cut while data flows.',
  }),
  write: setting({
    name: 'WEB__TIMEOUT_HTTP_WRITE',
    fallback: '60s',
    parse: parse.goDuration,
    used: 'both',
    about: 'How long a client may accept nothing of an answer. Long downloads are never cut while data flows.',
  }),
  idle: setting({
    name: 'WEB__TIMEOUT_HTTP_IDLE',
    fallback: '120s',
    parse: parse.goDuration,
    used: 'both',
    about: 'How long an unused connection is kept.',
  }),
  stopDelay: setting({
    name: 'STOP_DELAY',
    own: true,
    fallback: '0s',
    parse: parse.goDuration,
    used: 'outpost',
    about:
      'How long an outpost of its own goes on serving after SIGTERM while its ping answers 503 already, so that load ' +
      'balancers lead nobody to it any more. After it, requests under way get 10 s to end.',
  }),
  secretKey: setting({
    name: 'SECRET_KEY',
    parse: parse.secretKey,
    used: 'server',
    secret: true,
    about: 'Protects the secrets in the database. Empty: one is made at the first start and kept in the data folder.',
  }),
  cookieDomain: setting({
    name: 'COOKIE_DOMAIN',
    parse: parse.cookieDomain,
    used: 'server',
    about: "Domain of the identity server's session cookie. Empty: its own host only.",
  }),
  bootstrapPassword: setting({
    name: 'BOOTSTRAP_PASSWORD',
    parse: parse.optionalText,
    used: 'server',
    secret: true,
    about: 'Password of `akadmin`, read at the first start only. Empty: a one-time set-up link is printed.',
  }),
  bootstrapToken: setting({
    name: 'BOOTSTRAP_TOKEN',
    parse: parse.optionalText,
    used: 'server',
    secret: true,
    about: 'Key of an API token for `akadmin`, read at the first start only.',
  }),
  bootstrapEmail: setting({
    name: 'BOOTSTRAP_EMAIL',
    parse: parse.email,
    used: 'server',
    about: 'E-mail address of `akadmin`, read at the first start only.',
  }),
  disableEmbeddedOutpost: setting({
    name: 'OUTPOSTS__DISABLE_EMBEDDED_OUTPOST',
    fallback: 'false',
    parse: parse.boolean,
    used: 'server',
    about: '`true`: this process serves the identity server only and protects no application.',
  }),
  host: setting({
    name: 'HOST',
    parse: parse.webAddress,
    used: 'outpost',
    neededByOutpost: true,
    about:
      'Address of the identity server as an outpost of its own reaches it, with its path if it has one, such as ' +
      '`https://login.example.com/`.',
  }),
  token: setting({
    name: 'TOKEN',
    parse: parse.optionalText,
    used: 'outpost',
    secret: true,
    neededByOutpost: true,
    about: "Token of an outpost of its own: the server keeps it under the outpost's `token_identifier`.",
  }),
  insecure: setting({
    name: 'INSECURE',
    fallback: 'false',
    parse: parse.boolean,
    used: 'outpost',
    about: '`true`: the certificate of the identity server is not verified.',
  }),
  hostBrowser: setting({
    name: 'HOST_BROWSER',
    parse: parse.webAddress,
    used: 'outpost',
    about: 'Address of the identity server as browsers reach it, when it is another than `HOST`.',
  }),
};

/**
 * Published settings of parts Gatehouse does not have: accepted, so that an existing environment works unchanged, and
 * named once at start. A name ending in `_` stands for every name that begins so.
 */
export const WITHOUT_EFFECT: readonly string[] = [
  'AVATARS',
  'BLUEPRINTS_DIR',
  'BOOTSTRAP_PASSWORD_HASH',
  'BROKER__',
  'CACHE__',
  'CERT_DISCOVERY_DIR',
  'CHANNEL__',
  'COMPLIANCE__',
  'DEBUG',
  'DEFAULT_TOKEN_LENGTH',
  'DEFAULT_USER_CHANGE_',
  'DISABLE_STARTUP_ANALYTICS',
  'DISABLE_UPDATE_CHECK',
  'EMAIL__',
  'ENV',
  'ERROR_REPORTING__',
  'EVENTS__',
  'FOOTER_LINKS',
  'GDPR_COMPLIANCE',
  'GEOIP',
  'IMAGE',
  'IMPERSONATION',
  'LDAP__',
  'LISTEN__DEBUG',
  'LISTEN__LDAP',
  'LISTEN__RADIUS',
  'OUTPOSTS__CONTAINER_IMAGE_BASE',
  'OUTPOSTS__DISCOVER',
  'PORT_HTTP',
  'PORT_HTTPS',
  'PORT_OFFSET',
  'POSTGRESQL__',
  'PYROSCOPE_HOST',
  'REDIS__',
  'REPUTATION__',
  'RESULT_BACKEND__',
  'SESSIONS__',
  'SESSION_STORAGE',
  'SKIP_MIGRATIONS',
  'STORAGE__',
  'TAG',
  'TENANTS__',
  'THROTTLE__',
  'URL',
  'WEB__THREADS',
  'WEB__WORKERS',
  'WORKER__',
];
