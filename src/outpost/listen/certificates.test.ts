import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { SecureContext } from 'node:tls';
import { makeCertificate } from '../../certificates/make.ts';
import { CertificateChoice } from './certificates.ts';
import type { Certificates } from './certificates.ts';

let certificates: Certificates;
before(async () => {
  const made = (commonName: string, ...names: string[]) =>
    makeCertificate({ commonName, names: names.map((value) => ({ type: 'dns', value })), validDays: 1, alg: 'ecdsa' });
  const [exact, wild, many] = await Promise.all([
    made('exact', 'app.example.test'),
    made('wild', '*.example.test', 'Example.test'),
    made('domain', 'login.corp.test'),
  ]);
  certificates = { exact, wild, domain: many, broken: { certificate: exact.certificate, key: wild.key } };
});

interface Wanted {
  pk?: number;
  certificate: string | null;
  host: string;
  domain?: string;
}

function choice(providers: Wanted[]) {
  const built = new CertificateChoice(
    providers.map(({ pk = 1, certificate, host, domain }) => ({
      pk,
      name: `p${pk}`,
      certificate,
      external_host: host,
      mode: domain === undefined ? 'proxy' : 'forward_domain',
      cookie_domain: domain ?? '',
    })),
    certificates,
  );
  const seen = new Map<SecureContext, number>();
  /** the same number = the same certificate */
  const find = (name: string) => {
    const context = built.find(name);
    if (context === undefined) return undefined;
    if (!seen.has(context)) seen.set(context, seen.size);
    return seen.get(context);
  };
  return { find, built };
}

describe('CertificateChoice', () => {
  it('takes the certificate of the provider whose host it is, with or without a port, in any spelling', () => {
    const { find } = choice([{ certificate: 'exact', host: 'https://Wiki.other.test:9443/base' }]);
    assert.equal(find('wiki.other.test'), 0);
    assert.equal(find('WIKI.other.test.'), 0);
    assert.equal(find('other.test'), undefined);
  });

  it('takes a certificate made out for the name before one for a wildcard', () => {
    const { find } = choice([
      { pk: 1, certificate: 'wild', host: 'https://a.test' },
      { pk: 2, certificate: 'exact', host: 'https://b.test' },
    ]);
    const [wild, exact] = [find('a.test'), find('b.test')];
    assert.equal(find('app.example.test'), exact);
    assert.equal(find('other.example.test'), wild);
    assert.equal(find('example.test'), wild);
  });

  it('lets a wildcard stand for one label only, and for nothing that ends alike', () => {
    const { find } = choice([{ certificate: 'wild', host: 'https://a.test' }]);
    for (const name of ['a.b.example.test', 'evilexample.test', '.example.test.evil.test', 'test', '', '.', '..']) {
      assert.equal(find(name), undefined, name);
    }
  });

  it('takes the certificate of a domain-level provider below its domain, the longest domain first', () => {
    const { find } = choice([
      { pk: 1, certificate: 'domain', host: 'https://login.corp.test', domain: '.Corp.test' },
      { pk: 2, certificate: 'exact', host: 'https://login.eu.corp.test', domain: 'eu.corp.test' },
    ]);
    const [corp, europe] = [find('login.corp.test'), find('login.eu.corp.test')];
    assert.equal(find('wiki.corp.test'), corp);
    assert.equal(find('deep.below.corp.test'), corp);
    assert.equal(find('wiki.eu.corp.test'), europe);
    assert.equal(find('xcorp.test'), undefined);
  });

  it('goes by what was made first where two claim a name', () => {
    const { find } = choice([
      { pk: 7, certificate: 'wild', host: 'https://b.test' },
      { pk: 3, certificate: 'exact', host: 'https://b.test' },
      { pk: 4, certificate: 'exact', host: 'https://c.test' },
    ]);
    assert.equal(find('b.test'), find('c.test'));
  });

  it('does without certificates that are not there, and tells of those that cannot be used', () => {
    const { find, built } = choice([
      { pk: 1, certificate: null, host: 'https://a.test' },
      { pk: 2, certificate: 'gone', host: 'https://b.test' },
      { pk: 3, certificate: 'broken', host: 'https://c.test' },
    ]);
    for (const name of ['a.test', 'b.test', 'c.test']) assert.equal(find(name), undefined);
    assert.deepEqual(built.problems.map(({ provider }) => provider), [3]); // prettier-ignore
  });
});
