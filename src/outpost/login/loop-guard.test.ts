import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outpostInstance, providerConfig } from '../data-plane.test-helper.ts';
import { buildSite } from '../sites/site.ts';
import { isLooping, noteLogin } from './loop-guard.ts';

const siteOf = (access_token_validity: number) => {
  const around = {
    outpost: outpostInstance(),
    hostBrowser: undefined,
    openUpstream: () => assert.fail(),
    openBackend: () => assert.fail(),
  };
  const { site } = buildSite(providerConfig({ access_token_validity }), around);
  assert.ok(site);
  return site;
};

describe('loop guard', () => {
  const site = siteOf(3600);
  const once = noteLogin(site, undefined).split(';')[0];
  const twice = noteLogin(site, once).split(';')[0];

  it('counts logins that left no session', () => {
    for (const reason of ['no-session', 'session-unreadable'] as const) {
      assert.equal(isLooping(site, reason, undefined), false);
      assert.equal(isLooping(site, reason, once), false, 'one may be lost');
      assert.equal(isLooping(site, reason, twice), true);
    }
    assert.equal(isLooping(site, 'session-ended', twice), false, 'somebody ended it');
  });

  it('counts a session that ran out long before its time', () => {
    assert.equal(isLooping(site, 'session-expired', twice), true);
    assert.equal(isLooping(siteOf(30), 'session-expired', twice), false, 'it was meant to');
  });
});
