/**
 * An hour of an outpost with sessions of 30 seconds, under traffic, with the server coming and going and its settings
 * changing. `OUTPOST_MINUTES` says how long instead.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, afterEach, before, describe, it } from 'node:test';
import { trace } from './harness/client.ts';
import type { Client } from './harness/client.ts';
import { Fleet } from './harness/fleet.ts';
import { hasPasswordField } from './harness/forms.ts';
import type { StandaloneOutpost } from './harness/outpost.ts';
import { ROOT } from './harness/program.ts';
import type { Person } from './harness/provision.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, sleep } from './harness/wait.ts';

const MINUTES = Number(process.env['OUTPOST_MINUTES'] ?? 60);
const VISITORS = 8;
const SAMPLE_MS = 15_000;
/**
 * V8 compiles what was run often enough, up to three times, and counts that on the heap. An hour has 79 outages only, and
 * what happens in them would still be compiled at its end: so before the hour everything rare happens this often, in a
 * hurry. What is left to compile after it counts.
 */
const REHEARSALS = MINUTES >= 60 ? 500 : 60;
/** Before that, caches are being filled. */
const WARM_UP = 0.25;
/**
 * The share of its mean by which the heap may grow over the time that is looked at. In a short run V8 still makes code, and
 * what ended sessions is kept for 80 minutes, whatever happens.
 */
const GROWTH = MINUTES >= 60 ? 0.01 : 0.05;
/** What the samples of a short run scatter by anyway, bytes. */
const NOISE = 150_000;

describe(`an outpost over ${MINUTES} minutes`, { timeout: (MINUTES + 40) * 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-heap-'));
  let fleet: Fleet;
  const people: Person[] = [];

  before(async () => {
    const preload = pathToFileURL(join(ROOT, 'test/harness/report-heap.ts')).href;
    const env = { NODE_OPTIONS: `--import=${preload}`, HEAP_REPORTS: folder };
    fleet = await Fleet.start({ size: 1, validity: 'seconds=30', env, line: true });
    for (let i = 0; i <= VISITORS; i++) people.push(await fleet.provision.user(`person${i}`));
  });
  after(async () => {
    await fleet?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach((t) => fleet?.explain(t));

  it('answers rightly all the time, and its memory does not grow', async (t) => {
    let end = Infinity;
    const going = () => performance.now() < end;
    const counts = {
      pages: 0,
      renewals: 0,
      scripts: 0,
      strangers: 0,
      signOuts: 0,
      changes: 0,
      outages: 0,
      disturbed: 0,
    };
    const wrong: string[] = [];
    const disturbances: string[] = [];
    /** while the server is away, who has to sign in or be renewed may be told so */
    let outage = false;
    const { wiki } = fleet.applications;

    /**
     * @param excused by what happened before
     * @returns whether an outage was in the way
     */
    const look = async (what: string, right: () => Promise<string | undefined>, excused = false): Promise<boolean> => {
      const before = outage;
      const problem = await right().catch((error: unknown) => String(error));
      if (problem === undefined) return false;
      const disturbed = (before || outage || excused) && !problem.startsWith('!');
      (disturbed ? disturbances : wrong).push(`${new Date().toISOString()} ${what}: ${problem}`);
      if (disturbed) counts.disturbed++;
      return disturbed;
    };
    /** @returns what is wrong with a page that `person` should see; `!` = never to be excused */
    const judge = (text: string, status: number, person: Person): string | undefined => {
      if (status !== 200) return `answer ${status}`;
      if (hasPasswordField(text)) return 'a login page';
      const names = valuesOf((JSON.parse(text) as Received).rawHeaders, 'x-authentik-username');
      return names.join() === person.username ? undefined : `!the application saw ${names.join()}`;
    };

    const visit = async (person: Person): Promise<void> => {
      const visitor = fleet.visitor();
      await visitor.enter(`${wiki}/`, person.username, person.password);
      while (going()) {
        const lost = await look('page', async () => {
          const page = await visitor.open(`${wiki}/page?x=1`);
          counts.pages++;
          if (page.hops.length > 1) counts.renewals++;
          const problem = judge(page.text, page.status, person);
          return problem === undefined ? undefined : `${problem}\n${trace(page)}`;
        });
        for (let i = 0; i < 4; i++) {
          await sleep(100);
          const script = async () => {
            const answer = await visitor.background('GET', `${wiki}/data`);
            counts.scripts++;
            return judge(answer.text, answer.status, person);
          };
          // where the page before found no server, the session may have run out, and only a page can begin another
          await look('script', script, lost);
        }
        await sleep(100);
      }
    };

    const strangers = async (): Promise<void> => {
      while (going()) {
        await look('stranger', async () => {
          counts.strangers++;
          const { status } = await fleet.ask(fleet.outposts[0]!, 'authentik_proxy_00000000=eyJh.forged');
          return status === 401 ? undefined : `!answer ${status}`;
        });
        await sleep(150);
      }
    };

    /** Comes, looks, leaves; the cookie it had must be worth nothing from then on. */
    const comers = async (person: Person): Promise<void> => {
      while (going()) {
        await sleep(40_000);
        if (outage) continue;
        const visitor = fleet.visitor();
        await look('sign-out', async () => {
          await visitor.enter(`${wiki}/`, person.username, person.password);
          const cookie = visitor.jar.header(new URL(`${wiki}/`));
          await visitor.open(`${wiki}/outpost.goauthentik.io/sign_out`);
          counts.signOuts++;
          const { status } = await fleet.ask(fleet.outposts[0]!, cookie);
          return status === 401 ? undefined : `!a session that was ended gets ${status}`;
        });
        await fleet.leave(visitor);
      }
    };

    /** Opens another path from time to time, and closes the one before; that also brings everybody fresh claims. */
    const settings = async (): Promise<void> => {
      for (let n = 1; going(); n++) {
        await sleep(22_000);
        if (outage) continue;
        await look('setting', async () => {
          await fleet.gatehouse.api.patch(`providers/proxy/${fleet.providers[0]}/`, {
            // as published, what is sent is looked at as if it were all
            mode: 'proxy',
            internal_host: fleet.upstream.origin,
            skip_path_regex: `^/open-${n}$`,
          });
          counts.changes++;
          await eventually('the setting counts', 30_000, async () => {
            const [now, before] = [await anonymous(fleet, `/open-${n}`), await anonymous(fleet, `/open-${n - 1}`)];
            if (now !== 200 || before !== 401) throw new Error(`${now} ${before}`);
          });
          return undefined;
        });
      }
    };

    const outages = async (): Promise<void> => {
      while (going()) {
        await sleep(40_000);
        if (!going()) return;
        outage = true;
        fleet.gatehouse.kill('control-plane');
        counts.outages++;
        await sleep(200);
        await fleet.gatehouse.ready();
        await fleet.outposts[0]!.connected();
        await sleep(1_000); // what began meanwhile comes to its end
        outage = false;
      }
    };

    /** Everything rare, again and again: {@link REHEARSALS} */
    const rehearse = async (person: Person): Promise<void> => {
      const outpost = fleet.outposts[0]!;
      outage = true;
      for (let n = 0; n < REHEARSALS; n++) {
        const before = lastConnection(outpost);
        fleet.line.cut();
        await eventually('another connection', 30_000, () => {
          const last = lastConnection(outpost);
          if (last === undefined || last === before) throw new Error('none yet');
        });
        const change = { mode: 'proxy', internal_host: fleet.upstream.origin, skip_path_regex: `^/rehearsed-${n}$` };
        await fleet.gatehouse.api.patch(`providers/proxy/${fleet.providers[0]}/`, change);
        if (n % 3 > 0) continue;
        const visitor = fleet.visitor();
        await visitor.enter(`${wiki}/`, person.username, person.password);
        await visitor.open(`${wiki}/outpost.goauthentik.io/sign_out`);
        await fleet.leave(visitor);
      }
      await sleep(1_000);
      outage = false;
    };

    const samples: Awaited<ReturnType<typeof heapOf>>[] = [];
    const measure = async (): Promise<void> => {
      while (going()) {
        await sleep(SAMPLE_MS);
        samples.push(await heapOf(fleet, folder));
      }
    };

    const work = people.slice(1).map((person) => visit(person));
    work.push(strangers());
    try {
      await Promise.race([rehearse(people[0]!), Promise.all(work)]);
    } catch (error) {
      end = 0;
      throw error;
    }
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] = 0;
    disturbances.length = 0;
    end = performance.now() + MINUTES * 60_000;
    await Promise.all([...work, comers(people[0]!), settings(), outages(), measure()]);

    const all = growthOf(samples.map((sample) => sample.all));
    const data = growthOf(samples.map((sample) => sample.data));
    t.diagnostic(JSON.stringify(counts));
    for (const text of disturbances.slice(-20)) t.diagnostic(text.replace(/code_challenge=.*/g, '…').slice(0, 400));
    t.diagnostic(`heap after collection, ${samples.length} samples: all ${told(all)}; data ${told(data)}`);
    for (const [i, process] of ['supervisor', 'worker'].entries()) {
      const of = (part: keyof Heap) => told(growthOf(samples.map(({ each }) => each[i]![part])));
      t.diagnostic(`${process}: all ${of('all')}; data ${of('data')}`);
    }
    assert.deepEqual(wrong.slice(0, 10), []);
    assert.ok(counts.renewals > VISITORS * Math.floor(MINUTES / 2), 'sessions were renewed');
    assert.ok(counts.outages > 0 && counts.changes > MINUTES, 'there was something to get through');
    assert.ok(counts.disturbed * 100 < counts.pages + counts.scripts, `${counts.disturbed} visits were disturbed`);
    assert.ok(data.bytes < data.mean * GROWTH + NOISE, `the data on the heap grew by ${told(data)}`);
    assert.ok(all.bytes < all.mean * GROWTH + NOISE, `the heap grew by ${told(all)}`);
  });
});

async function anonymous(fleet: Fleet, path: string): Promise<number> {
  const visitor: Client = fleet.visitor();
  try {
    return (await visitor.background('GET', fleet.applications.wiki + path)).status;
  } finally {
    await fleet.leave(visitor);
  }
}

/** What its log says of the last time it connected to its server. */
const lastConnection = ({ log }: StandaloneOutpost) =>
  log.split('\n').findLast((line) => line.endsWith('"event":"connected to the identity server"}'));

/** Bytes in use after a collection (harness/report-heap.ts). */
interface Heap {
  all: number;
  data: number;
}

/** Of all processes of the outpost, and of each. */
async function heapOf(fleet: Fleet, folder: string): Promise<Heap & { each: Heap[] }> {
  const sum = { all: 0, data: 0, each: [] as Heap[] };
  for (const outpost of fleet.outposts) {
    for (const pid of [outpost.pid, ...outpost.pids('worker')]) {
      const file = join(folder, String(pid));
      rmSync(file, { force: true });
      process.kill(pid, 'SIGUSR2');
      const { value } = await eventually('heap reported', 30_000, () => JSON.parse(readFileSync(file, 'utf8')) as Heap);
      sum.all += value.all;
      sum.data += value.data;
      sum.each.push(value);
    }
  }
  return sum;
}

interface Growth {
  mean: number;
  bytes: number;
}

/** By how much the samples grew after the warm-up. */
function growthOf(samples: readonly number[]): Growth {
  const steady = samples.slice(Math.floor(samples.length * WARM_UP));
  const mean = steady.reduce((sum, bytes) => sum + bytes, 0) / steady.length;
  return { mean, bytes: slope(steady) * (steady.length - 1) };
}

const told = ({ mean, bytes }: Growth): string =>
  `${(mean / 1e6).toFixed(2)} MB, grew by ${(bytes / 1000).toFixed(0)} kB (${((bytes / mean) * 100).toFixed(2)} %)`;

/** Of the straight line that fits best (least squares), a sample. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let above = 0;
  let below = 0;
  for (const [i, value] of values.entries()) {
    above += (i - middle) * (value - mean);
    below += (i - middle) ** 2;
  }
  return above / below;
}
