import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowingEntry, isHostHeader, ownBackendHost, readBackend, readBackendHost } from './backend-hosts.ts';
import type { BackendHost } from './backend-hosts.ts';

const entries = (...texts: string[]) =>
  texts.map((text) => readBackendHost(text)).filter((entry): entry is BackendHost => entry !== undefined);

describe('the setting backend_hosts', () => {
  for (const text of ['foo.bar.baz', 'foo:8080', '*.apps.internal:8888', '127.0.0.1:5000', '[::1]:80', 'Foo.Bar']) {
    it(`takes ${text}`, () => assert.equal(readBackendHost(text)?.text, text));
  }
  for (const text of [
    ...['', '*', '*.', '**.a.b', 'a.*.b', 'http://foo', 'foo/path', 'foo?x', 'foo#x', 'u@foo', 'foo:', 'foo:99999'],
    ...['a b', 'a\\b', '*.1.2.3.4', '*.[::1]', 'a"b', '.foo', 'foo:x'],
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(readBackendHost(text), undefined));
  }
});

describe('a backend that a token names', () => {
  const allows = (override: string, ...texts: string[]) => {
    const backend = readBackend(override);
    return backend === undefined ? undefined : allowingEntry(backend, entries(...texts))?.text;
  };

  it('is allowed by host and port, with the usual one of the scheme where none is said', () => {
    assert.equal(allows('http://foo.bar.baz/ada', 'foo.bar.baz'), 'foo.bar.baz');
    assert.equal(allows('https://FOO.bar.baz', 'foo.bar.baz'), 'foo.bar.baz');
    assert.equal(allows('http://foo.bar.baz:8080/', 'foo.bar.baz'), undefined);
    assert.equal(allows('http://foo.bar.baz:8080/', 'x.y', 'foo.bar.baz:8080'), 'foo.bar.baz:8080');
    assert.equal(allows('https://foo.bar.baz', 'foo.bar.baz:80'), undefined);
    assert.equal(allows('http://foo.bar.baz', 'foo.bar.baz:80'), 'foo.bar.baz:80');
    assert.equal(allows('http://[::1]:81', '[::1]:81'), '[::1]:81');
  });

  it('is allowed by a star for one label, not for none and not for two', () => {
    assert.equal(allows('http://ada.apps.internal:8888', '*.apps.internal:8888'), '*.apps.internal:8888');
    for (const host of ['apps.internal', 'a.b.apps.internal', 'adaapps.internal', '.apps.internal']) {
      assert.equal(allows(`http://${host}:8888`, '*.apps.internal:8888'), undefined, host);
    }
  });

  it('is nothing without a list, and never another host than the one that is allowed', () => {
    assert.equal(allows('http://foo.bar.baz/'), undefined);
    for (const host of ['foo.bar.baz.evil.test', 'evilfoo.bar.baz', 'foo.bar', 'foo.bar.baz.']) {
      assert.equal(allows(`http://${host}/`, 'foo.bar.baz'), undefined, host);
    }
  });

  it('keeps a path made of a name, in any script', () => {
    assert.equal(readBackend('http://foo/Zoë Müller')?.pathname, '/Zo%C3%AB%20M%C3%BCller');
    assert.equal(readBackend('http://foo/a/b/')?.pathname, '/a/b/');
    assert.equal(readBackend('http://foo')?.pathname, '/');
  });

  for (const override of [
    ...[':qewr', 'foo', '//foo/', 'ftp://foo/', 'javascript:alert(1)', 'http://', 'http:///x', 'http://u:p@foo/'],
    ...['http://foo\\@evil.test/', 'http://evil.test\\foo', 'http://foo/?x', 'http://foo/#x', 'http://foo/a\u0000'],
    ...['http://foo/../bob', 'http://foo/ada/..', 'http://foo/%2e%2e/bob', 'http://foo/ada%2f..%2fbob'],
    ...['http://foo/ada/..;/bob', 'http://foo/ada\n/..', 'http://foo/\ud800', 'http://fo o/'],
  ]) {
    it(`is refused when it is ${JSON.stringify(override)}`, () => assert.equal(readBackend(override), undefined));
  }

  it('is the application itself when it names its host', () => {
    const own = ownBackendHost('https://app.internal/base');
    assert.deepEqual(own && [own.name, own.port], ['app.internal', 443]);
    assert.equal(ownBackendHost('nonsense'), undefined);
  });

  it('may go with a Host that is one', () => {
    for (const host of ['a', 'a.b:80', '[::1]:8080', '10.0.0.1']) assert.ok(isHostHeader(host), host);
    for (const host of ['', 'a b', 'a/b', 'a\r\nb', 'a:', ':80', 'a@b', 'x'.repeat(300)]) {
      assert.ok(!isHostHeader(host), host);
    }
  });
});
