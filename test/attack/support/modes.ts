/** The ways a request reaches the decision: carried by us, or asked about by nginx in either generation. */
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
  name: 'proxy' | 'nginx' | 'nginx-uri' | 'akprox';
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
  seesPath: false,
  site: nginx.site,
  knock: (env, k) => send(env, k, nginx.site(k.closed), '/akprox/auth', []),
};

export const MODES: readonly Mode[] = [carried, nginx, nginxUri, akprox];
export const FORWARD: readonly Mode[] = [nginx, nginxUri, akprox];

function send(env: Env, k: Knock, site: SiteName, path: string, named: readonly Pair[]): Promise<Answer> {
  const host = env.host(site);
  const cookie = k.cookie ?? k.who?.cookieHeader(host) ?? '';
  return ask({
    port: env.port,
    method: k.method ?? 'GET',
    path,
    host,
    headers: [...named, ...(cookie === '' ? [] : [['Cookie', cookie] as const]), ...(k.headers ?? [])],
    ...(k.from === undefined ? {} : { from: k.from }),
  });
}

/** The headers the application would get: those it received, or those nginx is told to set. */
export function delivered(mode: Mode, answer: Answer): readonly Pair[] {
  if (mode.name !== 'proxy') return answer.pairs;
  return (JSON.parse(answer.text) as { pairs: Pair[] }).pairs;
}
