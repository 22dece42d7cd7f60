import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it, mock } from 'node:test';
import type { Identity } from '../identify/identify.ts';
import type { LiveSession } from './live.ts';
import { OpenAnswers } from './open-answers.ts';
import type { Revocations, Standing } from './revocations.ts';

const person = (reason: 'session-refreshed' | 'session-grace', live: LiveSession): Identity => ({
  kind: 'person',
  reason,
  live,
  setCookies: [],
});

/** One answer of one session, whose standing and fresh claims the test decides. */
function open(settle: (live: LiveSession) => Identity | Promise<Identity>) {
  const state: { standing: Standing; cut: boolean; now: number; may: boolean } = {
    standing: 'live',
    cut: false,
    now: 0,
    may: true,
  };
  const revocations = { version: 0, standing: () => state.standing } as unknown as Revocations;
  const answers = new OpenAnswers({ revocations, settle, now: () => state.now });
  const session = { issuedAt: 0, expiresAt: 3_600_000, claims: { sub: 'u' }, extra: [] };
  const live = { session, site: { pk: 1 } } as unknown as LiveSession;
  const res = { destroy: () => (state.cut = true) } as unknown as ServerResponse;
  const entry = answers.add(res, live, () => state.may);
  return { answers, state, live, entry };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('open answers', () => {
  it('are broken off when their session is over, and only then', () => {
    const { answers, state } = open(() => assert.fail('nothing to settle'));
    answers.check();
    assert.equal(state.cut, false);
    state.standing = 'ended';
    answers.check();
    assert.equal(state.cut, true);
    assert.equal(answers.size, 0);
  });

  it('begun with old claims are looked at again until there are new ones', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const answer: { now: Identity | undefined } = { now: undefined };
      const { answers, state, live } = open((asked) => answer.now ?? person('session-grace', asked));
      const later = { cut: false };
      state.standing = 'stale';
      answers.add({ destroy: () => (later.cut = true) }, live, () => true);
      mock.timers.tick(2000);
      await settled();
      assert.equal(later.cut, false);
      answer.now = { kind: 'denied', live, detail: 'no longer a member' };
      mock.timers.tick(2000);
      await settled();
      assert.equal(later.cut, true);
      answers.close();
    } finally {
      mock.timers.reset();
    }
  });

  it('end with the time of their session when the server does not say that it goes on', async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    try {
      const { answers, state } = open((live) => person('session-grace', live));
      for (const [now, cut] of [
        [3_500_000, false],
        [3_599_000, false],
        [3_600_000, true],
      ] as const) {
        state.now = now;
        mock.timers.tick(500);
        await settled();
        assert.equal(state.cut, cut, String(now));
      }
      answers.close();
    } finally {
      mock.timers.reset();
    }
  });

  it('are decided once more when the configuration changed', () => {
    const { answers, state } = open(() => assert.fail('nothing to settle'));
    answers.recheck();
    assert.equal(state.cut, false);
    state.may = false;
    answers.recheck();
    assert.equal(state.cut, true);
  });

  it('are broken off when the fresh claims do not open what they answer', async () => {
    const { answers, state } = open((live) => person('session-refreshed', live));
    Object.assign(state, { standing: 'stale', may: false });
    answers.check();
    await settled();
    assert.equal(state.cut, true);
  });

  it('that are finished are not touched', () => {
    const { answers, state, entry } = open(() => assert.fail('nothing to settle'));
    answers.delete(entry);
    state.standing = 'ended';
    answers.check();
    assert.equal(state.cut, false);
  });

  it('are each broken off, whatever finished before, in between and twice', () => {
    const { answers, state, live, entry } = open(() => assert.fail('nothing to settle'));
    const cut: number[] = [];
    const entries = [0, 1, 2, 3, 4].map((n) => answers.add({ destroy: () => cut.push(n) }, live, () => true));
    for (const finished of [entries[1], entries[4], entry, entries[1]]) answers.delete(finished!);
    assert.equal(answers.size, 3);
    state.standing = 'ended';
    answers.check();
    assert.deepEqual(new Set(cut), new Set([0, 2, 3]));
    assert.equal(cut.length, 3);
    for (const finished of entries) answers.delete(finished);
    assert.deepEqual([answers.size, state.cut], [0, false]);
  });

  it('of a session with stale claims go on when the fresh ones allow it', async () => {
    const { answers, state } = open((live) => person('session-refreshed', live));
    state.standing = 'stale';
    answers.check();
    await settled();
    assert.equal(state.cut, false);
  });

  it('are broken off, or looked at again, when an event came while fresh claims were under way', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const over = open(async (live) => {
        over.state.standing = 'ended';
        return person('session-refreshed', live);
      });
      over.state.standing = 'stale';
      over.answers.check();
      await settled();
      assert.equal(over.state.cut, true);

      let asked = 0;
      const outdated = open((live) =>
        ++asked === 1 ? person('session-refreshed', live) : { kind: 'denied', live, detail: '' },
      );
      outdated.state.standing = 'stale';
      outdated.answers.check();
      await settled();
      assert.equal(outdated.state.cut, false);
      mock.timers.tick(2000);
      await settled();
      assert.equal(outdated.state.cut, true);
    } finally {
      mock.timers.reset();
    }
  });

  it('are broken off when access is denied or can no longer be asked for', async () => {
    for (const kind of ['denied', 'unsettled'] as const) {
      const { answers, state } = open((live) => Promise.resolve({ kind, live, detail: '' }));
      state.standing = 'stale';
      answers.check();
      await settled();
      assert.equal(state.cut, true, kind);
    }
  });

  it('are broken off when asking goes wrong', async () => {
    const { answers, state } = open(() => Promise.reject(new Error('unforeseen')));
    state.standing = 'stale';
    answers.check();
    await settled();
    assert.equal(state.cut, true);
  });

  it('are looked at again while the server cannot be asked', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      let asked = 0;
      const { answers, state } = open((live) =>
        ++asked < 3 ? person('session-grace', live) : { kind: 'unsettled', live },
      );
      state.standing = 'stale';
      answers.check();
      for (let i = 0; i < 3; i++) {
        await settled();
        assert.equal(state.cut, i === 2, `after ${i + 1} tries`);
        mock.timers.tick(2000);
      }
      answers.close();
    } finally {
      mock.timers.reset();
    }
  });
});
