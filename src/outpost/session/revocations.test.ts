import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readClaims } from '../../contract/claims.ts';
import type { IdentityEvent } from '../../contract/extension.ts';
import { Revocations } from './revocations.ts';
import type { Session } from './session.ts';

const NOW = 1_000_000;
const session = (
  n: number,
  over: {
    epoch?: string;
    sid?: string;
    sub?: string;
    provider?: number;
    issuedAt?: number;
    credentials?: string[];
  } = {},
): Session => {
  const { epoch = 'e', sid = 'sid', sub = 'uid', provider = 1, issuedAt = NOW, credentials } = over;
  return {
    provider,
    token: '',
    claims: readClaims({ sub, sid }),
    extra: [],
    credentials,
    cursor: { epoch, n },
    issuedAt,
    expiresAt: NOW + 1e6,
  };
};
const withEvents = (...events: object[]) => {
  const revocations = new Revocations();
  const full = events.map((e) => ({ until: NOW + 1e6, ...e }) as IdentityEvent);
  revocations.apply({ epoch: 'e', snapshot: true, n: 100, events: full }, NOW);
  return revocations;
};

describe('revocations', () => {
  const cases: [string, object, Partial<Parameters<typeof session>[1]>, string][] = [
    ['ended session', { n: 5, kind: 'session-ended', sid: 'sid' }, {}, 'ended'],
    ['another session', { n: 5, kind: 'session-ended', sid: 'x' }, {}, 'live'],
    ['session without sid', { n: 5, kind: 'session-ended', sid: '' }, { sid: '' }, 'live'],
    ['login at the application ended', { n: 5, kind: 'application-ended', sid: 'sid', provider: 1 }, {}, 'ended'],
    ['login at another application', { n: 5, kind: 'application-ended', sid: 'sid', provider: 2 }, {}, 'live'],
    ['login of another session', { n: 5, kind: 'application-ended', sid: 'x', provider: 1 }, {}, 'live'],
    ['login without sid', { n: 5, kind: 'application-ended', sid: '', provider: 1 }, { sid: '' }, 'live'],
    ['credential ended', { n: 5, kind: 'credential-ended', credential: 'b' }, { credentials: ['a', 'b'] }, 'ended'],
    ['another credential', { n: 5, kind: 'credential-ended', credential: 'b' }, { credentials: ['a'] }, 'live'],
    ['credential of a login', { n: 5, kind: 'credential-ended', credential: 'b' }, {}, 'live'],
    ['person denied', { n: 5, kind: 'user-changed', uid: 'uid', effect: 'deny' }, {}, 'ended'],
    ['person changed', { n: 5, kind: 'user-changed', uid: 'uid', effect: 'refresh' }, {}, 'stale'],
    ['another person', { n: 5, kind: 'user-changed', uid: 'x', effect: 'deny' }, {}, 'live'],
    ['provider changed', { n: 5, kind: 'provider-changed', provider: 1 }, {}, 'stale'],
    ['another provider', { n: 5, kind: 'provider-changed', provider: 2 }, {}, 'live'],
    ['everybody denied', { n: 5, kind: 'everybody', effect: 'deny' }, {}, 'ended'],
    ['everybody refreshed', { n: 5, kind: 'everybody', effect: 'refresh' }, {}, 'stale'],
  ];
  for (const [name, event, over, standing] of cases) {
    it(name, () => {
      assert.equal(withEvents(event).standing(session(4, over)), standing);
      assert.equal(withEvents(event).standing(session(5, over)), 'live', 'the same number is already known');
    });
  }

  it('keep a denial when a refresh comes after it', () => {
    const revocations = withEvents(
      { n: 5, kind: 'user-changed', uid: 'uid', effect: 'deny' },
      { n: 9, kind: 'user-changed', uid: 'uid', effect: 'refresh' },
    );
    assert.equal(revocations.standing(session(4)), 'ended');
    assert.equal(revocations.standing(session(6)), 'stale');
    assert.equal(revocations.standing(session(9)), 'live');
  });

  it('ask about sessions of another log, and end what they name in one without a position', () => {
    const revocations = withEvents();
    assert.equal(revocations.standing(session(400, { epoch: 'old' })), 'stale');
    assert.equal(revocations.standing(session(0, { epoch: '' })), 'live');
    const named = (event: object) => withEvents({ n: 1, ...event }).standing(session(0, { epoch: '' }));
    assert.equal(named({ kind: 'session-ended', sid: 'sid' }), 'ended');
    assert.equal(named({ kind: 'user-changed', uid: 'uid', effect: 'refresh' }), 'stale');
    assert.equal(new Revocations().standing(session(0)), 'live', 'before the first batch');
  });

  it('go on over a start of the server: what it counted before stays known, what it did not count must ask', () => {
    const revocations = withEvents({ n: 5, kind: 'user-changed', uid: 'uid', effect: 'deny' });
    const [added] = [
      { n: 103, until: NOW + 1e6, kind: 'user-changed' as const, uid: 'uid', effect: 'refresh' as const },
    ];
    const former = [{ epoch: 'd', n: 4 }, { epoch: 'e', n: 101 }]; // prettier-ignore
    const over = { sub: 'somebody' };
    revocations.apply({ epoch: 'f', snapshot: false, former, n: 103, events: [added] }, NOW);
    revocations.apply({ epoch: 'f', snapshot: false, n: 104, events: [] }, NOW);
    const standing = (epoch: string, n: number, more = {}) => revocations.standing(session(n, { epoch, ...more }));
    assert.equal(standing('e', 4), 'ended', 'what was learnt before is not forgotten');
    assert.equal(standing('e', 6), 'stale');
    assert.equal(standing('f', 104), 'live');
    for (const epoch of ['d', 'e']) {
      assert.equal(standing(epoch, 4, over), 'live');
      assert.equal(standing(epoch, 102, over), 'stale', 'counted by a database that was replaced');
    }
    assert.equal(standing('lost', 104, over), 'stale');
  });

  it('do not refuse whoever signed in after a denial at a server that was started again meanwhile', () => {
    const revocations = withEvents({ n: 5, kind: 'user-changed', uid: 'uid', effect: 'deny' });
    assert.equal(revocations.standing(session(6, { epoch: 'next' })), 'stale');
    assert.equal(revocations.standing(session(4, { epoch: 'next' })), 'ended');
    const bySid = withEvents({ n: 5, kind: 'session-ended', sid: 'sid' });
    assert.equal(bySid.standing(session(6, { epoch: 'next' })), 'ended');
  });

  it('forget with a snapshot, add without', () => {
    for (const ended of [
      { n: 5, kind: 'session-ended', sid: 'sid' },
      { n: 5, kind: 'application-ended', sid: 'sid', provider: 1 },
    ]) {
      const revocations = withEvents(ended);
      revocations.apply({ epoch: 'e', snapshot: false, n: 6, events: [] }, NOW);
      assert.equal(revocations.standing(session(1)), 'ended');
      revocations.apply({ epoch: 'e', snapshot: true, n: 6, events: [] }, NOW);
      assert.equal(revocations.standing(session(1)), 'live');
    }
  });

  it('sign out one application or everything, and only sessions made before', () => {
    const report = { provider: 1, sid: 'sid', uid: 'uid' };
    const one = withEvents();
    one.signOut(report, false, NOW + 1e6, NOW);
    assert.equal(one.standing(session(9)), 'ended');
    assert.equal(one.standing(session(9, { provider: 2 })), 'live');
    assert.equal(one.standing(session(9, { issuedAt: NOW + 1 })), 'live');
    const all = withEvents();
    all.signOut(report, true, NOW + 1e6, NOW);
    assert.equal(all.standing(session(9, { provider: 2, issuedAt: NOW + 1 })), 'ended');
    const noSid = withEvents();
    noSid.signOut({ ...report, sid: '' }, true, NOW + 1e6, NOW);
    assert.equal(noSid.standing(session(9, { sid: '' })), 'ended');
    assert.equal(noSid.standing(session(9, { sid: '', sub: 'other' })), 'live');
  });

  it('end what was begun before an instruction without a number; of a server of ours, the session as a whole', () => {
    for (const end of [
      (all: Revocations) => all.endSid('sid', NOW + 1e6, NOW),
      (all: Revocations) => all.signOut({ provider: 1, sid: 'sid', uid: 'uid' }, true, NOW + 1e6, NOW),
    ]) {
      const revocations = withEvents();
      end(revocations);
      const official = (issuedAt: number) => revocations.standing(session(0, { epoch: '', provider: 2, issuedAt }));
      assert.deepEqual([official(NOW - 1), official(NOW), official(NOW + 1)], ['ended', 'ended', 'live']);
      assert.equal(revocations.standing(session(9, { issuedAt: NOW + 1 })), 'ended', 'ours never goes on with it');
    }
  });

  it('ignore an empty sid, which would end every session without one', () => {
    const revocations = withEvents();
    revocations.endSid('', NOW + 1e6, NOW);
    assert.equal(revocations.standing(session(1, { sid: '' })), 'live');
  });

  it('stay bounded by until', () => {
    const revocations = new Revocations();
    for (let i = 0; i < 1000; i++) {
      const now = NOW + i * 1000;
      const event: IdentityEvent = { n: i, until: now + 5000, kind: 'session-ended', sid: `s${i}` };
      revocations.apply({ epoch: 'e', snapshot: false, n: i, events: [event] }, now);
      revocations.endSid(`p${i}`, now + 5000, now);
    }
    assert.ok(revocations.size < 200, String(revocations.size));
  });

  it('count a version up with every change', () => {
    const revocations = new Revocations();
    const seen = new Set([revocations.version]);
    revocations.apply({ epoch: 'e', snapshot: false, n: 0, events: [] }, NOW);
    seen.add(revocations.version);
    revocations.endSid('x', NOW, NOW);
    seen.add(revocations.version);
    revocations.signOut({ provider: 1, sid: 'y', uid: 'u' }, true, NOW, NOW);
    seen.add(revocations.version);
    assert.equal(seen.size, 4);
  });
});
