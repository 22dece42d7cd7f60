/** A domain-level provider with applications of different groups below it, asked about as nginx asks. */
import assert from 'node:assert/strict';
import { ask, story, type Answer, type Pair } from './ask.ts';
import type { Browser } from './browser.ts';
import type { Env } from './env.ts';

export const DOMAIN = 'dom.test';

/**
 * `login` is the authentication host. `open` and every host without an application are for everybody, `closed` and
 * the path `/closed` of `mixed` for the group `staff`. Nobody needs a login at `public`.
 */
export type DomainHost = 'login' | 'open' | 'closed' | 'mixed' | 'any' | 'public';

export interface Domain {
  provider: number;
  /** eve, signed in once for all hosts */
  eve: Browser;
  url(host: DomainHost, path?: string): string;
  host(host: DomainHost): string;
  /** the question of nginx about an address, with these headers beside or instead of its own */
  knock(url: string, who: Browser, headers?: readonly Pair[]): Promise<Answer>;
}

const domains = new WeakMap<Env, Promise<Domain>>();

/** Set up when first needed. */
export function domainLevel(env: Env): Promise<Domain> {
  let domain = domains.get(env);
  if (domain === undefined) {
    domain = build(env);
    domains.set(env, domain);
  }
  return domain;
}

async function build(env: Env): Promise<Domain> {
  const host = (name: DomainHost) => `${name}.${DOMAIN}:${env.port}`;
  const url = (name: DomainHost, path = '/') => `http://${host(name)}${path}`;
  const { provider } = await env.provision.application({
    slug: 'domain',
    mode: 'forward_domain',
    externalHost: `http://${host('login')}`,
    provider: { cookie_domain: DOMAIN, skip_path_regex: '^https?://public\\.' },
  });
  const bind = (slug: string, name: DomainHost, more: { path?: string; groups?: string[] } = {}) =>
    env.provision.boundApplication(provider, { slug, host: `${name}.${DOMAIN}`, ...more });
  await bind('domain-open', 'open');
  await bind('domain-closed', 'closed', { groups: [env.staffGroup] });
  await bind('domain-part', 'mixed', { path: '/closed', groups: [env.staffGroup] });
  await env.provision.served(env.gatehouse.origin, `http://${host('any')}`);

  const eve = env.eve.copy();
  const start = url('login', `/outpost.goauthentik.io/start?rd=${encodeURIComponent(url('open', '/enter'))}`);
  const hops = await eve.signIn(start, env.people.eve.username, env.people.eve.password);
  assert.equal(hops.at(-1)?.url, url('open', '/enter'), hops.map((hop) => story(hop.answer)).join('\n'));

  const knock: Domain['knock'] = (address, who, headers = []) => {
    const { host: named } = new URL(address);
    const own: Pair[] = [
      ['Cookie', who.cookieHeader(named)],
      ['X-Original-URL', address],
    ];
    const given = new Set(headers.map(([name]) => name.toLowerCase()));
    return ask({
      port: env.port,
      host: headers.find(([name]) => name === 'Host')?.[1] ?? named,
      path: '/outpost.goauthentik.io/auth/nginx',
      headers: [
        ...own.filter(([name]) => !given.has(name.toLowerCase())),
        ...headers.filter(([name]) => name !== 'Host'),
      ],
    });
  };
  return { provider, eve, url, host, knock };
}
