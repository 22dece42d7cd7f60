import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readClaims } from '../../contract/claims.ts';
import type { Site } from '../sites/site.ts';
import { LiveSession, LiveSessions } from './live.ts';
import { NO_CURSOR } from './session.ts';

/** Only its identity counts here. */
const site = {} as Site;

const live = (expiresAt: number) =>
  new LiveSession(site, {
    provider: 1,
    token: 'a.b.c',
    claims: readClaims({ sub: 'u' }),
    extra: [],
    cursor: NO_CURSOR,
    issuedAt: 0,
    expiresAt,
  });

describe('LiveSessions', () => {
  it('let go of sessions that ran out, and of no others, without waiting to be full', () => {
    const sessions = new LiveSessions();
    sessions.add('brief'.padStart(40), live(30_000), 1_000);
    sessions.add('long'.padStart(40), live(900_000), 1_000);
    assert.equal(sessions.size, 2);
    sessions.add('next'.padStart(40), live(900_000), 40_000);
    assert.equal(sessions.size, 3, 'once a minute is enough');
    sessions.add('later'.padStart(40), live(900_000), 70_000);
    assert.equal(sessions.size, 3);
    assert.equal(sessions.get(site, 'brief'.padStart(40)), undefined);
    assert.notEqual(sessions.get(site, 'long'.padStart(40)), undefined);
  });

  /** Full of `used-0` to `used-9`. */
  const full = () => {
    const sessions = new LiveSessions({ count: 10, bytes: 1_000_000 });
    for (let i = 0; i < 10; i++) sessions.add(`used-${i}`.padStart(40), live(900_000), 1_000);
    return sessions;
  };
  const has = (sessions: LiveSessions, name: string) => sessions.get(site, name.padStart(40)) !== undefined;

  it('keep those that are used when many come once', () => {
    const sessions = full();
    for (let i = 0; i < 100; i++) sessions.add(`once-${i}`.padStart(40), live(900_000), 1_000);
    for (let i = 0; i < 10; i++) assert.ok(has(sessions, `used-${i}`));
    assert.equal(sessions.size, 10);
  });

  it('take one that comes again, for the one that was not used for longest', () => {
    const sessions = full();
    assert.ok(has(sessions, 'used-0'));
    sessions.add('again'.padStart(40), live(900_000), 1_000);
    assert.ok(!has(sessions, 'again'));
    sessions.add('again'.padStart(40), live(900_000), 1_000);
    assert.ok(has(sessions, 'again') && has(sessions, 'used-0') && !has(sessions, 'used-1'));
  });

  it('take at once what is in the place of the same cookie, opened for an earlier configuration', () => {
    const sessions = full();
    const later = {} as Site;
    const anew = new LiveSession(later, live(900_000).session);
    sessions.add('used-3'.padStart(40), anew, 1_000);
    assert.equal(sessions.get(later, 'used-3'.padStart(40)), anew);
    assert.equal(sessions.size, 10);
  });

  it('give no session to another cookie that is found in the same place', () => {
    const sessions = full();
    assert.equal(sessions.get(site, `x${'used-3'.padStart(39)}`), undefined);
  });
});
