import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalOrigin, readAddress } from './address.ts';

describe('addresses', () => {
  it('are taken apart byte for byte', () => {
    assert.deepEqual(readAddress('HTTPS://App.Test:8443/a/../b%2F?x=1?y#z'), {
      scheme: 'https',
      authority: 'app.test:8443',
      rawPath: '/a/../b%2F',
      query: 'x=1?y',
    });
    assert.equal(readAddress('http://app.test')?.rawPath, '/');
    assert.equal(readAddress('http://app.test?x')?.rawPath, '/');
    for (const text of ['', '/a', 'app.test/a', 'ftp://app.test/', 'http://', 'http://a@b/', 'http://[::1', 'http://a\\b/']) {
      assert.equal(readAddress(text), undefined, text);
    } // prettier-ignore
  });

  it('have one way to write an origin', () => {
    assert.equal(canonicalOrigin('https', 'App.Test:443'), 'https://app.test');
    assert.equal(canonicalOrigin('http', 'app.test.:80'), 'http://app.test');
    assert.equal(canonicalOrigin('https', 'app.test.:8443'), 'https://app.test:8443');
    assert.equal(canonicalOrigin('http', '[::1]:443'), 'http://[::1]:443');
  });
});
