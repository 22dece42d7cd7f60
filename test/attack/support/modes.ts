/** The ways a request reaches the decision: carried by us, or asked about by a reverse proxy. */
import { ask, type Answer, type Pair } from './ask.ts';
import type { Browser } from './browser.ts';
import type { Env, SiteName } from './env.ts';

export interface Knock {
  /** request target at the application, starting with a slash */
  path: string;
  headers?: readonly Pair[];
  who?: Browser | undefined;
  /** ask at the site only staff may use */
  closed?: boolean;
  method?: string;
  from?: string;
  /** in place of the visitor's own cookies */
  cookie?: string;
}

export interface Mode {
  name: 'proxy' | 'nginx' | 'nginx-uri' | 'akprox' | 'traefik' | 'traefik-akprox' | 'caddy' | 'envoy';
  /** endpoints of the older generation carry its headers too */
  older?: true;
  /** whether the decision sees a path */
  seesPath: boolean;
  site(closed?: boolean): SiteName;
  knock(env: Env, knock: Knock): Promise<Answer>;
}

const carried: Mode = {
  name: 'proxy',
  seesPath: true,
  site: (closed) => (closed === true ? 'closed' : 'one'),
  knock: (env, k) => send(env, k, carried.site(k.closed), k.path, []),
};

const nginx: Mode = {
  name: 'nginx',
  seesPath: true,
  site: (closed) => (closed === true ? 'closedfwd' : 'fwd'),
  knock: (env, k) => {
    const site = nginx.site(k.closed);
    return send(env, k, site, '/outpost.goauthentik.io/auth/nginx', [
      ['X-Original-URL', `${env.url(site, '')}${k.path}`],
    ]);
  },
};

const nginxUri: Mode = {
  name: 'nginx-uri',
  seesPath: true,
  site: nginx.site,
  knock: (env, k) =>
    send(env, k, nginx.site(k.closed), '/outpost.goauthentik.io/auth/nginx', [['X-Original-URI', k.path]]),
};

const akprox: Mode = {
  name: 'akprox',
  older: true,
  seesPath: false,
  site: nginx.site,
  knock: (env, k) => send(env, k, nginx.site(k.closed), '/akprox/auth', []),
};

/** Traefik and Caddy set these themselves, in place of what a visitor sent under the same name. */
const SET_BY_PROXY = new Set(['x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-uri', 'x-forwarded-method']);

/** Asks with GET at its own name for the outpost; the original request stands in headers (spec/outpost.md 20.2, 20.3). */
function forwarding(name: 'traefik' | 'traefik-akprox' | 'caddy', path: string): Mode {
  return {
    name,
    seesPath: true,
    site: nginx.site,
    knock(env, k) {
      const site = nginx.site(k.closed);
      const headers = (k.headers ?? []).filter(([n]) => !SET_BY_PROXY.has(n.toLowerCase()));
      const named: Pair[] = [
        ['X-Forwarded-Host', env.host(site)],
        ['X-Forwarded-Proto', 'http'],
        ['X-Forwarded-Uri', k.path],
        ['X-Forwarded-Method', k.method ?? 'GET'],
      ];
      return send(env, { ...k, method: 'GET', headers }, site, path, named, 'outpost.internal:9000');
    },
  };
}

const traefik = forwarding('traefik', '/outpost.goauthentik.io/auth/traefik');
const olderTraefik: Mode = { ...forwarding('traefik-akprox', '/akprox/auth?traefik'), older: true };
const caddy = forwarding('caddy', '/outpost.goauthentik.io/auth/caddy');

/** Keeps method and Host, and appends the address (spec/outpost.md 20.4). Here with every header of the visitor. */
const envoy: Mode = {
  name: 'envoy',
  seesPath: true,
  site: nginx.site,
  knock: (env, k) => send(env, k, nginx.site(k.closed), `/outpost.goauthentik.io/auth/envoy${k.path}`, []),
};

/** Reverse proxies that relay what is no permission. */
export const RELAYING: readonly Mode[] = [traefik, olderTraefik, caddy, envoy];
export const FORWARD: readonly Mode[] = [nginx, nginxUri, akprox, ...RELAYING];
export const MODES: readonly Mode[] = [carried, ...FORWARD];

function send(
  env: Env,
  k: Knock,
  site: SiteName,
  path: string,
  named: readonly Pair[],
  askedAt = env.host(site),
): Promise<Answer> {
  const host = env.host(site);
  const cookie = k.cookie ?? k.who?.cookieHeader(host) ?? '';
  return ask({
    port: env.port,
    method: k.method ?? 'GET',
    path,
    host: askedAt,
    headers: [...named, ...(cookie === '' ? [] : [['Cookie', cookie] as const]), ...(k.headers ?? [])],
    ...(k.from === undefined ? {} : { from: k.from }),
  });
}

/** The headers the application would get: those it received, or those nginx is told to set. */
export function delivered(mode: Mode, answer: Answer): readonly Pair[] {
  if (mode.name !== 'proxy') return answer.pairs;
  return (JSON.parse(answer.text) as { pairs: Pair[] }).pairs;
}
