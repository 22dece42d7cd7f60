/** Load from the second core with wrk. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Target {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** Lua script of wrk, and its environment */
  script?: string;
  env?: Readonly<Record<string, string>>;
}

export interface Load {
  requestsPerSecond: number;
  /** answers that were not 2xx or 3xx, and socket errors */
  failures: number;
}

/** core of everything under test, and core of the load */
export const TESTED_CORE = '0';
export const LOAD_CORE = '1';

/** Keeps 32 connections busy for `seconds`. @throws when wrk's report cannot be read */
export async function load(target: Target, seconds: number): Promise<Load> {
  // wrk adds a Host of its own unless it is given one spelt exactly so
  const spelt = (name: string) => (name === 'host' ? 'Host' : name);
  const headers = Object.entries(target.headers).flatMap(([name, value]) => ['-H', `${spelt(name)}: ${value}`]);
  const script = target.script === undefined ? [] : ['-s', target.script];
  const args = ['-c', LOAD_CORE, 'wrk', '-t1', '-c32', `-d${seconds}s`, ...script, ...headers, target.url];
  const { stdout } = await run('taskset', args, { env: { ...process.env, ...target.env } });
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1];
  if (rate === undefined) throw new Error(`wrk said:\n${stdout}`);
  const bad = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout);
  const broken = socket === null ? 0 : socket.slice(1).reduce((sum, n) => sum + Number(n), 0);
  return { requestsPerSecond: Number(rate), failures: bad + broken };
}

export interface Comparison {
  baseline: number[];
  tested: number[];
  failures: number;
}

/** Both are asked for so long first, in seconds: V8 goes on compiling what is used much for some hundred thousand repetitions. */
const WARM_UP_SECONDS = 8;
/** A round goes to and fro between the two in slices of this length, in seconds: the machine changes faster than rounds. */
const SLICE_SECONDS = 1;

/** Measures two targets in turn, so that a change of the machine hits both. @param seconds of each, a round */
export async function compare(baseline: Target, tested: Target, rounds: number, seconds: number): Promise<Comparison> {
  await load(baseline, WARM_UP_SECONDS);
  await load(tested, WARM_UP_SECONDS);
  const result: Comparison = { baseline: [], tested: [], failures: 0 };
  const slices = Math.max(1, Math.round(seconds / SLICE_SECONDS));
  for (let round = 0; round < rounds; round++) {
    const rates = { baseline: 0, tested: 0 };
    for (let slice = 0; slice < slices; slice++) {
      const turns = [
        [baseline, 'baseline'],
        [tested, 'tested'],
      ] as const;
      for (const [target, side] of slice % 2 === 0 ? turns : turns.toReversed()) {
        const measured = await load(target, SLICE_SECONDS);
        rates[side] += measured.requestsPerSecond / slices;
        result.failures += measured.failures;
      }
    }
    result.baseline.push(rates.baseline);
    result.tested.push(rates.tested);
  }
  return result;
}

/**
 * So many pairs of processes take part in a comparison: what V8 makes of Node's own code differs from process to process
 * by up to a tenth of a check, and stays so while it runs.
 */
const PAIRS = 3;

export interface Pair {
  baseline: Target;
  tested: Target;
  close(): Promise<unknown>;
}

/** As {@link compare}, with fresh processes each third of the rounds. @param open starts both sides */
export async function compareInPairs(rounds: number, seconds: number, open: () => Promise<Pair>): Promise<Comparison> {
  const all: Comparison = { baseline: [], tested: [], failures: 0 };
  for (let i = 0; i < PAIRS; i++) {
    const { baseline, tested, close } = await open();
    try {
      const part = await compare(baseline, tested, Math.ceil(rounds / PAIRS), seconds);
      all.baseline.push(...part.baseline);
      all.tested.push(...part.tested);
      all.failures += part.failures;
    } finally {
      await close();
    }
  }
  return all;
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** Ratio of each round, lowest and highest: how far one run can be trusted. */
export function ratios({ baseline, tested }: Comparison): { median: number; low: number; high: number } {
  const each = baseline.map((rate, i) => tested[i]! / rate);
  return { median: median(each), low: Math.min(...each), high: Math.max(...each) };
}
