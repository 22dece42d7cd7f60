import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Site } from './site.ts';
import { explainUnknownHost } from './unknown-host.ts';

const site = (origin: string) => {
  const url = new URL(origin);
  return { external: { hostname: url.hostname, host: url.host, origin: url.origin } } as Site;
};
const SITES = ['https://wiki.company.test', 'https://git.company.test:8443', 'https://photos.test'].map(site);

const explain = (host: string, over: object = {}, sites = SITES) => {
  const request = { host, hostHeader: host, peer: '203.0.113.9', trusted: true, rawHeaders: [], ...over };
  const { near, findings } = explainUnknownHost(request, sites);
  return { near: near?.external.host, said: findings.map((f) => `${f.what} ${f.todo}`).join(' ') };
};

describe('an unknown host', () => {
  it('is told the one application that was meant', () => {
    assert.equal(explain('wikki.company.test').near, 'wiki.company.test');
    assert.equal(explain('www.wiki.company.test').near, 'wiki.company.test');
    assert.equal(explain('git.company.test:9999').near, 'git.company.test:8443');
    assert.equal(explain('wiki.conpany.tst').near, 'wiki.company.test');
    assert.match(explain('wikki.company.test').said, /There is an application at wiki\.company\.test\./);
  });

  it('is told no application that it does not nearly name', () => {
    for (const host of ['company.test', 'x.company.test', 'chat.company.test', 'evil.test', 'a', '', '10.0.0.1']) {
      const { near, said } = explain(host);
      assert.equal(near, undefined, host);
      assert.doesNotMatch(said, /company|photos/, host);
    }
    assert.equal(explain('abc', {}, [site('http://abd')]).near, undefined, 'short names are all alike');
  });

  it('is told when what a proxy said about it was ignored', () => {
    const rawHeaders = ['Host', 'outpost:9000', 'x-forwarded-HOST', 'wiki.company.test'];
    const { said, near } = explain('outpost:9000', { rawHeaders, trusted: false });
    assert.match(
      said,
      /names wiki\.company\.test in X-Forwarded-Host.*ignored.*203\.0\.113\.9.*LISTEN__TRUSTED_PROXY_CIDRS/,
    );
    assert.equal(near, undefined, 'what is ignored is not looked up');
    assert.doesNotMatch(explain('outpost:9000', { rawHeaders }).said, /ignored/);
  });

  it('is told about names that proxies make up', () => {
    for (const host of ['gatehouse', 'outpost:9000', 'auth.default.svc.cluster.local', '10.0.0.7:9000', '[::1]:9000']) {
      assert.match(explain(host).said, /proxy_set_header Host/, host);
    }
    assert.equal(explain('evil.example.com').said, '');
  });

  it('costs little with thousands of applications', () => {
    const many = Array.from({ length: 5000 }, (_, i) => site(`https://application-${i}.company.test`));
    const times = Array.from({ length: 20 }, () => {
      const started = performance.now();
      explain('application-123x.conpany.test', {}, many);
      return performance.now() - started;
    });
    assert.ok(Math.min(...times) < 20, `${Math.min(...times)} ms`);
  });
});
