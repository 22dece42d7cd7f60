import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { normalise, upgradeOverHttp10 } from './normalise.ts';
import { Peers } from './peers.ts';

const PUBLISHED = ['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fe80::/10', '::1/128'];

function ask(
  over: { url?: string; method?: string; raw?: string[]; peer?: string; version?: string },
  peers = new Peers(PUBLISHED),
) {
  const { url = '/', method = 'GET', raw = ['Host', 'app.test'], peer = '127.0.0.1', version = '1.1' } = over;
  const req = { url, method, rawHeaders: raw, httpVersion: version, socket: { remoteAddress: peer } };
  return normalise(req as unknown as IncomingMessage, peers);
}

describe('trusted peers', () => {
  const cases: [string, string[], string[] | undefined, boolean][] = [
    ['127.0.0.1', PUBLISHED, undefined, true],
    ['::1', PUBLISHED, undefined, true],
    ['::ffff:10.1.2.3', PUBLISHED, undefined, true],
    ['::ffff:192.0.2.1', PUBLISHED, undefined, false],
    ['172.32.0.1', PUBLISHED, undefined, false],
    ['fe80::1%eth0', PUBLISHED, undefined, true],
    ['2001:db8::1', PUBLISHED, undefined, false],
    ['127.0.0.1', [], undefined, false],
    ['10.0.0.5', PUBLISHED, ['10.0.0.4/32'], false],
    ['10.0.0.4', PUBLISHED, ['10.0.0.4'], true],
    ['192.0.2.1', PUBLISHED, ['192.0.2.1'], false],
    ['10.0.0.4', ['::ffff:10.0.0.0/104'], undefined, true],
    ['', PUBLISHED, undefined, false],
    ['garbage', PUBLISHED, undefined, false],
  ];
  for (const [peer, cidrs, strict, trusted] of cases) {
    it(`${peer || '(gone)'} in ${cidrs.length} networks${strict ? ', strict' : ''}: ${trusted}`, () => {
      assert.equal(new Peers(cidrs, strict).peer(peer).trusted, trusted);
    });
  }

  it('write an IPv4-mapped address as IPv4', () =>
    assert.equal(new Peers([]).peer('::ffff:192.0.2.1').address, '192.0.2.1'));
});

describe('client behind trusted hops', () => {
  const peers = new Peers(PUBLISHED);
  const cases: [string, string | undefined][] = [
    ['192.0.2.7', '192.0.2.7'],
    ['198.51.100.1, 192.0.2.7', '192.0.2.7'],
    ['192.0.2.7, 10.0.0.1, 172.16.0.9', '192.0.2.7'],
    ['10.0.0.9, 10.0.0.1', '10.0.0.9'],
    ['garbage, 192.0.2.7', '192.0.2.7'],
    ['192.0.2.7:4711', '192.0.2.7'],
    ['[2001:db8::1]:443, 10.0.0.1', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['unknown, 10.0.0.3', '10.0.0.3'],
    ['_hidden', '10.0.0.1'],
    ['', '10.0.0.1'],
    [', ,', '10.0.0.1'],
    ['garbage', undefined],
    ['garbage, 10.0.0.3', undefined],
    ['127.1', undefined],
    ['0177.0.0.1', undefined],
    ['999.0.0.1', undefined],
    ['10.0.0.1\u0000', undefined],
    [Array.from({ length: 70 }, () => '10.0.0.1').join(), undefined],
  ];
  for (const [header, client] of cases) {
    it(`${JSON.stringify(header.slice(0, 40))} -> ${client ?? 'refused'}`, () => {
      assert.equal(peers.client('10.0.0.1', header), client);
      assert.equal(peers.client('10.0.0.1', header), client, 'the same from the cache');
    });
  }

  it('is never an address left of an untrusted one', () => {
    const hop = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('10.0.0.1', '127.0.0.1', 'garbage', 'unknown'));
    fc.assert(
      fc.property(fc.array(hop, { maxLength: 6 }), (hops) => {
        const forged = peers.client('10.0.0.1', [...hops, '192.0.2.9'].join(', '));
        assert.equal(forged, '192.0.2.9');
      }),
    );
  });
});

describe('normalise', () => {
  it('takes forwarded headers from trusted peers only', () => {
    const raw = [
      'Host', 'outpost:9000', 'X-Forwarded-Host', 'App.Test, inner', 'X-Forwarded-Proto', 'https',
      'X-Forwarded-For', '192.0.2.7', 'X-Original-URL', 'http://app.test/x', 'X-Original-URI', '/x',
    ]; // prettier-ignore
    const near = ask({ raw });
    assert.deepEqual(
      [near.host, near.scheme, near.clientAddress, near.trusted],
      ['app.test', 'https', '192.0.2.7', true],
    );
    assert.equal(near.headers.originalUrl, 'http://app.test/x');
    const far = ask({ raw, peer: '203.0.113.9' });
    assert.deepEqual(
      [far.host, far.scheme, far.clientAddress, far.trusted],
      ['outpost:9000', 'http', '203.0.113.9', false],
    );
    assert.deepEqual([far.headers.originalUrl, far.headers.originalUri], [undefined, undefined]);
    assert.equal(far.problem, undefined);
  });

  it('does not take other spellings for the headers it trusts', () => {
    const { host, headers } = ask({
      raw: ['Host', 'a.test', 'X_Forwarded_Host', 'b.test', 'X.Original.URL', 'http://b/', 'Forwarded', 'host=b.test'],
    });
    assert.equal(host, 'a.test');
    assert.equal(headers.originalUrl, undefined);
  });

  for (const name of [
    'Host',
    'Authorization',
    'X-Original-URL',
    'X-Original-URI',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
  ]) {
    it(`refuses ${name} given twice`, () => {
      const raw = [...(name === 'Host' ? [] : ['Host', 'app.test']), name, 'a', name.toLowerCase(), 'b'];
      assert.equal(ask({ raw }).problem?.code, 'duplicate-header');
    });
  }

  it('ignores what an untrusted peer says twice', () => {
    const raw = ['Host', 'app.test', 'X-Forwarded-Host', 'a', 'X-Forwarded-Host', 'b'];
    assert.equal(ask({ raw, peer: '203.0.113.9' }).problem, undefined);
  });

  it('joins what is a list: X-Forwarded-For and Cookie', () => {
    const raw = [
      'Host',
      'a.test',
      'X-Forwarded-For',
      '192.0.2.1',
      'X-Forwarded-For',
      '192.0.2.2',
      'Cookie',
      'a=1',
      'cookie',
      'b=2',
    ];
    const request = ask({ raw });
    assert.equal(request.clientAddress, '192.0.2.2');
    assert.equal(request.headers.cookie, 'a=1; b=2');
  });

  it('refuses an unparsable X-Forwarded-For and hosts that are none', () => {
    assert.equal(ask({ raw: ['Host', 'a.test', 'X-Forwarded-For', 'x y z'] }).problem?.code, 'invalid-forwarded-for');
    for (const host of ['a b', 'a/b', 'a@b', '[::1', 'a:b', 'a..b:99999999', '-', 'a,b', 'é.test', '%41']) {
      assert.equal(ask({ raw: ['Host', host] }).problem?.code, 'invalid-host', host);
    }
  });

  it('reads absolute form for its own host, refuses it for another, and CONNECT', () => {
    assert.equal(ask({ url: 'http://app.test/x?y' }).rawTarget, '/x?y');
    assert.equal(ask({ url: 'http://APP.test' }).rawTarget, '/');
    for (const url of ['http://evil.test/x', 'https://app.test@evil.test/', 'app.test:443', '*', 'ftp://app.test/']) {
      assert.equal(ask({ url }).problem?.code, 'not-for-this-server', url);
    }
    assert.equal(ask({ url: '*', method: 'OPTIONS' }).problem, undefined);
    assert.equal(ask({ method: 'CONNECT', url: '/x' }).problem?.code, 'not-for-this-server');
  });

  it('are taken in HTTP/1.0 and 1.1 only', () => {
    for (const version of ['1.0', '1.1']) assert.equal(ask({ version }).problem, undefined);
    for (const version of ['0.9', '2.0', '9.9']) assert.equal(ask({ version }).problem?.code, 'http-version');
  });

  it('splits target and query byte for byte', () => {
    const request = ask({ url: '/a%2Fb/../c?x=%41&y=?' });
    assert.deepEqual([request.rawPath, request.query], ['/a%2Fb/../c', 'x=%41&y=?']);
    for (const url of ['/a b', '/a#b', '/a\u0000', '/a\u007f'])
      assert.equal(ask({ url }).problem?.code, 'invalid-target');
  });

  it('serves HTTP/1.0, but no WebSocket over it', () => {
    assert.equal(upgradeOverHttp10(ask({ version: '1.0' })), undefined);
    assert.equal(upgradeOverHttp10(ask({ version: '1.1', url: '/ws/x' })), undefined);
    assert.match(upgradeOverHttp10(ask({ version: '1.0', url: '/ws/x' }))?.message ?? '', /proxy_http_version 1\.1/);
    assert.ok(upgradeOverHttp10(ask({ version: '1.0', raw: ['Host', 'a', 'Upgrade', 'websocket'] })));
  });

  it('is total', () => {
    const pair = fc.tuple(
      fc.constantFrom('Host', 'Cookie', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Original-URL', 'Accept', 'Odd'),
      fc.string(),
    );
    fc.assert(fc.property(fc.array(pair), fc.string(), (pairs, url) => void ask({ raw: pairs.flat(), url })));
  });
});
