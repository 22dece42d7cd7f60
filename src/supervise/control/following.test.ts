import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CodedError } from '../../contract/errors.ts';
import { UnexpectedAnswer } from '../back-channel.ts';
import { healthSentence } from '../health.ts';
import { Following } from './following.ts';

const TIMES = { tryMs: 5000, askMs: 15_000 };
const START = 1_000_000;
const refused = new UnexpectedAnswer('x', 403);

describe('whether events come', () => {
  it('asks about sessions when calls are answered for some seconds without events, again and again', () => {
    const following = new Following(START, TIMES);
    assert.equal(following.answered(START + 100), false, 'the link is just being made');
    following.setUp(true, START + 200);
    assert.equal(following.answered(START + 6000), true, 'a link without events is none');
    assert.equal(following.askedSince, START + 6000);
    assert.equal(following.answered(START + 11_000), false, 'not all of them at every call');
    assert.equal(following.answered(START + 21_000), true);
    assert.equal(following.askedSince, START + 21_000);
    following.hear();
    assert.equal(following.askedSince, undefined);
    assert.equal(following.answered(START + 60_000), false);

    following.setUp(false, START + 70_000);
    assert.equal(following.askable, false, 'nobody waits for a server that went');
    assert.equal(following.answered(START + 71_000), false);
    assert.deepEqual([following.askable, following.reach], [true, 'answers']);
    assert.equal(following.answered(START + 75_000), true);
  });

  it('asks about nobody while the server is away, and keeps what it knew', () => {
    const following = new Following(START, TIMES);
    const away = [new TypeError('fetch failed'), new UnexpectedAnswer('x', 502), new UnexpectedAnswer('x', 404)];
    for (const error of away) assert.equal(following.failed(error, START + 100_000), false);
    assert.deepEqual([following.askedSince, following.askable, following.reach], [undefined, false, 'away']);
    assert.equal(following.answered(START + 100_001), true);
    assert.equal(following.failed(away[0], START + 200_000), false);
    assert.equal(following.askedSince, START + 100_001, 'who was not asked about since then is not vouched for');
  });

  it('takes a refusal at once, and no answer for one that could be had', () => {
    for (const error of [refused, new UnexpectedAnswer('x', 401), new CodedError('no-outpost', 502, 'None.')]) {
      const following = new Following(START, TIMES);
      assert.equal(following.failed(error, START + 1), true);
      assert.deepEqual([following.askedSince, following.askable, following.reach], [START + 1, false, 'refused']);
      assert.equal(following.failed(error, START + 4000), true, 'whoever signed in meanwhile too');
      assert.equal(following.askedSince, START + 4000);
    }
    const heard = new Following(START, TIMES);
    heard.setUp(true, START);
    heard.hear();
    assert.equal(heard.failed(refused, START + 1), false, 'events still come');
  });

  it('says how it is in sentences that are so', () => {
    const say = (reach: 'refused' | 'answers' | 'away') =>
      healthSentence({ reach, configured: true, serving: true }, false, 'Why.');
    assert.match(say('away'), /nobody can sign in\. Why\.$/);
    for (const reach of ['refused', 'answers'] as const) assert.doesNotMatch(say(reach), /nobody can sign in|notices/);
    assert.match(say('refused'), /refuses.*five minutes.* Why\.$/);
  });
});
