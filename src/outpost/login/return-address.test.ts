import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { outpostInstance, providerConfig } from '../data-plane.test-helper.ts';
import { buildSite } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';
import { checkReturnAddress, readReturnAddress } from './return-address.ts';

function siteAt(external_host: string): Site {
  const around = { outpost: outpostInstance(), hostBrowser: undefined, openUpstream: () => assert.fail() };
  const { site } = buildSite(providerConfig({ external_host }), around);
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
    '/page?X-authentik-logout=true', '/page?a=1&X-authentik-auth-callback=true', `/${'x'.repeat(9000)}`, '',
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
