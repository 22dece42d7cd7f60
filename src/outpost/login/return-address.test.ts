import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ProxyOutpostConfig } from '../../contract/api.ts';
import { outpostInstance, providerConfig } from '../data-plane.test-helper.ts';
import { buildSite } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';
import { checkReturnAddress, readReturnAddress } from './return-address.ts';

function siteAt(external_host: string, over: Partial<ProxyOutpostConfig> = {}): Site {
  const around = {
    outpost: outpostInstance(),
    hostBrowser: undefined,
    openUpstream: () => assert.fail(),
    openBackend: () => assert.fail(),
  };
  const { site } = buildSite(providerConfig({ external_host, ...over }), around);
  assert.ok(site);
  return site;
}

describe('reading rd', () => {
  const cases: [string, string | undefined][] = [
    ['', undefined],
    ['rd=', undefined],
    ['x=1', undefined],
    // the seed's nginx text: unescaped $request_uri
    ['rd=/page', '/page'],
    ['rd=/page?a=1&b=2', '/page?a=1&b=2'],
    ['rd=/a%20b?q=%26&c=%2F', '/a%20b?q=%26&c=%2F'],
    ['rd=/api/queues/%2F/x', '/api/queues/%2F/x'],
    ['rd=http://app.test/page?a=1&b=2', 'http://app.test/page?a=1&b=2'],
    ['rd=http://app.test', 'http://app.test'],
    ['rd=http://app.test?x=1&y=2', 'http://app.test?x=1&y=2'],
    // escaped, alone and beside others
    ['rd=%2Fpage%3Fa%3D1%26b%3D2', '/page?a=1&b=2'],
    ['rd=https%3A%2F%2Fapp.test%2Fp%3Fa%3D1&other=2', 'https://app.test/p?a=1'],
    ['other=2&rd=%2Fpage', '/page'],
    // ingress-nginx: authority plain, the rest escaped
    ['rd=https://app.test%2Fpage%3Fa%3D1%26b%3D2', 'https://app.test/page?a=1&b=2'],
    // encoders that leave slashes alone
    ['rd=/page%3Fa%3D1%26b%3D2', '/page?a=1&b=2'],
  ];
  for (const [query, address] of cases) {
    it(query || '(none)', () => assert.equal(readReturnAddress(query), address));
  }

  it('gives back any address a browser can send, unescaped and escaped', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, validSchemes: ['http', 'https'] }), (url) => {
        const href = new URL(url).href;
        assert.equal(readReturnAddress(`rd=${encodeURIComponent(href)}`), href);
        const path = href.slice(new URL(href).origin.length);
        if (/[?&]/.test(path) || !/%(?:3f|26)/i.test(path)) assert.equal(readReturnAddress(`rd=${path}`), path);
      }),
    );
  });
});

describe('checking rd (security rule E)', () => {
  const app = siteAt('https://ext.t.goauthentik.io');
  const accepted: [string, string][] = [
    // spec/outpost.md 25, vector 10
    ['https://ext.t.goauthentik.io/test?foo', 'https://ext.t.goauthentik.io/test?foo'],
    ['/test?foo', 'https://ext.t.goauthentik.io/test?foo'],
    ['https://ext.t.goauthentik.io:443/x', 'https://ext.t.goauthentik.io/x'],
    ['HTTPS://EXT.t.goauthentik.io/x', 'https://ext.t.goauthentik.io/x'],
    ['/a/%2F/b', 'https://ext.t.goauthentik.io/a/%2F/b'],
    ['/', 'https://ext.t.goauthentik.io/'],
    ['/outpost.goauthentik.io-evil/x', 'https://ext.t.goauthentik.io/outpost.goauthentik.io-evil/x'],
  ];
  for (const [rd, href] of accepted) it(`takes ${rd}`, () => assert.equal(checkReturnAddress(app, rd), href));

  const refused = [
    'https://google.com', '//evil.test', '///evil.test', '/\\evil.test', '\\\\evil.test', 'https:\\\\evil.test',
    '/\t/evil.test', 'ht\ntps://evil.test', '/\u0000x', '/x\r\nSet-Cookie: a=b', 'https://ext.t.goauthentik.io@evil.test/',
    'https://user@ext.t.goauthentik.io/', 'https://ext.t.goauthentik.io.evil.test/', 'https://evilext.t.goauthentik.io/',
    'http://ext.t.goauthentik.io/', 'https://ext.t.goauthentik.io:8443/', 'javascript:alert(1)',
    'javascript://ext.t.goauthentik.io/%0aalert(1)', 'data:text/html,x', 'https://[::1', 'evil.test', 'https:/evil.test',
    '/outpost.goauthentik.io/sign_out', '/outpost.goauthentik.io/callback?code=1', '/akprox/start', '/x/../akprox/sign_out',
    '/page?X-authentik-logout=true', '/page?a=1&X-authentik-auth-callback=true', `/${'x'.repeat(70_000)}`, '',
  ]; // prettier-ignore
  for (const rd of refused)
    it(`refuses ${JSON.stringify(rd.slice(0, 60))}`, () => assert.equal(checkReturnAddress(app, rd), undefined));

  it('knows a site below a path', () => {
    const sub = siteAt('https://a.test/sub/');
    assert.equal(checkReturnAddress(sub, '/sub/x'), 'https://a.test/sub/x');
    assert.equal(checkReturnAddress(sub, '/sub/outpost.goauthentik.io/sign_out'), undefined);
  });

  it('never leads anywhere but to the origin', () => {
    const piece = fc.constantFrom(
      '/',
      '\\',
      '//',
      '@',
      ':',
      'evil.test',
      'ext.t.goauthentik.io',
      'https:',
      'http://',
      '?',
      '#',
      '%2f',
      '\t',
      ' ',
      '.',
      'javascript:',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const href = checkReturnAddress(app, pieces.join(''));
        if (href !== undefined) assert.equal(new URL(href).origin, 'https://ext.t.goauthentik.io');
      }),
      { numRuns: 3000 },
    );
  });
});

describe('checking rd at domain level (security rule E)', () => {
  const domain = { mode: 'forward_domain', cookie_domain: '.example.test' } as const;
  const site = siteAt('https://auth.example.test:8443', domain);
  const accepted: [string, string, string?][] = [
    ['https://wiki.example.test/page?a=1&b=2', 'https://wiki.example.test/page?a=1&b=2'],
    ['https://wiki.example.test:8443/', 'https://wiki.example.test:8443/'],
    ['https://WIKI.Example.test:443/x', 'https://wiki.example.test/x'],
    ['https://a.b.example.test/', 'https://a.b.example.test/'],
    ['https://example.test/', 'https://example.test/'],
    ['https://auth.example.test:8443/x', 'https://auth.example.test:8443/x'],
    ['/page', 'https://auth.example.test:8443/page'],
    ['/page', 'https://wiki.example.test/page', 'wiki.example.test'],
    ['/page', 'https://wiki.example.test:8443/page', 'wiki.example.test:8443'],
    ['/page', 'https://auth.example.test:8443/page', 'evil.test'],
    ['/page', 'https://auth.example.test:8443/page', 'x@evil.test'],
    ['/page', 'https://auth.example.test:8443/page', 'evilexample.test'],
  ];
  for (const [address, expected, here] of accepted) {
    it(`${address}${here === undefined ? '' : ` at ${here}`}`, () =>
      assert.equal(checkReturnAddress(site, address, here), expected));
  }
  const refused: [string, string?][] = [
    ['https://evilexample.test/'],
    ['https://evil-example.test/'],
    ['https://example.test.evil.test/'],
    ['https://wiki.example.test@evil.test/'],
    ['https://x@wiki.example.test/'],
    ['http://wiki.example.test/'],
    ['https://wiki.example.test:9/'],
    ['//wiki.example.test/'],
    ['javascript://wiki.example.test/%0aalert(1)'],
    ['https://wiki.example.test\\@evil.test/'],
    ['https://wiki.example.test/outpost.goauthentik.io/sign_out'],
    ['https://wiki.example.test/akprox/callback?code=1'],
    ['https://wiki.example.test/?X-authentik-logout=true'],
    ['https://test/'],
    ['/page', 'wiki.example.test:9'],
  ];
  for (const [address, here] of refused) {
    it(`refuses ${address}${here === undefined ? '' : ` at ${here}`}`, () =>
      assert.equal(checkReturnAddress(site, address, here), undefined));
  }

  it('takes https below a domain on http, never the other way', () => {
    const plain = siteAt('http://auth.example.test', domain);
    assert.equal(checkReturnAddress(plain, 'https://wiki.example.test/'), 'https://wiki.example.test/');
    assert.equal(checkReturnAddress(plain, 'http://wiki.example.test/'), 'http://wiki.example.test/');
  });

  it('is the external host alone where there is no domain, and for applications of their own', () => {
    for (const over of [
      { ...domain, cookie_domain: '' },
      { ...domain, mode: 'forward_single' },
    ] as const) {
      assert.equal(
        checkReturnAddress(siteAt('https://auth.example.test', over), 'https://wiki.example.test/'),
        undefined,
      );
    }
  });

  it('never leaves the domain, whatever is asked for', () => {
    const piece = fc.constantFrom(
      'https:',
      '//',
      '/',
      '\\',
      '@',
      'evil.test',
      'wiki.example.test',
      '.',
      ':8443',
      '?',
      '#',
      '%2f',
      'x',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const found = checkReturnAddress(site, pieces.join(''), 'wiki.example.test');
        if (found === undefined) return;
        const url = new URL(found);
        assert.ok(url.hostname === 'example.test' || url.hostname.endsWith('.example.test'), found);
        assert.equal(url.protocol, 'https:');
      }),
    );
  });
});
