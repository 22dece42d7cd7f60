import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readPath } from './canonical-path.ts';

describe('readPath', () => {
  it('reads plain paths as they are', () => {
    for (const path of ['/', '/a', '/a/b/', '/a.b/c-d_e~f', '/a//b', '/.well-known/x', '/..a/b', '/a;v=1/b', '/...']) {
      const reading = readPath(path);
      assert.equal(reading.kind, 'plain', path);
      assert.equal(reading.kind === 'plain' && reading.path, path);
    }
  });

  it('decodes once', () => {
    for (const [raw, path] of [
      ['/publ%69c', '/public'],
      ['/caf%C3%A9', '/café'],
      ['/100%25', '/100%'],
      ['/a%20b', '/a b'],
    ]) {
      const reading = readPath(raw ?? '');
      assert.equal(reading.kind === 'plain' && reading.path, path);
    }
  });

  it('calls what no honest client sends malformed', () => {
    for (const path of [
      '', 'x', '/public/../admin', '/public/%2e%2e/admin', '/public/%2E%2e/admin', '/public/.%2e/admin', '/a/./b',
      '/public/..;/admin', '/public/..;x=1/admin', '/public/%2e%2e%3b/admin', '/public%2f..%2fadmin', '/a\\b',
      '/public/..%20/admin', '/public/.%20/x', '/a/%00', '/a%0d%0ab', '/public/%252e%252e/admin', '/public/%25252e%25252e/admin', '/..%5cadmin', '/..', '/a/..',
    ]) assert.equal(readPath(path).kind, 'malformed', path); // prettier-ignore
  });

  it('sees dot segments and control characters beside what does not decode', () => {
    for (const path of [
      '/%ff/%2e%2e/%2e%2e/admin',
      '/%zz/%2E%2e',
      '/x%/.%2e/admin',
      '/%ff%2f..%2fadmin',
      '/%ff%5c%2e%2e%5cadmin',
      '/%ff/%2e%2e%3bx/admin',
      '/%ff/%252e%252e/admin',
      '/%25ff/%252e%252e/admin',
      '/%ff%00',
    ])
      assert.equal(readPath(path).kind, 'malformed', path);
    for (const path of ['/%ff/%2e%2ea', '/%ff/%41', '/%2541%25']) assert.equal(readPath(path).kind, 'ambiguous', path);
  });

  it('calls what servers read differently ambiguous', () => {
    for (const path of [
      '/a%2fb',
      '/a%5Cb',
      '/api/queues/%2F/x',
      '/a%2525',
      '/a%252fb',
      '/100%',
      '/%zz',
      '/%ff',
      '/%c0%ae',
      '/\u00e9',
    ])
      assert.equal(readPath(path).kind, 'ambiguous', path);
  });

  it('gives every reading of parameters and double slashes', () => {
    const reading = readPath('/a;x/b//c');
    assert.deepEqual(reading.kind === 'plain' && [...reading.readings].sort(), ['/a/b/c', '/a/b//c', '/a;x/b//c', '/a;x/b/c'].sort()); // prettier-ignore
  });

  it('never lets a path through that a decoding upstream resolves elsewhere', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      '%2f',
      '%5c',
      '%252e',
      '%252f',
      ';',
      'public',
      'admin',
      '\\',
      '%00',
      '%',
      '%ff',
      '//',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const raw = `/public/${pieces.join('')}`;
        const reading = readPath(raw);
        if (reading.kind !== 'plain') return;
        // what an upstream that decodes up to three times and resolves segments would open
        let seen = raw;
        for (let i = 0; i < 3; i++) {
          const resolved = new URL(seen.replace(/;[^/]*/g, ''), 'http://h').pathname;
          assert.ok(resolved.startsWith('/public'), `${raw} -> ${resolved}`);
          try {
            seen = decodeURIComponent(seen);
          } catch {
            return;
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is total', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (raw) => void readPath(`/${raw}`)));
  });
});
