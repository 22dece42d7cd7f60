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
  it('lets go of sessions that ran out, and of no others, without waiting to be full', () => {
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
});
