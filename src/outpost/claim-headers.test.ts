import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sentHeaders } from '../contract/header-presets.ts';
import { claimValues } from './claim-headers.ts';
import { TestOutpost, providerConfig } from './data-plane.test-helper.ts';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';

const tokenOf = (payload: unknown) => `h.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.s`;
const value = (claim: unknown, separator: '|' | ',' = '|') =>
  claimValues([{ name: 'X-A', folded: 'x-a', claim: 'c', separator }], tokenOf({ c: claim }))[0];

describe('a claim as a header value', () => {
  it('is text for every scalar, and empty for what is none', () => {
    assert.deepEqual([value('ä'), value(7), value(true), value(null)], ['Ã¤', '7', 'true', '']);
    assert.deepEqual([value({ a: 1 }), value(undefined), value([{ a: 1 }, [1]])], ['', '', '']);
    assert.equal(value('a\r\nX-Evil: b'), 'aX-Evil: b');
  });

  it('joins lists, and no member becomes two', () => {
    assert.equal(value(['a|b', 'c,d', 5]), 'a%7Cb|c,d|5');
    assert.equal(value(['a|b', 'c,d', 5], ','), 'a|b,c%2Cd,5');
  });

  it('is not the prototype’s', () => {
    const [header] = sentHeaders({ header_presets: [], header_claims: [{ name: 'X-A', claim: 'constructor' }] });
    assert.deepEqual(claimValues([header!], tokenOf({})), ['']);
  });
});

describe('headers of a provider', () => {
  const gatehouse = {
    ...{ ...DEFAULT_PROVIDER_SETTINGS, managed_headers: [], previous_cookie_secret: '', applications: [] },
    ...{ header_presets: ['remote' as const, 'x_forwarded' as const] },
    header_claims: [{ name: 'X-Webauth-User', claim: 'preferred_username' }],
  };
  const ask = '/outpost.goauthentik.io/auth/nginx';

  it('stand in the answers for reverse proxies: of a person, and empty of nobody', async (t) => {
    const outpost = await TestOutpost.start([providerConfig({ gatehouse, skip_path_regex: '^/public' })]);
    t.after(() => outpost.stop());
    const nobody = await outpost.send(ask, { 'x-original-url': 'http://app.test/public' });
    assert.deepEqual([nobody.status, nobody.headers['remote-user'], nobody.headers['x-webauth-user']], [200, '', '']);
    await outpost.login();
    const headers = { 'x-original-url': 'http://app.test/x', ...outpost.cookieHeader() };
    const { headers: person } = await outpost.send(ask, headers);
    assert.equal(person['remote-user'], 'alice');
    assert.equal(person['remote-groups'], 'staff,a|b');
    assert.equal(person['x-webauth-user'], 'alice');
    assert.equal(person['x-forwarded-user'], 'alice');
    // of the older generation's headers those of the preset are there once, with the preset's values
    const older = await outpost.send('/akprox/auth/nginx', headers);
    assert.equal(older.raw.filter((part) => part.toLowerCase() === 'x-forwarded-user').length, 1);
    assert.equal(older.headers['x-forwarded-user'], 'alice');
    assert.equal(older.headers['x-auth-username'], 'alice');
  });

  it('hold the Authorization of a person’s attributes, and never a visitor’s beside it', async (t) => {
    const outpost = await TestOutpost.start([providerConfig({ gatehouse })]);
    t.after(() => outpost.stop());
    outpost.server.extension.headers.push(['authorization', 'Token of-the-operator']);
    await outpost.login();
    const answer = await outpost.send(ask, {
      'x-original-url': 'http://app.test/x',
      authorization: 'Token of-a-visitor',
      ...outpost.cookieHeader(),
    });
    assert.deepEqual(
      answer.raw.filter((_, i) => answer.raw[i - 1]?.toLowerCase() === 'authorization'),
      ['Token of-the-operator'],
    );
  });

  it('give way to what a person’s attributes say', async (t) => {
    const outpost = await TestOutpost.start([providerConfig({ gatehouse })]);
    t.after(() => outpost.stop());
    outpost.server.extension.headers.push(['remote-user', 'other']);
    await outpost.login();
    const answer = await outpost.send(ask, { 'x-original-url': 'http://app.test/x', ...outpost.cookieHeader() });
    assert.deepEqual(
      answer.raw.filter((_, i) => answer.raw[i - 1]?.toLowerCase() === 'remote-user'),
      ['other'],
    );
  });
});
