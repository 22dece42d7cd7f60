import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outpostInstance, providerConfig } from '../data-plane.test-helper.ts';
import { buildSite } from '../sites/site.ts';
import { diagnoseCallback, diagnoseLoop } from './diagnosis.ts';

const siteOf = (external_host: string, cookie_domain = '') => {
  const around = {
    outpost: outpostInstance(),
    hostBrowser: undefined,
    openUpstream: () => assert.fail(),
    openBackend: () => assert.fail(),
  };
  const { site } = buildSite(providerConfig({ external_host, cookie_domain }), around);
  assert.ok(site);
  return site;
};
type Asked = Parameters<typeof diagnoseCallback>[1];
const asked = (over: object = {}, headers: object = {}): Asked =>
  ({
    ...{ scheme: 'https', host: 'app.test', trusted: true, peer: '203.0.113.9', rawHeaders: [], ...over },
    headers: { cookie: 'a=b', ...headers },
  }) as unknown as Asked;
const HTTPS = siteOf('https://app.test');
const codes = (found: ReturnType<typeof diagnoseLoop>) => found.map((f) => f.code).join();

describe('a callback without its cookie', () => {
  const callback = (request: Asked, age = 5000, site = HTTPS) => codes(diagnoseCallback(site, request, age));

  it('tells cookies that are off from cookies that got lost', () => {
    assert.equal(callback(asked({}, { cookie: undefined })), 'no-cookies');
    assert.equal(callback(asked()), 'cookies-of-others');
  });

  it('sees http in front of an https host, and whether the proxy was believed', () => {
    assert.equal(callback(asked({ scheme: 'http' })), 'scheme,cookies-of-others');
    assert.equal(callback(asked({ scheme: 'http' }), 5000, siteOf('http://app.test')), 'cookies-of-others');
    const untrusted = { scheme: 'http', trusted: false, rawHeaders: ['X-Forwarded-Proto', 'https'] };
    const [first] = diagnoseCallback(HTTPS, asked(untrusted), 5000);
    assert.match(`${first?.what} ${first?.todo}`, /203\.0\.113\.9.*ignored.*LISTEN__TRUSTED_PROXY_CIDRS/);
  });

  it('sees another host, but none that shares the cookie', () => {
    assert.equal(callback(asked({ host: 'other.test' })), 'host,cookies-of-others');
    assert.equal(callback(asked({}, { originalUrl: 'https://other.test/x' })), 'host,cookies-of-others');
    assert.equal(callback(asked({ host: 'app.test:8443' })), 'cookies-of-others', 'cookies know no port');
    const shared = siteOf('https://app.company.test', 'company.test');
    assert.equal(callback(asked({ host: 'wiki.company.test' }), 5000, shared), 'cookies-of-others');
  });

  it('sees time', () => {
    assert.equal(callback(asked(), 16 * 60_000), 'slow');
    assert.equal(callback(asked(), -120_000), 'clock,cookies-of-others');
  });
});

describe('a login that does not hold', () => {
  it('is explained by why there is no session', () => {
    assert.equal(codes(diagnoseLoop(HTTPS, asked(), 'session-unreadable')), 'key');
    assert.equal(codes(diagnoseLoop(HTTPS, asked(), 'session-expired')), 'clock');
    assert.equal(codes(diagnoseLoop(HTTPS, asked(), 'no-session')), 'large-cookie');
    assert.equal(codes(diagnoseLoop(HTTPS, asked({ scheme: 'http' }), 'no-session')), 'scheme,large-cookie');
  });
});
