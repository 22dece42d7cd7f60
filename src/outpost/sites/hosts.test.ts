import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { outpostInstance, providerConfig } from '../data-plane.test-helper.ts';
import type { ProxyOutpostConfig } from '../../contract/api.ts';
import { buildState } from '../state/state.ts';
import type { OutpostState } from '../state/state.ts';
import { cookieDomain } from '../../rules/cookie-domain.ts';
import { rewriteEndpoints } from './endpoints.ts';

const around = {
  outpost: outpostInstance(),
  hostBrowser: undefined,
  openUpstream: () => ({ origin: 'http://up', authority: 'up', basePath: '', dispatcher: undefined as never }),
  openBackend: () => assert.fail(),
};
const state = (providers: ProxyOutpostConfig[], previous?: OutpostState) => buildState(around, providers, previous);
const site = (pk: number, external_host: string, over: Partial<ProxyOutpostConfig> = {}) =>
  providerConfig({ pk, external_host, ...over });

describe('host -> site', () => {
  const { hosts } = state([
    site(1, 'https://app.example.test'),
    site(2, 'https://app.example.test:8443'),
    site(3, 'http://ported.example.test:8080'),
    site(4, 'http://proxied.example.test:8080', { mode: 'proxy', internal_host: 'http://up' }),
    site(5, 'https://[2001:db8::1]:8443'),
  ]).state;
  const cases: [string, 'http' | 'https', number | undefined][] = [
    ['app.example.test', 'https', 1],
    ['app.example.test', 'http', 1],
    ['app.example.test:443', 'https', 1],
    ['app.example.test:8443', 'https', 2],
    ['app.example.test.', 'https', 1],
    ['app.example.test.:8443', 'https', 2],
    ['app.example.test:9999', 'https', 1],
    ['ported.example.test', 'http', 3],
    ['ported.example.test:80', 'http', 3],
    ['ported.example.test:8080', 'http', 3],
    ['proxied.example.test', 'http', 4],
    ['proxied.example.test:8080', 'http', 4],
    ['proxied.example.test:9000', 'http', undefined],
    ['[2001:db8::1]:8443', 'https', 5],
    ['[2001:db8::1]', 'https', 5],
    ['evilapp.example.test', 'https', undefined],
    ['app.example.test.evil.test', 'https', undefined],
    ['example.test', 'https', undefined],
    ['', 'https', undefined],
    [':443', 'https', undefined],
  ];
  for (const [host, scheme, pk] of cases) {
    it(`${scheme} ${host || '(none)'} -> ${pk ?? 'none'}`, () => assert.equal(hosts.find(host, scheme)?.pk, pk));
  }

  it('decides a clash the same way whatever the order, and says so', () => {
    const [a, b] = [site(7, 'https://x.test'), site(9, 'https://X.test:443/')];
    for (const order of [
      [a, b],
      [b, a],
    ] as ProxyOutpostConfig[][]) {
      const built = state(order);
      assert.equal(built.state.hosts.find('x.test', 'https')?.pk, 7);
      assert.equal(built.problems[0]?.provider, 9);
    }
  });

  it('takes unchanged sites over and makes changed ones anew', () => {
    const first = state([site(1, 'https://a.test'), site(2, 'https://b.test')]).state;
    const second = state([site(1, 'https://a.test'), site(2, 'https://b.test', { name: 'new' })], first).state;
    assert.equal(second.sites.get(1), first.sites.get(1));
    assert.notEqual(second.sites.get(2), first.sites.get(2));
  });

  it('leaves out what cannot be served, and serves the rest', () => {
    const built = state([
      site(1, 'javascript:alert(1)'),
      site(2, 'https://b.test', { cookie_secret: '' }),
      site(3, 'https://c.test'),
    ]);
    assert.deepEqual([...built.state.sites.keys()], [3]);
    assert.equal(built.problems.length, 2);
  });
});

describe('host -> site of a domain', () => {
  const domain = (pk: number, external_host: string, cookie_domain: string) =>
    site(pk, external_host, { mode: 'forward_domain', cookie_domain });
  const providers = [
    domain(1, 'https://auth.example.test', 'example.test'),
    domain(2, 'https://auth.lab.example.test:8443', '.lab.example.test'),
    site(3, 'https://wiki.example.test'),
    site(4, 'https://shop.lab.example.test', { mode: 'proxy', internal_host: 'http://up' }),
    domain(5, 'https://lonely.other.test', ''),
  ];
  const { hosts } = state(providers).state;
  const cases: [string, number | undefined][] = [
    ['auth.example.test', 1],
    ['example.test', 1],
    ['any.example.test', 1],
    ['any.example.test:8443', 1],
    ['any.example.test.', 1],
    ['a.b.c.example.test', 1],
    ['lab.example.test', 2],
    ['a.lab.example.test', 2],
    ['a.b.lab.example.test:81', 2],
    ['auth.lab.example.test', 2],
    ['wiki.example.test', 3],
    ['wiki.example.test:8080', 3],
    ['shop.lab.example.test', 4],
    ['below.wiki.example.test', 1],
    ['lonely.other.test', 5],
    ['evilexample.test', undefined],
    ['evil-example.test', undefined],
    ['example.test.evil.test', undefined],
    ['xlab.example.test', 1],
    ['test', undefined],
    ['other.test', undefined],
    ['a.lonely.other.test', undefined],
    ['.example.test', 1],
    [`${'a.'.repeat(200)}example.test`, undefined],
    ['', undefined],
  ];
  for (const [host, pk] of cases) {
    it(`${host.slice(0, 40) || '(none)'} -> ${pk ?? 'none'}`, () => assert.equal(hosts.find(host, 'https')?.pk, pk));
  }

  it('is the longest domain that is a parent by whole labels, whatever the order', () => {
    const label = fc.constantFrom('a', 'b', 'ab', 'x');
    const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => `${labels.join('.')}.example.test`);
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 6 }), name, fc.boolean(), (domains, host, turned) => {
        const all = domains.map((d, i) => domain(i + 1, `https://${d}`, d));
        const built = state(turned ? all.toReversed() : all).state;
        const [longest] = domains
          .filter((d) => d === host || host.endsWith(`.${d}`))
          .toSorted((x, y) => y.length - x.length);
        assert.equal(
          built.hosts.find(host, 'https')?.pk,
          longest === undefined ? undefined : domains.indexOf(longest) + 1,
        );
      }),
    );
  });

  it('lets an application of its own win over the domain, also on the same host', () => {
    const built = state([domain(1, 'https://x.example.test', 'example.test'), site(2, 'https://x.example.test')]);
    assert.equal(built.state.hosts.find('x.example.test', 'https')?.pk, 2);
    assert.equal(built.state.hosts.find('y.example.test', 'https')?.pk, 1);
    assert.deepEqual(
      built.problems.map((problem) => problem.provider),
      [1],
    );
  });

  it('decides between two of one domain the same way, and says so', () => {
    const two = [
      domain(9, 'https://a.example.test', 'example.test'),
      domain(7, 'https://b.example.test', '.example.test'),
    ];
    for (const order of [two, two.toReversed()]) {
      const built = state(order);
      assert.equal(built.state.hosts.find('c.example.test', 'https')?.pk, 7);
      assert.equal(built.state.hosts.find('a.example.test', 'https')?.pk, 9, 'its own host it keeps');
      assert.match(built.problems.find((problem) => problem.provider === 9)?.text ?? '', /below example\.test/);
    }
  });

  it('says that a domain provider without domain protects one host only', () => {
    const built = state([domain(1, 'https://auth.co.uk', 'co.uk'), domain(2, 'https://auth.other.test', '')]);
    assert.equal(built.state.hosts.find('shop.co.uk', 'https'), undefined);
    assert.deepEqual(new Set(built.problems.map((problem) => problem.provider)), new Set([1, 2]));
  });
});

describe('cookie domain', () => {
  const cases: [string, string, string | undefined][] = [
    ['', 'app.example.test', undefined],
    ['example.test', 'app.example.test', 'example.test'],
    ['.Example.Test', 'app.example.test', 'example.test'],
    ['app.example.test', 'app.example.test', 'app.example.test'],
    ['ample.test', 'app.example.test', undefined],
    ['other.test', 'app.example.test', undefined],
    ['test', 'app.test', undefined],
    ['co.uk', 'app.co.uk', undefined],
    ['localhost', 'app.localhost', undefined],
    ['0.0.1', '127.0.0.1', undefined],
    ['exa mple.test; Secure', 'app.example.test', undefined],
  ];
  for (const [configured, host, domain] of cases) {
    it(`"${configured}" on ${host} -> ${domain ?? 'host only'}`, () => {
      const found = cookieDomain(configured, host);
      assert.equal(found.domain, domain);
      assert.equal(found.problem !== undefined, configured !== '' && domain === undefined);
    });
  }
});

describe('endpoints (spec/outpost.md 9.6)', () => {
  const published = providerConfig().oidc_configuration;
  const embedded = (authentik_host: string) =>
    outpostInstance({ config: { ...outpostInstance().config, authentik_host } });
  const standalone = outpostInstance({ managed: null });

  it('stay as given when nothing says otherwise', () => {
    for (const endpoints of [
      rewriteEndpoints(published, embedded(''), 'https://ignored.test'),
      rewriteEndpoints(published, standalone, undefined),
    ]) {
      assert.equal(endpoints.issuer, 'http://auth.test/application/o/app/');
      assert.equal(endpoints.authorize, 'http://auth.test/application/o/authorize/');
    }
  });

  it('move to authentik_host when embedded', () => {
    const endpoints = rewriteEndpoints(published, embedded('https://id.example.test:8443/'), undefined);
    assert.equal(endpoints.issuer, 'https://id.example.test:8443/application/o/app/');
    assert.equal(endpoints.endSession, 'https://id.example.test:8443/application/o/app/end-session/');
    assert.equal(endpoints.jwks, 'https://id.example.test:8443/application/o/app/jwks/');
    assert.equal(endpoints.jwksInternal, 'http://auth.test/application/o/app/jwks/');
    assert.equal(endpoints.token, 'http://auth.test/application/o/token/');
  });

  it('move to what the server says for the outpost, unless HOST_BROWSER says otherwise', () => {
    const config = { ...outpostInstance().config, authentik_host_browser: 'https://told.example.test/' };
    const told = outpostInstance({ managed: null, config });
    const issuerWith = (hostBrowser: string | undefined) => rewriteEndpoints(published, told, hostBrowser).issuer;
    assert.equal(issuerWith(undefined), 'https://told.example.test/application/o/app/');
    assert.equal(issuerWith('https://id.example.test'), 'https://id.example.test/application/o/app/');
  });

  it('say which address is meant where the outpost calls another', () => {
    const meant = (outpost: typeof standalone, hostBrowser?: string) =>
      rewriteEndpoints(published, outpost, hostBrowser).meant;
    const elsewhere = { host: 'id.example.test:8443', 'x-forwarded-proto': 'https' };
    assert.deepEqual(meant(standalone, 'https://id.example.test:8443/auth/'), elsewhere);
    assert.deepEqual(meant(standalone, 'http://auth.test/'), {});
    assert.deepEqual(meant(standalone), {});
    assert.deepEqual(meant(embedded('https://id.example.test'), 'https://ignored.test'), {});
  });

  it('move to HOST_BROWSER when standalone, except the key set', () => {
    const endpoints = rewriteEndpoints(published, standalone, 'https://id.example.test');
    assert.equal(endpoints.authorize, 'https://id.example.test/application/o/authorize/');
    assert.equal(endpoints.issuer, 'https://id.example.test/application/o/app/');
    assert.equal(endpoints.jwks, 'http://auth.test/application/o/app/jwks/');
  });
});
