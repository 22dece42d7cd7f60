/** The forward-auth check of a signed-in person, as nginx asks it, against a bare handler with the same headers. */
import autocannon from 'autocannon';
import { Client } from '../test/harness/client.ts';
import { freePort } from '../test/harness/ports.ts';
import { compare, median, ratios, TESTED_CORE } from './lib/load.ts';
import type { Target } from './lib/load.ts';
import { listening, start } from './lib/processes.ts';
import type { Section } from './lib/row.ts';

const CHECK = '/outpost.goauthentik.io/auth/nginx';
const LATENCY_BUDGET_MS = 2;

export const forwardAuth: Section = async (product, { rounds, seconds }) => {
  await product.start(1, TESTED_CORE);
  const host = `wiki.test:${product.port}`;
  const person = await product.provision.user('alice');
  await product.provision.group('staff', [person.pk]);
  await product.provision.serverAddress(`http://auth.test:${product.port}`);
  await product.provision.application({ slug: 'wiki', mode: 'forward_single', externalHost: `http://${host}` });
  await product.provision.served(product.origin, `http://${host}`);

  const client = new Client();
  const start_ = `http://${host}/outpost.goauthentik.io/start?rd=${encodeURIComponent(`http://${host}/page`)}`;
  await client.enter(start_, person.username, person.password);
  const cookie = client.jar.header(new URL(`http://${host}/page`));
  const headers = { host, cookie, 'x-original-url': `http://${host}/page?a=1` };
  const answer = await client.send('GET', product.origin + CHECK, { headers });
  await client.close();
  if (answer.status !== 200) throw new Error(`the check answers ${answer.status}, not 200`);

  const written = Object.entries(answer.headers)
    .filter(([name]) => !['date', 'connection', 'keep-alive', 'transfer-encoding'].includes(name))
    .flatMap(([name, value]) => [value ?? ''].flat().flatMap((v) => [name, v]));
  const port = await freePort();
  const bare = start([process.execPath, 'bench/baseline/answer.ts', String(port)], {
    env: { BENCH_HEADERS: JSON.stringify(written) },
  });
  try {
    await listening(port);
    const tested: Target = { url: product.origin + CHECK, headers };
    const result = await compare({ url: `http://127.0.0.1:${port}/`, headers }, tested, rounds, seconds);
    const ratio = ratios(result);
    const full = median(result.tested);
    const latency = await halfLoad(tested, full / 2, seconds * 2);
    return [
      {
        what: 'forward-auth check, signed in, of a bare node:http handler with the same headers',
        budget: '>= 0.75',
        measured: `${ratio.median.toFixed(2)} (${Math.round(full)} of ${Math.round(median(result.baseline))} req/s, ${result.failures} failures)`,
        spread: `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`,
        kept: ratio.median >= 0.75 && result.failures === 0,
      },
      {
        what: 'p99 of the check at half load',
        budget: `<= ${LATENCY_BUDGET_MS} ms`,
        measured: `${latency.p99} ms (${Math.round(latency.rate)} req/s, ${latency.failures} failures)`,
        spread: `p50 ${latency.p50} ms, max ${latency.max} ms`,
        kept: latency.p99 <= LATENCY_BUDGET_MS && latency.failures === 0,
      },
    ];
  } finally {
    await bare.stop();
  }
};

async function halfLoad({ url, headers }: Target, rate: number, seconds: number) {
  const result = await autocannon({ url, headers, connections: 8, overallRate: Math.round(rate), duration: seconds });
  return {
    p50: result.latency.p50,
    p99: result.latency.p99,
    max: result.latency.max,
    rate: result.requests.average,
    failures: result.non2xx + result.errors,
  };
}
