/** What more of everything costs the forward-auth check: the same data plane with one of it, and with many. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WORKER_FLAGS } from '../src/supervise/start-workers.ts';
import { freePort } from '../test/harness/ports.ts';
import { compare, compareInPairs, load, ratios } from './lib/load.ts';
import type { Comparison, Target } from './lib/load.ts';
import type { Scale } from './lib/data-plane-main.ts';
import { listening, start } from './lib/processes.ts';
import type { Effort, Row, Section } from './lib/row.ts';

const CHECK = '/outpost.goauthentik.io/auth/nginx';
const HOST = 'wiki.example.test';
const ONE = { applications: 1, groups: 1, rules: 0, sessions: 1 };
const CACHE_BUDGET_MB = 100;
/**
 * Before the first round of many sessions, in seconds: the cache of opened ones is full after some 120,000 requests, and
 * what is compared is what it does from then on.
 */
const FILL_SECONDS = 10;

/**
 * wrk asks with the cookie of rank k as often as 1/k: a few people are there all day, most seldom. Each round draws anew:
 * the same draws again would come in the same order, which people do not.
 */
const ZIPF = `
local cookies = {}
for line in io.lines(os.getenv("COOKIES")) do cookies[#cookies + 1] = line end
math.randomseed(os.time())
local span = math.log(#cookies + 1)
request = function()
  local k = math.min(#cookies, math.floor(math.exp(math.random() * span)))
  wrk.headers["cookie"] = cookies[k]
  return wrk.format(nil, nil)
end
`;

export const growth: Section = async (product, effort) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-growth-'));
  await product.stop();
  try {
    return [
      await side(folder, effort, 'check with 5,000 applications, of the same with 1', { applications: 5000 }, 10),
      await side(folder, effort, 'check with 200 groups, of the same with 1', { groups: 200 }, 10),
      await side(folder, effort, 'check with 100 path rules, of the same with none', { rules: 100 }, 10),
      ...(await sessions(folder, effort)),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

async function side(folder: string, effort: Effort, what: string, more: Partial<Scale>, percent: number): Promise<Row> {
  const all = await compareInPairs(effort.rounds, effort.seconds, async () => {
    const [few, many] = [await plane(folder, ONE), await plane(folder, { ...ONE, ...more })];
    return { baseline: few.target, tested: many.target, close: () => Promise.all([few.stop(), many.stop()]) };
  });
  return row(what, percent, all);
}

async function sessions(folder: string, effort: Effort): Promise<Row[]> {
  const script = join(folder, 'zipf.lua');
  writeFileSync(script, ZIPF);
  const [few, many] = [await plane(folder, ONE), await plane(folder, { ...ONE, sessions: 100_000 })];
  const zipf = (p: typeof few): Target => ({ ...p.target, script, env: { COOKIES: p.cookies } });
  try {
    const before = await many.heap();
    await load(zipf(many), FILL_SECONDS);
    const result = await compare(zipf(few), zipf(many), effort.rounds, effort.seconds);
    const cache = ((await many.heap()) - before) / 1e6;
    return [
      row('check with 100,000 sessions in Zipf-like use, of the same with 1', 15, result),
      {
        what: 'memory of the opened sessions of a worker, then',
        budget: `<= ${CACHE_BUDGET_MB} MB`,
        measured: `${cache.toFixed(0)} MB`,
        spread: '',
        kept: cache <= CACHE_BUDGET_MB,
      },
    ];
  } finally {
    await Promise.all([few.stop(), many.stop()]);
  }
}

function row(what: string, percent: number, result: Comparison): Row {
  const { median, low, high } = ratios(result);
  const least = 1 - percent / 100;
  return {
    what,
    budget: `>= ${least.toFixed(2)}`,
    measured: `${median.toFixed(2)} (${result.failures} failures)`,
    spread: `${low.toFixed(2)} to ${high.toFixed(2)}`,
    kept: median >= least && result.failures === 0,
  };
}

async function plane(folder: string, size: typeof ONE) {
  const [port, control] = [await freePort(), await freePort()];
  const cookies = join(folder, `cookies-${port}`);
  const scale: Scale = { ...size, port, control, host: HOST, cookies };
  const file = 'bench/lib/data-plane-main.ts';
  const process_ = start([process.execPath, '--expose-gc', ...WORKER_FLAGS, file, JSON.stringify(scale)], {
    log: join(folder, `log-${port}`),
  });
  await listening(port, 120_000);
  const cookie = readFileSync(cookies, 'utf8').split('\n', 1)[0] ?? '';
  const headers = { host: HOST, cookie, 'x-original-url': `http://${HOST}/page?a=1` };
  const target: Target = { url: `http://127.0.0.1:${port}${CHECK}`, headers };
  const answer = await fetch(target.url, {
    headers: { 'x-forwarded-host': HOST, cookie, 'x-original-url': headers['x-original-url'] },
  });
  if (answer.status !== 200) throw new Error(`the check answers ${answer.status}: ${await answer.text()}`);
  const heap = async () => Number(await (await fetch(`http://127.0.0.1:${control}/heap`)).text());
  return { target, cookies, heap, stop: () => process_.stop() };
}
