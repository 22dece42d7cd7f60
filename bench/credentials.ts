/**
 * Requests of programs that send credentials (docs/guides/header-authentication.md), as Traefik asks: with the session
 * cookie they were given, without it from the cache, and what each costs the first time.
 */
import { compare, ratios, TESTED_CORE } from './lib/load.ts';
import type { Target } from './lib/load.ts';
import type { Product } from './lib/product.ts';
import type { Row, Section } from './lib/row.ts';

const CHECK = '/outpost.goauthentik.io/auth/traefik';
/** So many app passwords and tokens, each used once. */
const FRESH = 100;
const AT_ONCE = 8;

type Kind = 'Basic' | 'Bearer';

export const credentials: Section = async (product, { rounds, seconds }) => {
  await product.start(1, TESTED_CORE);
  const { provision, port, origin } = product;
  const host = `wiki.test:${port}`;
  const robot = await provision.user('robot');
  await provision.serverAddress(`http://auth.test:${port}`);
  const { provider } = await provision.application({
    slug: 'wiki',
    mode: 'forward_single',
    externalHost: `http://${host}`,
  });
  await provision.served(origin, `http://${host}`);
  const { client_id } = await provision.api.get(`providers/proxy/${provider}/`);

  const headers = { 'x-forwarded-host': host, 'x-forwarded-proto': 'http', 'x-forwarded-uri': '/page?a=1' };
  const rows: Row[] = [];
  const passwords = await Promise.all(
    Array.from({ length: FRESH + 1 }, (_, i) => provision.appPassword(robot.pk, `robot-${i}`)),
  );
  const sent: Record<Kind, string[]> = {
    Basic: passwords.map((password) => `Basic ${Buffer.from(`robot:${password}`).toString('base64')}`),
    Bearer: await Promise.all(passwords.map((password) => bearer(product, String(client_id), password))),
  };
  for (const kind of ['Basic', 'Bearer'] as const) {
    const [authorization = '', ...fresh] = sent[kind];
    const answer = await fetch(origin + CHECK, { headers: { ...headers, authorization }, redirect: 'manual' });
    if (answer.status !== 200) throw new Error(`${kind}: the check answers ${answer.status}, not 200`);
    const cookie = answer.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ');
    if (cookie === '') throw new Error(`${kind}: no session`);
    const session: Target = { url: origin + CHECK, headers: { ...headers, cookie } };
    const of = async (what: string, more: Record<string, string>, budget: number) => {
      const tested: Target = { url: origin + CHECK, headers: { ...headers, ...more } };
      const result = await compare(session, tested, rounds, seconds);
      const ratio = ratios(result);
      rows.push({
        what: `${kind} ${what}, of the check with the session alone`,
        budget: `>= ${budget}`,
        measured: `${ratio.median.toFixed(2)} (${result.failures} failures)`,
        spread: `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`,
        kept: ratio.median >= budget && result.failures === 0,
      });
    };
    await of('with its session cookie', { cookie, authorization }, 0.85);
    await of('from the cache', { authorization }, 0.3);
    rows.push(await firstTimes(kind, origin + CHECK, headers, fresh));
  }
  return rows;
};

async function bearer({ origin }: Product, client_id: string, password: string): Promise<string> {
  const form = { grant_type: 'client_credentials', client_id, username: 'robot', password, scope: 'openid profile' };
  const answer = await fetch(`${origin}/application/o/token/`, { method: 'POST', body: new URLSearchParams(form) });
  const { access_token } = (await answer.json()) as { access_token?: string };
  if (access_token === undefined) throw new Error(`no token: ${answer.status}`);
  return `Bearer ${access_token}`;
}

/** Each of these credentials once, a few at a time: every one is a call to the identity server. */
async function firstTimes(
  kind: Kind,
  url: string,
  headers: Readonly<Record<string, string>>,
  fresh: readonly string[],
): Promise<Row> {
  const times: number[] = [];
  const began = performance.now();
  const waiting = [...fresh];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let authorization = waiting.pop(); authorization !== undefined; authorization = waiting.pop()) {
        const start = performance.now();
        const { status } = await fetch(url, { headers: { ...headers, authorization }, redirect: 'manual' });
        if (status !== 200) throw new Error(`${kind}: the check answers ${status}, not 200`);
        times.push(performance.now() - start);
      }
    }),
  );
  const rate = fresh.length / ((performance.now() - began) / 1000);
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => `${(sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(0)} ms`;
  return {
    what: `${kind} for the first time, ${AT_ONCE} at once`,
    budget: '>= 50 a second',
    measured: `${rate.toFixed(0)} a second`,
    spread: `p50 ${at(0.5)}, p99 ${at(0.99)}`,
    kept: rate >= 50,
  };
}
