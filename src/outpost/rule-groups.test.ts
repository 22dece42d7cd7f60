import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';
import { ALICE, outpostInstance, providerConfig, TestOutpost } from './data-plane.test-helper.ts';

const NGINX = '/outpost.goauthentik.io/auth/nginx';
const at = (path: string) => ({ 'x-original-url': `http://app.test${path}` });
const rule = {
  match: 'glob' as const,
  pattern: '/admin/**',
  methods: [],
  effect: 'groups' as const,
  groups: ['staff'],
};
const extension = { managed_headers: [], previous_cookie_secret: '', applications: [] };
const ruled = providerConfig({ gatehouse: { ...DEFAULT_PROVIDER_SETTINGS, access_rules: [rule], ...extension } });

describe('groups that rules name', () => {
  it('are asked for where a session does not say, and until then count as none', async () => {
    const outpost = await TestOutpost.start([providerConfig()]);
    try {
      await outpost.login();
      const cookie = outpost.cookieHeader();
      outpost.plane.configure(outpostInstance(), [ruled]);
      const check = async (path: string) => (await outpost.send(NGINX, { ...at(path), ...cookie })).status;
      outpost.server.refresh = () => {
        throw new Error('away');
      };
      // the claim names staff, but only directly: it does not count
      assert.ok(ALICE.claims['groups']?.toString().includes('staff'));
      assert.deepEqual([await check('/admin/x'), await check('/x')], [401, 200]);
      outpost.pass(3);
      let asks = 0;
      outpost.server.refresh = async () => {
        asks++;
        const access_token = await outpost.server.sign('client-1', 'app', ALICE);
        const gatehouse = { cursor: { epoch: 'e1', n: 10 }, headers: [], rule_groups: ['staff'] };
        return { result: 'token', access_token, gatehouse };
      };
      assert.deepEqual([await check('/admin/x'), await check('/x'), asks], [200, 200, 1]);
    } finally {
      await outpost.stop();
    }
  });

  it('end in a denial page at start, also for nobody where nobody may', async () => {
    const closed = { ...rule, pattern: '/gone/**', effect: 'deny' as const, groups: [] };
    const settings = { ...DEFAULT_PROVIDER_SETTINGS, access_rules: [rule, closed], ...extension };
    const outpost = await TestOutpost.start([providerConfig({ gatehouse: settings })]);
    const start = (path: string) =>
      outpost.browse(`/outpost.goauthentik.io/start?rd=${encodeURIComponent(`http://app.test${path}`)}`, {
        accept: 'text/html',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
      });
    try {
      const nobody = await start('/gone/x');
      assert.equal(nobody.status, 403);
      assert.match(nobody.body, /Signing in would not help/);
      assert.equal((await start('/admin/x')).status, 302, 'a login may help');
      outpost.server.extension.rule_groups = [];
      await outpost.login();
      const alice = await start('/admin/x');
      assert.equal(alice.status, 403);
      assert.match(alice.body, /members of certain groups only/);
      assert.equal((await start('/x')).status, 302);
    } finally {
      await outpost.stop();
    }
  });
});
