/**
 * Events of two processes in one log. Gatehouse runs one server on a data folder and refuses a second (`supervise/
 * lock.ts`), so this is about what the order of the log rests on: SQLite's own transactions.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { IdentityEvent } from '../../contract/extension.ts';
import { testServer } from '../context.test-helper.ts';
import { eventsAfter, readCursor } from './identity-log.ts';

const WRITER = fileURLToPath(new URL('two-writers.test-helper.ts', import.meta.url));
const CHANGES = 100;

const sidOf = (event: IdentityEvent): string => ('sid' in event ? event.sid : '');

/** @returns how often the log goes from one writer to the other */
async function follow(): Promise<number> {
  await using server = await testServer();
  const { db } = server.ctx;
  const begin = (await readCursor(db)).n;
  const writers = ['one', 'two'].map((name) => fork(WRITER, [server.folder, name, String(CHANGES)]));
  const ended = Promise.all(writers.map((writer) => once(writer, 'exit') as Promise<[number | null]>));
  await Promise.all(writers.map((writer) => once(writer, 'message')));
  for (const writer of writers) writer.send('go');
  let running = true;
  void ended.then(() => (running = false));

  const followed: IdentityEvent[] = [];
  let at = begin;
  const look = async (): Promise<void> => {
    // as an outpost is told: the cursor is read first, and nothing up to it may turn up later
    const { n } = await readCursor(db);
    const events = await eventsAfter(db, at, Date.now());
    followed.push(...events);
    at = Math.max(n, events.at(-1)?.n ?? n);
  };
  while (running) {
    await look();
    await sleep(1);
  }
  await look();

  assert.deepEqual(await ended, [[0, null], [0, null]]); // prettier-ignore
  assert.deepEqual(followed, await eventsAfter(db, begin, Date.now()), 'all, once, and in order');
  const expected = (name: string) => Array.from({ length: CHANGES }, (_, i) => [`${name}-${i}`, `${name}-${i}-more`]);
  const sids = followed.map(sidOf);
  for (const name of ['one', 'two']) {
    const own = sids.filter((sid) => sid.startsWith(name));
    assert.deepEqual(own, expected(name).flat());
  }
  for (let i = 0; i < sids.length; i += 2) assert.equal(sids[i + 1], `${sids[i]}-more`, 'a change is not torn apart');
  const writer = sids.map((sid) => sid.slice(0, 3));
  return writer.filter((name, i) => i > 0 && name !== writer[i - 1]).length;
}

describe('events of two processes', { timeout: 400_000 }, () => {
  it('are numbered as they are committed: who follows the log by its cursor misses none', async () => {
    // where one of them was held up, the other had the log for itself, and nothing was shown
    let turns = 0;
    for (let tries = 0; tries < 5 && turns < 10; tries++) turns = await follow();
    assert.ok(turns >= 10, `the writers took turns: ${turns}`);
  });
});
