import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { preflightAnswer, readPreflight } from './preflight.ts';
import { isAssetPath } from '../rules/public-assets.ts';
import { readPath } from '../rules/canonical-path.ts';

const CORS = ['Origin', 'https://a.test', 'Access-Control-Request-Method', 'PUT'];

describe('readPreflight', () => {
  it('reads what browsers send', () => {
    const headers = [
      'Host',
      'app.test',
      ...CORS,
      'Access-Control-Request-Headers',
      'content-type,x-a',
      'Accept',
      '*/*',
    ];
    assert.deepEqual(readPreflight('OPTIONS', [...headers, 'Content-Length', '0']), {
      ...{ origin: 'https://a.test', method: 'PUT', headers: 'content-type,x-a' },
    });
    assert.ok(readPreflight('OPTIONS', ['origin', 'null', ...CORS.slice(2)]));
    assert.ok(readPreflight('OPTIONS', ['origin', 'moz-extension://8b1e-2', ...CORS.slice(2)]));
  });

  const none: [string, string | undefined, string[]][] = [
    ['another method', 'GET', CORS],
    ['an unknown method', undefined, CORS],
    ['lower case', 'options', CORS],
    ['no origin', 'OPTIONS', CORS.slice(2)],
    ['no method asked for', 'OPTIONS', CORS.slice(0, 2)],
    ['two origins', 'OPTIONS', [...CORS, 'ORIGIN', 'https://b.test']],
    ['two methods', 'OPTIONS', [...CORS, 'access-control-request-method', 'GET']],
    ['an origin with a path', 'OPTIONS', ['Origin', 'https://a.test/x', ...CORS.slice(2)]],
    ['no valid method', 'OPTIONS', [...CORS.slice(0, 3), 'PUT, GET']],
    ['a line break in names', 'OPTIONS', [...CORS, 'Access-Control-Request-Headers', 'a\nb']],
    ['a cookie', 'OPTIONS', [...CORS, 'Cookie', 'a=b']],
    ['credentials', 'OPTIONS', [...CORS, 'authorization', 'Basic x']],
    ['a body', 'OPTIONS', [...CORS, 'Content-Length', '1']],
    ['a body in parts', 'OPTIONS', [...CORS, 'Transfer-Encoding', 'chunked']],
    ['another method in a header', 'OPTIONS', [...CORS, 'X_HTTP_Method_Override', 'DELETE']],
    ['an upgrade', 'OPTIONS', [...CORS, 'Upgrade', 'websocket']],
  ];
  for (const [what, method, headers] of none) {
    it(`takes none with ${what}`, () => assert.equal(readPreflight(method, headers), undefined));
  }

  it('repeats nothing that could end a header', () => {
    const text = fc.string({ unit: 'binary', maxLength: 30 });
    fc.assert(
      fc.property(text, text, text, (origin, asked, headers) => {
        const names = ['Origin', origin, 'Access-Control-Request-Method', asked];
        const preflight = readPreflight('OPTIONS', [...names, 'Access-Control-Request-Headers', headers]);
        if (preflight === undefined) return;
        for (const value of preflightAnswer(preflight)) assert.match(value, /^[\x21-\x7e][\x20-\x7e]*$/);
      }),
    );
  });
});

describe('isAssetPath', () => {
  const yes = [
    ...['/manifest.json', '/manifest.webmanifest', '/site.webmanifest', '/robots.txt', '/favicon.ico'],
    ...['/favicon-32x32.png', '/apple-touch-icon.png', '/apple-touch-icon-180x180-precomposed.png'],
    ...['/android-chrome-512x512.png', '/.well-known/assetlinks.json', '/apple-app-site-association'],
  ];
  const no = [
    ...[
      '/',
      '/x',
      '/users.webmanifest',
      '/a/manifest.json',
      '/admin/favicon.ico',
      '/manifest.json/x',
      '/MANIFEST.JSON',
    ],
    ...['/manifest.json%00', '/manifest%2ejson%2f..', '/manifest.json;/x', '/x/../manifest.json', '/manifest.json/..'],
    ...[
      '/favicon.ico.php',
      '/favicon-1x1.php',
      '/.well-known/openid-configuration',
      '/robots.txt\\x',
      '/%2e/robots.txt',
    ],
  ];
  it('takes names at the root only', () => {
    for (const path of yes) assert.equal(isAssetPath(readPath(path), ''), true, path);
    for (const path of no) assert.equal(isAssetPath(readPath(path), ''), false, path);
    assert.equal(isAssetPath(undefined, ''), false);
  });

  it('knows where the application lives', () => {
    assert.equal(isAssetPath(readPath('/app/manifest.json'), '/app'), true);
    assert.equal(isAssetPath(readPath('/apple/manifest.json'), '/app'), false);
    assert.equal(isAssetPath(readPath('/manifest.json'), '/app'), true);
  });
});
