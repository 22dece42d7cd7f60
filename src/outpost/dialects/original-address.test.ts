import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostTable } from '../../rules/hosts.ts';
import type { Site } from '../sites/site.ts';
import { namesAnotherSite, originalAddress } from './original-address.ts';

const named = (originalUrl?: string, originalUri?: string) => {
  const address = originalAddress({ originalUrl, originalUri } as Parameters<typeof originalAddress>[0]);
  return address.kind === 'named' ? [address.path.kind, address.authority] : address.kind;
};

describe('original address', () => {
  it('is read from either header', () => {
    assert.deepEqual(named('https://App.test:8443/a?b=/c'), ['plain', 'app.test:8443']);
    assert.deepEqual(named(undefined, '/a?b'), ['plain', undefined]);
    assert.deepEqual(named('http://app.test/a', '/a'), ['plain', 'app.test']);
    assert.equal(named(), 'missing');
  });

  it('is invalid when it cannot be read or both headers differ', () => {
    for (const url of ['http://[::1', 'http://', '/a', 'javascript:x', 'http://evil@app.test/', 'http://a b/']) {
      assert.equal(named(url), 'invalid', url);
    }
    assert.equal(named('http://app.test/a', '/b'), 'invalid');
    assert.equal(named(undefined, 'a'), 'invalid');
  });
});

describe('names of another application', () => {
  const sites = new Map([
    ['open.test', { pk: 1 }],
    ['www.open.test', { pk: 1 }],
    ['closed.test', { pk: 2 }],
  ]);
  const hosts = { find: (host: string) => sites.get(host) } as unknown as HostTable<Site>;
  const asks = (host: string, hostHeader: string, originalUrl?: string) =>
    namesAnotherSite(
      hosts,
      sites.get(host) ?? { pk: 0 },
      { host, hostHeader, scheme: 'http' },
      originalUrl === undefined
        ? undefined
        : originalAddress({ originalUrl, originalUri: undefined } as Parameters<typeof originalAddress>[0]),
    );

  it('are seen in Host and in the original address', () => {
    assert.equal(asks('open.test', 'closed.test'), true, 'a forwarded host over the Host of another application');
    assert.equal(asks('open.test', 'open.test', 'http://closed.test/admin'), true);
    assert.equal(asks('open.test', 'outpost.internal', 'http://CLOSED.test/admin'), true);
  });

  it('do not include other names of the same one, nor names of none', () => {
    assert.equal(asks('open.test', 'open.test', 'http://open.test/x'), false);
    assert.equal(asks('open.test', 'www.open.test', 'http://www.open.test/x'), false);
    assert.equal(asks('open.test', 'outpost.internal:9000', 'http://alias.test/x'), false);
    assert.equal(asks('open.test', ''), false);
  });
});
