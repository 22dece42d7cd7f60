import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { outpostPath } from './paths.ts';
import { foldHeaderName, headerValue, isManagedHeader, joinList, parseAdditionalHeaders } from './headers.ts';
import { parseDuration } from './durations.ts';
import { readClaims } from './claims.ts';
import { parseFrame } from './messages.ts';
import { readOutpostInstance, readProxyOutpostConfig } from './decode.ts';
import { CodedError } from './errors.ts';

describe('outpostPath', () => {
  const table: [string, ReturnType<typeof outpostPath>][] = [
    ['/outpost.goauthentik.io', { generation: 'outpost', rest: '' }],
    ['/outpost.goauthentik.io/start', { generation: 'outpost', rest: '/start' }],
    ['/akprox/auth', { generation: 'akprox', rest: '/auth' }],
    ['/outpost.goauthentik.io-evil/x', undefined],
    ['/akproxy', undefined],
    ['/', undefined],
  ];
  for (const [path, expected] of table) it(path, () => assert.deepEqual(outpostPath(path), expected));
});

describe('header equivalence class', () => {
  for (const name of [
    'X-authentik-username',
    'X_Authentik_Username',
    'x.authentik.jwt',
    'X-AUTHENTIK-anything',
    'x_gatehouse_link',
    'X-Auth_Username',
  ])
    it(`${name} is managed`, () => assert.equal(isManagedHeader(foldHeaderName(name)), true));
  for (const name of ['X-Authentikx', 'Cookie', 'X-Forwarded-For'])
    it(`${name} is not`, () => assert.equal(isManagedHeader(foldHeaderName(name)), false));
  it('knows names an operator added', () => {
    assert.equal(isManagedHeader('remote-user', new Set(['remote-user'])), true);
    assert.equal(isManagedHeader('remote-user'), false);
  });
  it('folds to letters, digits and dashes, whatever comes in', () => {
    fc.assert(
      fc.property(
        fc.string(),
        (name) =>
          /^[a-z0-9-]*$/.test(foldHeaderName(name)) && foldHeaderName(foldHeaderName(name)) === foldHeaderName(name),
      ),
    );
  });
});

describe('additionalHeaders', () => {
  it('turns every scalar into text', () => {
    const { headers, problems } = parseAdditionalHeaders({
      'X-Team': 'red',
      'X-Level': 3,
      'X-On': true,
      'X-None': null,
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(headers, [
      ['X-Team', 'red'],
      ['X-Level', '3'],
      ['X-On', 'true'],
      ['X-None', ''],
    ]);
  });
  for (const [what, value] of [
    ['a routing header', { Host: 'x' }],
    ['a reserved name', { X_Authentik_Username: 'admin' }],
    ['a line break in a value', { 'X-A': 'a\r\nX-B: c' }],
    ['a name that is none', { 'X A': '1' }],
    ['an object as value', { 'X-A': { b: 1 } }],
    ['the same header twice', { 'X-A': '1', x_a: '2' }],
    ['something that is no object', ['X-A']],
  ] as const)
    it(`refuses ${what}`, () => assert.equal(parseAdditionalHeaders(value).problems.length, 1));
  it('never puts a value into a problem sentence', () => {
    assert.ok(!parseAdditionalHeaders({ Host: 's3cret' }).problems.join().includes('s3cret'));
  });
});

describe('header values', () => {
  it('sends UTF-8 bytes', () => assert.equal(Buffer.from(headerValue('Zoë'), 'latin1').toString('utf8'), 'Zoë'));
  it('never contains a line break', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (s) => !/[\r\n\0]/.test(headerValue(s))));
  });
  it('keeps one group one group', () => assert.equal(joinList(['a|admins', 'b']).split('|').length, 2));
  it('lets no name in a list read as another', () => {
    assert.equal(headerValue(joinList(['ad\u0001mins', 'a\r\nb\u007f', 'x,y\tz'])), 'ad%01mins|a%0D%0Ab%7F|x,y\tz');
    assert.equal(headerValue(joinList(['ad\u0000mins', 'x,y', 'a|b'], ',')), 'ad%00mins,x%2Cy,a|b');
    assert.equal(joinList(['Zoë', 'a b', '100%', '%01']), 'Zoë|a b|100%|%01');
    const names = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', '\u0001', '\n', '|', '\u007f') }));
    fc.assert(
      fc.property(names, (list) => new Set(list.map((name) => headerValue(joinList([name])))).size === list.length),
    );
  });
});

describe('durations', () => {
  const table: [string, number | undefined][] = [
    ['hours=1', 3_600_000],
    ['hours=1;minutes=30', 5_400_000],
    ['Days=0.5', 43_200_000],
    ['lightyears=1;seconds=2', 2000],
    ['lightyears=1', undefined],
    ['seconds', undefined],
    ['seconds=', undefined],
    ['seconds=soon', undefined],
    ['', undefined],
  ];
  for (const [text, ms] of table) it(JSON.stringify(text), () => assert.equal(parseDuration(text), ms));
});

describe('claims', () => {
  it('never throws and never invents a type', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (payload) => {
        const c = readClaims(payload);
        assert.ok(Array.isArray(c.groups) && c.groups.every((g) => typeof g === 'string'));
        assert.equal(typeof c.sub, 'string');
      }),
    );
  });
  it('counts a member of the wrong type as absent', () => {
    assert.deepEqual(readClaims({ groups: 'admins', ak_proxy: { is_superuser: 'yes' } }).groups, []);
    assert.equal(readClaims({ ak_proxy: { is_superuser: 'yes' } }).ak_proxy.is_superuser, false);
  });
});

describe('frames', () => {
  it('takes a frame without args', () =>
    assert.deepEqual(parseFrame('{"instruction":1}'), { instruction: 1, args: {} }));
  for (const bad of ['', 'null', '[]', '{"instruction":"1"}', '{"instruction":1.5}', '{"instruction":1,"args":[]}'])
    it(`refuses ${bad || 'nothing'}`, () => assert.equal(parseFrame(bad), undefined));
});

describe('answers of a server', () => {
  const provider = {
    pk: 1,
    name: 'wiki',
    external_host: 'https://wiki.test',
    client_id: 'c',
    client_secret: 's',
    cookie_secret: 'k',
    oidc_configuration: {
      issuer: 'i',
      authorization_endpoint: 'a',
      token_endpoint: 't',
      end_session_endpoint: 'e',
      jwks_uri: 'j',
    },
    access_token_validity: null,
    assigned_application_slug: 'wiki',
    assigned_application_name: 'Wiki',
  };
  it('fills in published defaults', () => {
    const config = readProxyOutpostConfig(provider);
    assert.equal(config.mode, 'proxy');
    assert.equal(config.intercept_header_auth, true);
    assert.equal(config.access_token_validity, null);
    assert.equal(config.gatehouse, undefined);
  });
  it('names every member at fault', () => {
    const broken = { ...provider, external_host: 1, mode: 'other', cookie_secret: undefined };
    assert.throws(
      () => readProxyOutpostConfig(broken),
      (e: unknown) =>
        e instanceof CodedError && /external_host.*cookie_secret/s.test(e.detail ?? '') && /mode/.test(e.detail ?? ''),
    );
  });
  it('reads an outpost whose config lacks members', () => {
    const o = readOutpostInstance({ pk: 'u', name: 'n', config: {} });
    assert.equal(o.config.authentik_host, '');
    assert.equal(o.refresh_interval_s, 300);
  });
});
