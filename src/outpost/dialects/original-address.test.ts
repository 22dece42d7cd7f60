import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostTable } from '../../rules/hosts.ts';
import type { Site } from '../sites/site.ts';
import { namesAnotherSite, namesTwoHosts, originalAddress, originOf } from './original-address.ts';

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

describe('hosts of a domain', () => {
  const site = (domain: string | undefined) =>
    ({ external: { hostname: 'auth.example.test' }, cookieScope: { domain } }) as unknown as Site;
  const AUTH = 'auth.example.test';
  const WIKI = 'wiki.example.test';
  /** Host, X-Forwarded-Host (empty = none), X-Original-URL (empty = none) -> origin rules are asked about, or `two hosts` */
  const asks = (hostHeader: string, forwarded: string, originalUrl: string, domain: string | undefined) => {
    const request = { host: forwarded || hostHeader, hostHeader, scheme: 'http' } as const;
    const address = originalAddress({ originalUrl, originalUri: originalUrl === '' ? '/x' : undefined } as Parameters<
      typeof originalAddress
    >[0]);
    return namesTwoHosts(site(domain), request, address) ? 'two hosts' : originOf(site(domain), request, address);
  };

  const table: [string, string, string, string, string | undefined][] = [
    ['one host', WIKI, '', `https://${WIKI}/x`, `https://${WIKI}`],
    ['one host, a port beside it', WIKI, '', `http://${WIKI}:8080/x`, `http://${WIKI}:8080`],
    ['one host, a dot behind it', WIKI, '', `http://${WIKI}./x`, `http://${WIKI}`],
    ['the authentication host itself', AUTH, '', `https://${AUTH}/x`, `https://${AUTH}`],
    ['no address', WIKI, '', '', `http://${WIKI}`],
    ['a service', 'outpost:9000', WIKI, `https://${WIKI}/x`, `https://${WIKI}`],
    ['a service that is told no address', 'outpost:9000', WIKI, '', undefined],
    ['an ingress that calls the authentication host', AUTH, WIKI, `https://${WIKI}/x`, undefined],
    ['the same without a forwarded host', AUTH, '', `https://${WIKI}/x`, undefined],
    ['another host in the address', 'shop.example.test', '', `http://${WIKI}/x`, 'two hosts'],
    ['another forwarded host', 'shop.example.test', WIKI, 'http://shop.example.test/x', 'two hosts'],
    ['another forwarded host, no address', 'shop.example.test', WIKI, '', 'two hosts'],
    ['a service and two hosts', 'outpost', 'shop.example.test', `http://${WIKI}/x`, 'two hosts'],
    ['the authentication host in the address', WIKI, '', `http://${AUTH}/x`, undefined],
    ['the authentication host forwarded', 'outpost', AUTH, `http://${WIKI}/x`, undefined],
    ['an address outside', WIKI, '', 'http://wiki.evil.test/x', undefined],
    ['an address that looks like one below', WIKI, '', 'http://wiki.evilexample.test/x', undefined],
  ];
  for (const [what, hostHeader, forwarded, url, expected] of table) {
    it(what, () => assert.equal(asks(hostHeader, forwarded, url, 'example.test'), expected));
  }

  it('without a domain only the external host counts', () => {
    assert.equal(asks(AUTH, '', `http://${AUTH}/x`, undefined), `http://${AUTH}`);
    assert.equal(asks(AUTH, '', `http://${WIKI}/x`, undefined), undefined);
  });
});
