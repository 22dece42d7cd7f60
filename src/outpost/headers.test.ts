import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readClaims } from '../contract/claims.ts';
import { canonicalCase, foldHeaderName, IDENTITY_HEADERS, isManagedHeader } from '../contract/headers.ts';
import { providerConfig } from './data-plane.test-helper.ts';
import { anonymousHeaders, headersFromAttributes, identityHeaders } from './headers.ts';
import type { MetaFacts } from './headers.ts';
import type { Session } from './session/session.ts';

const facts: MetaFacts = {
  jwks: 'http://a/jwks/',
  outpost: 'o',
  provider: 'p',
  application: 'app',
  managed: new Set(['x-team']),
  sent: [],
};
const session = (payload: Record<string, unknown>, extra: Session['extra'] = []): Session => ({
  provider: 1, token: 'a.b.c', claims: readClaims(payload), extra, cursor: { epoch: '', n: 0 }, issuedAt: 0, expiresAt: 1,
}); // prettier-ignore
const record = (flat: string[]) => Object.fromEntries(flat.flatMap((name, i) => (i % 2 ? [] : [[name, flat[i + 1]]])));

describe('identity headers', () => {
  it('join lists with a pipe (spec/outpost.md 25, vector 19)', () => {
    const headers = record(
      identityHeaders(facts, 'outpost', session({ sub: 'foo', groups: ['foo', 'bar'], entitlements: ['bar', 'quox'] })),
    );
    assert.equal(headers['X-Authentik-Groups'], 'foo|bar');
    assert.equal(headers['X-Authentik-Entitlements'], 'bar|quox');
    assert.equal(headers['X-Authentik-Uid'], 'foo');
    assert.equal(headers['X-Authentik-Username'], '');
  });

  it('are all there, empty, for nobody', () => {
    const flat = anonymousHeaders(facts, 'akprox');
    const headers = record(flat);
    assert.ok(IDENTITY_HEADERS.every((name) => headers[name] === ''));
    assert.deepEqual([headers['X-Auth-Username'], headers['X-Team']], ['', '']);
    assert.ok(flat.every((part, i) => i % 2 === 0 || part === ''));
  });

  it('name every managed header exactly once, whatever the entries', () => {
    const entries: Session['extra'] = [
      ['x-TEAM', 'red'],
      ['X-Forwarded-User', 'mine'],
    ];
    for (const generation of ['outpost', 'akprox'] as const) {
      const folded = identityHeaders(facts, generation, session({ sub: 'u' }, entries))
        .filter((_, i) => i % 2 === 0)
        .map(foldHeaderName);
      assert.equal(new Set(folded).size, folded.length);
      assert.ok(folded.includes('x-team'));
    }
    const headers = record(identityHeaders(facts, 'akprox', session({ sub: 'u' }, entries)));
    assert.equal(headers['X-Team'], 'red');
    assert.equal(headers['X-Forwarded-User'], 'mine');
  });

  it('hold nothing Node refuses or that breaks the header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const flat = identityHeaders(
          facts,
          'akprox',
          session({ sub: 'u', name, groups: [name], preferred_username: name }),
        );
        for (const part of flat) assert.match(part, /^[\t\u0020-\u007e\u0080-\u00ff]*$/);
      }),
    );
  });

  it('are written in canonical casing', () => {
    assert.equal(canonicalCase('x-authentik-uid'), 'X-Authentik-Uid');
    assert.equal(canonicalCase('foo'), 'Foo');
    for (const name of IDENTITY_HEADERS) assert.equal(canonicalCase(name), name);
  });

  it('fold to their class in every spelling', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...IDENTITY_HEADERS),
        fc.constantFrom('_', '.', '-', ' ', '+'),
        fc.boolean(),
        (name, between, upper) => {
          const spelt = name.replaceAll('-', between);
          assert.ok(isManagedHeader(foldHeaderName(upper ? spelt.toUpperCase() : spelt)));
        },
      ),
    );
  });
});

describe('headers from attributes (servers that are not ours)', () => {
  const provider = providerConfig({
    basic_auth_enabled: true, basic_auth_user_attribute: 'username', basic_auth_password_attribute: 'password',
  }); // prettier-ignore
  const from = (user_attributes: Record<string, unknown>, email = 'e@x') =>
    headersFromAttributes(provider, readClaims({ sub: 'foo', email, ak_proxy: { user_attributes } }));

  it('vector 8', () => {
    assert.deepEqual(from({ username: 'foo', password: 'bar', additionalHeaders: { foo: 'bar' } }), [
      ['Authorization', 'Basic Zm9vOmJhcg=='],
      ['foo', 'bar'],
    ]);
  });

  it('fall back to the e-mail address and an empty password (seed 002)', () => {
    assert.deepEqual(from({}), [['Authorization', `Basic ${Buffer.from('e@x:').toString('base64')}`]]);
  });

  it('take numbers for text, and refuse what is no header', () => {
    assert.deepEqual(
      from({
        username: 'u',
        password: 5,
        additionalHeaders: { Authorization: 'Bearer x', Host: 'evil', 'X-N': 5, 'X-B': 'a\r\nb' },
      }),
      [
        ['Authorization', 'Bearer x'],
        ['X-N', '5'],
      ],
    );
    assert.deepEqual(from({ additionalHeaders: 'nonsense' }).length, 1);
  });
});
