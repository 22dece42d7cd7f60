import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { challengesFor, readAuthorization, secretIn, secretOf, TOKEN_USER } from './presented.ts';

const basic = (text: string | Buffer) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('readAuthorization', () => {
  it('reads user name and password up to the first colon, in UTF-8', () => {
    assert.deepEqual(readAuthorization(basic('ali:ce:ä €')), { kind: 'basic', username: 'ali', password: 'ce:ä €' });
    assert.deepEqual(readAuthorization(basic('a:b').replace('Basic', 'bASIC')), {
      kind: 'basic',
      username: 'a',
      password: 'b',
    });
  });

  it('reads a token, as such and as the password of the reserved user', () => {
    const token = { kind: 'bearer', token: 'aa.b-b.c_c' };
    assert.deepEqual(readAuthorization('Bearer aa.b-b.c_c'), token);
    assert.deepEqual(readAuthorization('bearer aa.b-b.c_c'), token);
    assert.deepEqual(readAuthorization(basic(`${TOKEN_USER}:aa.b-b.c_c`)), token);
  });

  for (const header of [
    'x',
    'Basic',
    'Basic ',
    'Basic  YTpi',
    'Basic\tYTpi',
    'Basic ====',
    'Basic YTpi YTpi',
    'Basic YT pi',
    basic('no colon'),
    basic(':no user'),
    basic('no password:'),
    basic('a:b\nc'),
    basic('a\0b:c'),
    basic(Buffer.from([0x61, 0x3a, 0xff, 0xfe])),
    basic(`${TOKEN_USER}:an app password`),
    basic(`a:${'x'.repeat(12_000)}`),
    'Bearer ',
    'Bearer a.b',
    'Bearer a.b.c.d.e',
    'Bearer a.b.c d',
    'Bearer a.b.',
    'Bearer  a.b.c',
    `Bearer a.${'b'.repeat(13_000)}.c`,
    'Bearer0 a.b.c',
    'Negotiate YTpi',
    'Digest username="a"',
  ]) {
    it(`takes nothing from ${header.slice(0, 40)}`, () => assert.equal(readAuthorization(header), undefined));
  }
});

describe('secretIn', () => {
  for (const header of ['Bearer aa.b-b.c_c', 'bearer aa.b-b.c_c', basic(`${TOKEN_USER}:aa.b-b.c_c`), basic('a:b:c')]) {
    it(`is what was believed of ${header}`, () => {
      const presented = readAuthorization(header);
      assert.ok(presented !== undefined);
      assert.equal(secretIn(header), secretOf(presented));
    });
  }

  it('takes nothing from what cannot be meant for us, and no token for a password', () => {
    for (const header of ['x', 'Basic YT pi', 'Negotiate YTpi', `Bearer a.${'b'.repeat(13_000)}.c`, 'Bearer  a.b.c']) {
      assert.equal(secretIn(header), undefined, header.slice(0, 40));
    }
    assert.notEqual(secretIn('Bearer a b'), secretIn(basic('a:b')));
  });
});

describe('challengesFor', () => {
  it('asks in the scheme that was used, and in both for any other', () => {
    assert.deepEqual(challengesFor('basic x', 'wi"ki'), ['WWW-Authenticate', 'Basic realm="wiki", charset="UTF-8"']);
    assert.deepEqual(challengesFor('Bearer x', 'wiki'), [
      'WWW-Authenticate',
      'Bearer realm="wiki", error="invalid_token"',
    ]);
    assert.equal(challengesFor('Digest x', 'wiki').length, 4);
  });
});
