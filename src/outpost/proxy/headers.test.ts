import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IDENTITY_HEADERS } from '../../contract/headers.ts';
import { apart } from './joined-headers.test-helper.ts';
import { requestHeaders as headersOf, withoutOwnCookies } from './request-headers.ts';
import { responseHeaders, responseTrailers, rewriteAddress, rewriteCookieDomain } from './response-headers.ts';
import type { RequestIngredients } from './request-headers.ts';
import { NO_IDENTITY, prepareHeaders } from './target.ts';
import type { Upstream } from './target.ts';

const identity = prepareHeaders(IDENTITY_HEADERS.flatMap((name) => [name, `ours ${name}`]));
const base: RequestIngredients = {
  host: 'backend:8080',
  originalHost: 'app.example.test',
  scheme: 'https',
  peer: '10.0.0.9',
  trusted: true,
  identity,
};

/** All that the application gets. */
const requestHeaders = (raw: readonly string[], target: RequestIngredients) => {
  const { joined } = target.identity;
  return [...headersOf(raw, target), ...(joined === undefined ? [] : apart(joined))];
};

const all = (flat: readonly string[], name: string) =>
  flat.filter((_, i) => i % 2 === 1 && flat[i - 1]!.toLowerCase() === name.toLowerCase());

describe('requestHeaders', () => {
  it('keeps ordinary headers, their spelling, order and duplicates', () => {
    const out = requestHeaders(['aCCept', 'text/html', 'X-Two', '1', 'X-Two', '2', 'My_Header', 'x'], base);
    assert.deepEqual(out.slice(2, 10), ['aCCept', 'text/html', 'X-Two', '1', 'X-Two', '2', 'My_Header', 'x']);
    assert.deepEqual(all(out, 'user-agent'), []);
  });

  it('sends the given Host once, whatever the client sent', () => {
    const out = requestHeaders(['Host', 'app.example.test', 'hOst', 'evil.test'], base);
    assert.deepEqual(all(out, 'host'), ['backend:8080']);
  });

  const forged = [
    'X-Authentik-Username',
    'X_Authentik_Username',
    'x.authentik.username',
    'X-AUTHENTIK-Made-Up',
    'x-gatehouse-link',
    'X_Gatehouse_Peer',
    'X-Auth-Username',
    'X_Auth_Groups',
    'X-Forwarded-Email',
    'X.Forwarded.User',
  ];
  for (const name of forged) {
    it(`removes ${name} from a client, signed in or not`, () => {
      for (const who of [identity, NO_IDENTITY]) {
        const out = requestHeaders([name, 'admin', name.toLowerCase(), 'root'], { ...base, identity: who });
        assert.ok(!out.includes('admin') && !out.includes('root'));
      }
    });
  }

  it('removes what the identity carries in any spelling, and what the operator manages', () => {
    const own = prepareHeaders(['Authorization', 'Basic b3Vycw==', 'X-Team', 'blue']);
    const raw = ['authorization', 'Basic theirs', 'x_team', 'red', 'Remote-User', 'admin', 'remote.user', 'admin'];
    const out = requestHeaders(raw, { ...base, identity: own, managed: new Set(['remote-user']) });
    assert.deepEqual(all(out, 'authorization'), ['Basic b3Vycw==']);
    assert.ok(!out.includes('red') && !out.includes('admin'));
  });

  it('leaves Authorization to the application', () => {
    assert.deepEqual(all(requestHeaders(['Authorization', 'x'], base), 'authorization'), ['x']);
  });

  it('lets Connection name neither our headers, nor forwarded ones, nor framing', () => {
    const names = `close, X-Authentik-Username, X-Forwarded-For, Content-Length, Host, X-Mine`;
    const raw = ['Connection', names, 'Content-Length', '3', 'X-Mine', 'y', 'X-Forwarded-For', '192.0.2.1'];
    const out = requestHeaders(raw, base);
    assert.deepEqual(all(out, 'x-authentik-username'), ['ours X-Authentik-Username']);
    assert.deepEqual(all(out, 'x-forwarded-for'), ['192.0.2.1, 10.0.0.9']);
    assert.deepEqual(all(out, 'content-length'), ['3']);
    assert.deepEqual(all(out, 'x-mine'), []);
    assert.deepEqual(all(out, 'connection'), []);
  });

  it('removes hop-by-hop headers and keeps TE only as trailers', () => {
    const raw = ['Keep-Alive', '1', 'Proxy-Authorization', 'x', 'Transfer-Encoding', 'chunked', 'Trailer', 'A'];
    const out = requestHeaders(
      [...raw, 'Upgrade', 'h2c', 'HTTP2-Settings', 'x', 'Expect', '100-continue', 'TE', 'gzip, trailers'],
      base,
    );
    for (const name of [
      'keep-alive',
      'proxy-authorization',
      'transfer-encoding',
      'trailer',
      'upgrade',
      'http2-settings',
      'expect',
    ]) {
      assert.deepEqual(all(out, name), [], name);
    }
    assert.deepEqual(all(out, 'te'), ['trailers']);
    assert.deepEqual(all(requestHeaders(['TE', 'gzip'], base), 'te'), []);
  });

  it('appends a trusted chain and replaces an untrusted one', () => {
    const raw = [
      'X-Forwarded-For',
      '192.0.2.1',
      'X-Forwarded-For',
      '10.0.0.1',
      'X-Real-IP',
      '192.0.2.1',
      'Forwarded',
      'for=x',
    ];
    const trusted = requestHeaders(raw, base);
    assert.deepEqual(all(trusted, 'x-forwarded-for'), ['192.0.2.1, 10.0.0.1, 10.0.0.9']);
    assert.deepEqual(all(trusted, 'x-real-ip'), ['192.0.2.1']);
    const untrusted = requestHeaders(raw, { ...base, trusted: false });
    assert.deepEqual(all(untrusted, 'x-forwarded-for'), ['10.0.0.9']);
    assert.deepEqual(all(untrusted, 'x-real-ip'), []);
    assert.deepEqual(all(untrusted, 'forwarded'), []);
  });

  it('replaces forwarded host and scheme, and removes odd spellings and path overrides even from trusted peers', () => {
    const raw = [
      'X-Forwarded-Host',
      'evil.test',
      'X-Forwarded-Proto',
      'http',
      'X_Forwarded_For',
      '1.2.3.4',
      'X.Real.IP',
      '1.2.3.4',
    ];
    const out = requestHeaders([...raw, 'X-Original-URL', '/admin', 'X-Rewrite-Url', '/admin'], base);
    assert.deepEqual(all(out, 'x-forwarded-host'), ['app.example.test']);
    assert.deepEqual(all(out, 'x-forwarded-proto'), ['https']);
    assert.ok(!out.includes('1.2.3.4') && !out.includes('/admin') && !out.includes('evil.test'));
  });

  it('never lets the application see our cookies', () => {
    const out = requestHeaders(
      ['Cookie', 'a=1; authentik_proxy_0123abcd=s; b=2', 'Cookie', 'authentik_session=s; authentik_csrf=c'],
      base,
    );
    assert.deepEqual(all(out, 'cookie'), ['a=1; b=2']);
  });

  const cookies: [string, string][] = [
    ['a=1', 'a=1'],
    ['a=1;b=2', 'a=1;b=2'],
    ['authentik_proxy_x=1', ''],
    ['authentik_proxy_x_1=1;authentik_proxy_x=2', ''],
    ['  authentik_proxy_x=1; a="b;  AUTHENTIK_PROXY_y=3', 'a="b'],
    ['not_authentik_proxy=1', 'not_authentik_proxy=1'],
    ['a=authentik_proxy_x', 'a=authentik_proxy_x'],
    ['authentik_proxy_bare', ''],
  ];
  for (const [given, kept] of cookies) {
    it(`filters cookies: ${given}`, () => assert.equal(withoutOwnCookies(given), kept));
  }
});

function upstream(authority: string, basePath = ''): Upstream {
  return { origin: `http://${authority}`, authority, basePath } as Upstream;
}

describe('responseHeaders', () => {
  const own = { upstream: upstream('backend:8080'), host: 'backend:8080', rewriteTo: 'https://app.example.test' };

  it('removes hop-by-hop headers and keeps duplicates', () => {
    const raw = [
      'Connection',
      'close, X-Gone',
      'X-Gone',
      '1',
      'Keep-Alive',
      'x',
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
    ];
    assert.deepEqual(responseHeaders(raw, own), [
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'X-Powered-By',
      'goauthentik.io',
    ]);
  });

  it('lets no application set our cookies or speak in our header space', () => {
    const raw = [
      'Set-Cookie',
      'authentik_proxy_0123abcd=x; Path=/',
      'set-cookie',
      ' Authentik_Session=x',
      'X-Authentik-Jwt',
      't',
      'X_Authentik_Uid',
      'u',
    ];
    assert.deepEqual(responseHeaders(raw, own), ['X-Powered-By', 'goauthentik.io']);
  });

  it('adds our cookies after that', () => {
    const out = responseHeaders([], { ...own, setCookies: ['authentik_proxy_x=1'] });
    assert.deepEqual(all(out, 'set-cookie'), ['authentik_proxy_x=1']);
  });

  it('rewrites nothing when the application sees the original Host', () => {
    const raw = ['Location', 'http://backend:8080/x', 'Set-Cookie', 'a=1; Domain=backend'];
    const out = responseHeaders(raw, { upstream: own.upstream, host: 'app.example.test' });
    assert.deepEqual(out.slice(0, 4), raw);
  });

  it('drops trailers that would act after the fact', () => {
    assert.deepEqual(
      responseTrailers(['Digest', 'x', 'Set-Cookie', 'a=1', 'X-Authentik-Uid', 'u', 'Content-Length', '1']),
      [['Digest', 'x']],
    );
  });

  const to = 'https://app.example.test';
  const addresses: [string, Upstream, string, string][] = [
    ['http://backend:8080/login?x=1#y', upstream('backend:8080'), 'backend:8080', `${to}/login?x=1#y`],
    ['HTTP://BACKEND:8080/Login', upstream('backend:8080'), 'backend:8080', `${to}/Login`],
    ['http://backend:8080', upstream('backend:8080'), 'backend:8080', to],
    ['//backend:8080/x', upstream('backend:8080'), 'backend:8080', `${to}/x`],
    ['http://backend/x', upstream('backend:8080'), 'backend:8080', `${to}/x`],
    ['http://backend:80/x', upstream('backend'), 'backend', `${to}/x`],
    ['https://backend:443/x', upstream('backend'), 'backend', `${to}/x`],
    ['http://intern.example/x', upstream('backend:8080'), 'intern.example', `${to}/x`],
    ['http://backend:9090/x', upstream('backend:8080'), 'backend:8080', 'http://backend:9090/x'],
    ['http://backend.evil.test/x', upstream('backend'), 'backend', 'http://backend.evil.test/x'],
    ['http://backend@evil.test/x', upstream('backend'), 'backend', 'http://backend@evil.test/x'],
    ['http://other/x?u=http://backend/', upstream('backend'), 'backend', 'http://other/x?u=http://backend/'],
    ['/relative?a=b', upstream('backend'), 'backend', '/relative?a=b'],
    ['relative', upstream('backend'), 'backend', 'relative'],
    ['/base/y', upstream('backend', '/base'), 'backend', '/y'],
    ['/base', upstream('backend', '/base'), 'backend', '/'],
    ['/base//evil.test/', upstream('backend', '/base'), 'backend', `${to}//evil.test/`],
    ['/base/\\evil.test/', upstream('backend', '/base'), 'backend', `${to}/\\evil.test/`],
    ['/basement', upstream('backend', '/base'), 'backend', '/basement'],
    ['http://backend/base?q', upstream('backend', '/base'), 'backend', `${to}/?q`],
  ];
  for (const [value, up, host, expected] of addresses) {
    it(`address ${value} from ${up.authority}${up.basePath}`, () => {
      assert.equal(rewriteAddress(value, up, host, to), expected);
    });
  }

  const domains: [string, string][] = [
    ['a=1; Domain=backend; Path=/', 'a=1; Domain=app.example.test; Path=/'],
    ['a=1;domain=.BACKEND', 'a=1;domain=app.example.test'],
    ['a=1; Domain=other.test', 'a=1; Domain=other.test'],
    ['a=domain=backend', 'a=domain=backend'],
    ['a=1; Path=/', 'a=1; Path=/'],
  ];
  for (const [cookie, expected] of domains) {
    it(`cookie ${cookie}`, () => assert.equal(rewriteCookieDomain(cookie, upstream('backend:8080'), to), expected));
  }
});
