import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readPath } from './canonical-path.ts';
import { compilePathRules } from './path-rules.ts';

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

describe('path rules', () => {
  const publicBy = (field: string, path: string) => compilePathRules(field).rules.publicBy(readPath(path));

  it('look at the path only, found anywhere, case as written', () => {
    assert.equal(publicBy('^/public/', '/public/x'), 1);
    assert.equal(publicBy('^/public/', '/Public/x'), undefined);
    assert.equal(publicBy('/skip.*', '/a/skip'), 1);
    assert.equal(publicBy('(?i)^/pub', '/PUBLIC'), 1);
    assert.equal(publicBy('^/a\n^/b', '/b/x'), 2);
  });

  it('take a blank line for no rule and strip CR', () => {
    for (const field of ['', '\n', '  \n\t\n', '\r\n\r\n']) {
      assert.equal(compilePathRules(field).rules.any, false);
      assert.equal(publicBy(field, '/anything'), undefined);
    }
    assert.equal(publicBy('^/ok$\r\n', '/ok'), 1);
  });

  it('are the lines that were checked: without white space around them', () => {
    for (const line of ['  ^/ok$', '^/ok$ \t', '\t^/ok$\r']) assert.equal(publicBy(line, '/ok'), 1, line);
    assert.equal(publicBy('^/ok\\ ', '/ok '), undefined, 'an escaped space that was cut off leaves no rule');
  });

  it('drop a wrong line and keep the others: what it meant stays protected', () => {
    const { rules, problems } = compilePathRules('^/a(?=b)\n^/ok\n(');
    assert.equal(problems.length, 2);
    assert.match(problems[0] ?? '', /line 1/);
    assert.equal(rules.publicBy(readPath('/ok')), 2);
    assert.equal(rules.publicBy(readPath('/ab')), undefined);
  });

  it('let nothing through by a path that is not plain', () => {
    for (const path of ['/public/../admin', '/public%2fx', '/public/%252e'])
      assert.equal(publicBy('.*', path), undefined);
  });

  it('must hold for every reading', () => {
    assert.equal(publicBy('health$', '/admin;health'), undefined);
    assert.equal(publicBy('^/x//y$', '/x//y'), undefined);
    assert.equal(publicBy('^/static/', '/static/a;v=2/b'), 1);
  });

  it('take linear time', () => {
    const started = performance.now();
    assert.equal(publicBy('^(a+)+$', `/${'a'.repeat(30_000)}!`), undefined);
    assert.ok(performance.now() - started < 2000);
  });
});
