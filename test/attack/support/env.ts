/**
 * What every case runs against: one product with two workers, an application that tells what it received, some sites
 * and some people.
 *
 * Only 127.0.0.1 is a trusted peer; the suite calls from 127.0.0.66 when it plays somebody else.
 */
import assert from 'node:assert/strict';
import { HEADER_PRESETS, sentHeaders } from '../../../src/contract/header-presets.ts';
import { Gatehouse, type GatehouseOptions } from '../../harness/gatehouse.ts';
import { freePort } from '../../harness/ports.ts';
import { Provision, type ApplicationOptions, type Person } from '../../harness/provision.ts';
import { one, story } from './ask.ts';
import { Browser } from './browser.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export const STRANGER = '127.0.0.66';
export const SECRET_KEY = 'the secret key of the attack suite, forty characters at least';
const PUBLIC = '^/public/\n^/assets/.*\\.css$';
/** a blank line, and a bomb for engines that backtrack */
const ODD_RULES = `${PUBLIC}\n\n^/(a+)+$`;

/**
 * `one` and `two` are carried, `fwd` and `tls` are asked about, the `closed` ones are for the group `staff` only, `dead`
 * has no application behind it, `rules` has odd path rules and nobody signs in there.
 */
export const SITES = ['one', 'two', 'fwd', 'tls', 'closed', 'closedfwd', 'dead', 'rules'] as const;
export type SiteName = (typeof SITES)[number];

export interface Env {
  /** folder of the sources under test */
  root: string;
  gatehouse: Gatehouse;
  upstream: Upstream;
  provision: Provision;
  port: number;
  /** HTTPS */
  securePort: number;
  /** address of the identity server */
  base: string;
  people: { eve: Person; staff: Person };
  /** group pk of `staff` */
  staffGroup: string;
  applications: Record<SiteName, { pk: string; slug: string; provider: number }>;
  /** signed in everywhere as the low user; copy it before changing its jar */
  eve: Browser;
  /** signed in everywhere as a member of `staff` */
  staff: Browser;
  /** Host header of a site */
  host(site: SiteName): string;
  /** address of a page of a site */
  url(site: SiteName, path?: string): string;
  /** a browser without cookies */
  anyone(from?: string): Browser;
  /** a new person, so that a case can change them without disturbing others */
  person(fields?: Parameters<Provision['user']>[1]): Promise<Person>;
  /** a new person, signed in at a site */
  visitor(site?: SiteName): Promise<{ person: Person; browser: Browser }>;
  /** closed before the product is */
  closing: (() => Promise<void>)[];
  close(): Promise<void>;
}

/** Starts everything. @param root sources to run, other than this project's own */
export async function startEnv(root?: string, options: GatehouseOptions = {}): Promise<Env> {
  const upstream = await startUpstream();
  const securePort = await freePort();
  let gatehouse: Gatehouse | undefined;
  try {
    gatehouse = await Gatehouse.start({
      workers: 2,
      securePort,
      ...(root === undefined ? {} : { root }),
      ...options,
      env: {
        GATEHOUSE_LISTEN__TRUSTED_PROXY_CIDRS: '127.0.0.1/32',
        GATEHOUSE_SECRET_KEY: SECRET_KEY,
        GATEHOUSE_WEB__TIMEOUT_HTTP_READ_HEADER: '4s',
        GATEHOUSE_LOG__HTTP_HEADERS: 'User-Agent,Cookie,Authorization,Referer,X-Api-Key',
        ...options.env,
      },
    });
    return await furnish(gatehouse, upstream, securePort);
  } catch (error) {
    await gatehouse?.stop().catch(() => undefined);
    await upstream.close();
    throw error;
  }
}

async function furnish(gatehouse: Gatehouse, upstream: Upstream, securePort: number): Promise<Env> {
  const { port } = gatehouse;
  const provision = new Provision(gatehouse.api);
  const base = `http://auth.test:${port}`;
  await provision.serverAddress(base);
  const eve = await provision.user('eve', { attributes: { additionalHeaders: { 'X-Team': 'visitors' } } });
  const staff = await provision.user('stefan');
  const staffGroup = await provision.group('staff', [staff.pk]);
  const applications = {} as Env['applications'];
  for (const site of SITES)
    applications[site] = await provision.application(siteOptions(site, port, upstream.port, staffGroup));
  let count = 0;
  const env: Env = {
    root: gatehouse.root,
    gatehouse,
    upstream,
    provision,
    port,
    securePort,
    base,
    people: { eve, staff },
    staffGroup,
    applications,
    eve: new Browser(port),
    staff: new Browser(port),
    host: (site) => authority(site, port),
    url: (site, path = '/') => `${scheme(site)}://${authority(site, port)}${path}`,
    anyone: (from) => new Browser(port, from),
    person: (fields) => provision.user(`guest${++count}`, fields),
    visitor: async (site = 'one') => {
      const person = await provision.user(`guest${++count}`);
      const browser = new Browser(port);
      await enter(env, browser, site, person);
      return { person, browser };
    },
    closing: [],
    close: async () => {
      for (const end of env.closing) await end();
      await gatehouse.stop();
      await upstream.close();
    },
  };
  for (const site of SITES) if (site !== 'rules') await provision.served(gatehouse.origin, env.url(site));
  for (const site of ['one', 'two', 'fwd', 'dead'] as const) await enter(env, env.eve, site, eve);
  for (const site of ['one', 'fwd', 'closed', 'closedfwd'] as const) await enter(env, env.staff, site, staff);
  return env;
}

/** Signs a person in at a site, or continues with the browser's server session, and checks that it worked. */
export async function enter(env: Env, browser: Browser, site: SiteName, person: Person): Promise<void> {
  const url = CARRIED.has(site)
    ? env.url(site, '/enter')
    : env.url(site, `/outpost.goauthentik.io/start?rd=${encodeURIComponent(env.url(site, '/enter'))}`);
  const hops = await browser.signIn(url, person.username, person.password);
  const last = hops.at(-1);
  assert.ok(
    last !== undefined && last.url === env.url(site, '/enter'),
    `sign-in at ${site}:\n${hops.map((h) => story(h.answer)).join('\n')}`,
  );
  assert.ok(
    browser.sessionCookies(env.host(site)).length > 0,
    `sign-in at ${site} gave no session: ${one(last.answer, 'set-cookie')}`,
  );
}

/** Every preset, and a name of the provider's own. */
const SENT: NonNullable<ApplicationOptions['gatehouse']> = {
  header_presets: [...HEADER_PRESETS],
  header_claims: [{ name: 'X-Webauth-User', claim: 'preferred_username' }],
};
export const SENT_HEADERS: readonly string[] = sentHeaders({ header_presets: [], header_claims: [], ...SENT }).map(
  ({ name }) => name,
);

const CARRIED: ReadonlySet<SiteName> = new Set(['one', 'two', 'closed', 'dead', 'rules']);

const scheme = (site: SiteName) => (site === 'tls' ? 'https' : 'http');
const authority = (site: SiteName, port: number) => (site === 'tls' ? 'tls.test' : `${site}.test:${port}`);

function siteOptions(site: SiteName, port: number, upstream: number, staffGroup: string): ApplicationOptions {
  const carried = CARRIED.has(site);
  const closed = site === 'closed' || site === 'closedfwd';
  return {
    slug: site,
    mode: carried ? 'proxy' : 'forward_single',
    externalHost: `${scheme(site)}://${authority(site, port)}`,
    // port 9 (discard) is closed on every machine these tests run on
    ...(carried ? { internalHost: `http://127.0.0.1:${site === 'dead' ? 9 : upstream}` } : {}),
    ...(closed ? { groups: [staffGroup] } : {}),
    ...(site === 'two' ? { gatehouse: { host: 'original' as const } } : {}),
    ...(site === 'one' || site === 'fwd' ? { gatehouse: SENT } : {}),
    provider: {
      skip_path_regex: closed || site === 'dead' ? '^/nothing-is-public$' : site === 'rules' ? ODD_RULES : PUBLIC,
    },
  };
}
