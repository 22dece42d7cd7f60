import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { safeNext } from './next.ts';

describe('safeNext', () => {
  it('keeps paths of this server with query and fragment', () => {
    assert.equal(safeNext('/if/user/', '/'), '/if/user/');
    assert.equal(
      safeNext('/application/o/authorize/?a=b%2Fc&d=%0A#x', '/'),
      '/application/o/authorize/?a=b%2Fc&d=%0A#x',
    );
    assert.equal(safeNext('/auth/if/user/', '/auth/'), '/auth/if/user/');
  });

  const refused = [
    'https://evil.test/',
    '//evil.test',
    '///evil.test',
    '/\\evil.test',
    '\\\\evil.test',
    '/.//evil.test',
    '/..//evil.test',
    '/%2e//evil.test',
    '/\t/evil.test',
    '/\n/evil.test',
    '\t//evil.test',
    ' //evil.test',
    '/a\u0000b',
    '/a\u007fb',
    'javascript:alert(1)',
    '/%5cevil\\',
    '',
    'if/user/',
    '/x'.repeat(9000),
    '/if/flow/default-authentication-flow/?next=/',
    '/a/../if/flow/default-invalidation-flow/',
    '/flows/-/default/invalidation/',
  ];
  for (const raw of refused) {
    it(`refuses ${JSON.stringify(raw.slice(0, 40))}`, () => assert.equal(safeNext(raw, '/'), undefined));
  }

  it('refuses what lies outside the web path, and anything but text', () => {
    assert.equal(safeNext('/if/user/', '/auth/'), undefined);
    assert.equal(safeNext('/auth/../if/user/', '/auth/'), undefined);
    assert.equal(safeNext(['/if/user/'], '/'), undefined);
    assert.equal(safeNext(undefined, '/'), undefined);
  });

  it('a browser reads every accepted value as a path of the same origin', () => {
    const values = [
      '/%2f/evil.test',
      '/a//b',
      '/?//evil.test',
      '/#//evil.test',
      '/@evil.test',
      '/a:b@c',
      '/.evil.test',
      '/;//x',
      '/%09/evil.test',
    ];
    for (const value of values) {
      const out = safeNext(value, '/');
      assert.ok(out !== undefined, value);
      assert.equal(new URL(out, 'https://server.test').origin, 'https://server.test', value);
    }
  });
});
