import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TARGETS } from './targets.ts';
import { answerHeadersRegex } from './traefik-parts.ts';
import { configValues, forComment, forIdentifier, readAddress, readDomain } from './values.ts';
import type { ProviderAnswer } from './values.ts';

const PROVIDER: ProviderAnswer = {
  name: 'App',
  mode: 'forward_single',
  external_host: 'https://app.company/',
  internal_host: '',
  cookie_domain: '',
};
const WISHES = { outpostUrl: 'http://outpost.company:9000', upstream: undefined, host: undefined };

const HOSTILE_ADDRESSES = [
  ...[
    '";return200;',
    '`id`',
    '${x}',
    "a'b",
    'a;b',
    'a(b)',
    'a*b',
    'a,b',
    'a&b',
    'a!b',
    'a~b',
    'a=b',
    'a{b',
    'a}b',
    'a$b',
  ].map((host) => `http://${host}.test`),
  ...['http://a b.test', 'http://u:p@x.test', 'http://x.test/path', 'http://x.test/?y', 'http://x.test/#z'],
  ...['ftp://x.test', 'javascript:x', 'http://x.test:99999', 'http://', 'x.test', '', 'file:///etc/passwd'],
  ...[
    'http://-x.test',
    'http://x-.test',
    'http://.x.test',
    'http://x..y.test',
    'http://x.test.',
    `http://${'a'.repeat(254)}`,
  ],
];

describe('addresses in configurations', () => {
  it('are scheme, host and port', () => {
    assert.deepEqual(readAddress('HTTPS://App.Company:8443', 'x'), {
      scheme: 'https',
      host: 'app.company',
      port: 8443,
      authority: 'app.company:8443',
      origin: 'https://app.company:8443',
    });
    assert.equal(readAddress('http://app.company:80/', 'x').authority, 'app.company');
    assert.equal(readAddress('https://app.company', 'x').port, 443);
    assert.equal(readAddress('http://[::1]:9000', 'x').host, '[::1]');
    assert.equal(readAddress('http://bücher.test', 'x').host, 'xn--bcher-kva.test');
    assert.equal(readAddress('http://my_service:5000', 'x').host, 'my_service');
  });

  for (const address of HOSTILE_ADDRESSES) {
    it(`are refused when they could mean something else: ${JSON.stringify(address.slice(0, 40))}`, () => {
      assert.throws(() => readAddress(address, 'The address'), {
        code: 'config-address',
        message: /^The address must be/,
      });
    });
  }

  it('hold harmless characters only, whatever was configured', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.webUrl(),
          fc.string({ unit: 'binary' }).map((host) => `http://${host}`),
        ),
        (text) => {
          try {
            const { host, authority, origin, port } = readAddress(text, 'x');
            assert.match(host, /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/);
            assert.match(authority, /^[a-z0-9._:[\]-]+$/);
            assert.match(origin, /^https?:\/\/[a-z0-9._:[\]-]+$/);
            assert.ok(port > 0 && port < 65_536);
          } catch (error) {
            assert.equal((error as { code?: unknown }).code, 'config-address');
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('of cookies are domain names', () => {
    assert.equal(readDomain('.Company.Example'), 'company.example');
    for (const bad of ['', '.', 'a b', 'a;b', '[::1]', 'a"b', 'a..b']) {
      assert.throws(() => readDomain(bad), { code: 'config-address' });
    }
  });
});

describe('headers in configurations', () => {
  const named = (...headers: string[]) => configValues({ ...PROVIDER, headers }, WISHES);

  it('are names and nothing else', () => {
    assert.deepEqual(named('remote-user').headers, ['Remote-User']);
    for (const bad of ['a b', 'a"b', 'a\nb', 'a;b', 'a_b', '', '${x}', 'a{b}']) {
      assert.throws(() => named(bad), { code: 'config-header' }, bad);
    }
  });

  it('are copied, and not removed as well', () => {
    const values = named('X-Forwarded-User', 'Remote-User');
    for (const [target, write] of Object.entries(TARGETS)) {
      const text = write({ ...values, mode: 'forward_single' });
      assert.match(text, /remote-user/i, target);
      assert.doesNotMatch(text, /proxy_set_header X-Forwarded-User ["']{2};/, target);
    }
  });

  it('are replaced in other spellings too, where Traefik asks', () => {
    const regex = new RegExp(answerHeadersRegex(named('Remote-User')).slice('(?i)'.length), 'i');
    for (const name of ['Remote-User', 'remote_user', 'Remote.User', 'X_Authentik_Uid']) assert.match(name, regex);
    for (const name of ['Remote-Users', 'My-Remote-User', 'RemoteUser']) assert.doesNotMatch(name, regex);
  });
});

describe('names in configurations', () => {
  it('keep their letters', () => {
    assert.equal(forComment('Müllers Wiki 2.0_x-y'), 'Müllers Wiki 2.0_x-y');
    assert.equal(forIdentifier('Müllers Wiki 2.0'), 'm-llers-wiki-2-0');
    assert.equal(forIdentifier('日本'), 'provider');
  });

  it('are inert in comments and identifiers, whatever they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        assert.match(forComment(name), /^[\p{L}\p{N} ._?-]{0,160}$/u);
        assert.match(forIdentifier(name), /^[a-z0-9]+(?:-[a-z0-9]+)*$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('values of a configuration', () => {
  it('come from the provider', () => {
    const values = configValues(
      { ...PROVIDER, external_host: 'https://app.company/sub/', internal_host: 'http://10.0.0.5:8080/x' },
      WISHES,
    );
    assert.deepEqual(
      [values.application.origin, values.upstream.origin, values.outpost.origin, values.slug],
      ['https://app.company', 'http://10.0.0.5:8080', 'http://outpost.company:9000', 'app'],
    );
  });

  it('at domain level name an application below the domain, on the port of the login', () => {
    const domain: ProviderAnswer = {
      ...PROVIDER,
      mode: 'forward_domain',
      external_host: 'https://login.company.example:8443',
      cookie_domain: 'company.example',
    };
    assert.equal(configValues(domain, WISHES).application.origin, 'https://app.company.example:8443');
    const named = configValues(domain, { ...WISHES, host: 'wiki.company.example' });
    assert.equal(named.application.origin, 'https://wiki.company.example');
    for (const host of [
      'evilcompany.example',
      'elsewhere.test',
      'company.example.evil.test',
      'a"b.company.example',
      'x/y',
    ]) {
      assert.throws(() => configValues(domain, { ...WISHES, host }), { code: 'config-address' });
    }
  });

  it('that were typed are refused with the name of the flag', () => {
    assert.throws(() => configValues(PROVIDER, { ...WISHES, upstream: 'http://x/path' }), { message: /^--upstream/ });
    assert.throws(() => configValues(PROVIDER, { ...WISHES, outpostUrl: 'outpost:9000' }), {
      message: /^--outpost-url/,
    });
  });
});
