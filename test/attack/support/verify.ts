/** Assertions whose messages name the request and the answer. */
import assert from 'node:assert/strict';
import { deadline, sleep } from '../../harness/wait.ts';
import { all, story, type Answer, type Pair } from './ask.ts';
import type { Env } from './env.ts';

let last = 0;
/** A word no other request of the run contains, to find a request again at the application. */
export const marker = (): string => `mark${process.pid}x${++last}x`;

export const passes = (answer: Answer): boolean => answer.status >= 200 && answer.status < 300;

export function refused(answer: Answer, why = 'must not be let through'): void {
  assert.ok(!passes(answer) && answer.status !== 101, `${why}: ${story(answer)}`);
}

export function allowed(answer: Answer, why = 'must be let through'): void {
  assert.ok(passes(answer), `${why}: ${story(answer)}`);
}

export function unseen(env: Env, mark: string, answer?: Answer): void {
  const found = env.upstream.about(mark);
  assert.equal(
    found.length,
    0,
    `reached the application as ${found[0]?.method} ${found[0]?.url}${answer === undefined ? '' : `: ${story(answer)}`}`,
  );
}

/** Fails when any header name or value contains the text. */
export function without(pairs: readonly Pair[], text: string, answer: Answer): void {
  const hit = pairs.find(([n, v]) => n.includes(text) || v.includes(text));
  assert.equal(hit, undefined, `${hit?.[0]}: ${hit?.[1]} came through: ${story(answer)}`);
}

export function values(pairs: readonly Pair[], name: string): string[] {
  return pairs.filter(([n]) => n.toLowerCase() === name.toLowerCase()).map(([, v]) => v);
}

/** No Set-Cookie of the answer gives a session (attempt and deletion cookies are none). */
export function givesNoSession(answer: Answer): void {
  const session = all(answer, 'set-cookie').find(
    (line) => /^authentik_proxy_[0-9a-f]{8}(_\d+)?=[^;]/.test(line) && !/max-age=0/i.test(line),
  );
  assert.equal(session, undefined, `gave a session: ${story(answer)}`);
}

/**
 * Repeats until `test` returns true. The last time begins after the time is up, in which pauses of the machine do not
 * count.
 * @returns the ms it took
 */
export async function within(ms: number, what: string, test: () => Promise<boolean>): Promise<number> {
  const start = performance.now();
  const over = deadline(ms);
  for (;;) {
    const began = performance.now();
    const late = over();
    if (await test()) return Math.round(began - start);
    assert.ok(!late, `${what}: not within ${ms} ms`);
    await sleep(20);
  }
}

/**
 * From some moment within `ms` on nobody is let in any more, whichever worker is asked, and it stays so.
 * @param knock asks on a connection of its own
 */
export async function shutWithin(
  ms: number,
  what: string,
  knock: () => Promise<Answer | readonly Answer[]>,
  times = 6,
): Promise<void> {
  const answers = async () => [await knock()].flat();
  // workers take turns: none may still believe it, and one hears of it before another
  await within(ms, what, async () => {
    for (let i = 0; i < times; i++) if ((await answers()).some(passes)) return false;
    return true;
  });
  for (let i = 0; i < times; i++) for (const answer of await answers()) refused(answer, `${what}: let in again`);
}
