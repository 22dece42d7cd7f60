import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidInput } from '../../contract/errors.ts';
import type { AccessRule } from '../../contract/provider-settings.ts';
import { createBinding } from '../access/bindings.ts';
import { testServer } from '../context.test-helper.ts';
import { createGroup } from '../directory/groups.ts';
import { createUser } from '../directory/users.ts';
import { defaultConfig } from '../outposts/config.ts';
import { createOutpost } from '../outposts/outposts.ts';
import { explainAccess } from './explain.ts';
import { configureProvider, updateProvider } from './providers.ts';

const rule = (pattern: string, over: Partial<AccessRule>): AccessRule => {
  return { match: 'glob', pattern, methods: [], effect: 'deny', groups: [], ...over };
};

/** A wiki for members of `crew`, with `lead` below the group `staff`. */
async function wiki() {
  const server = await testServer();
  const { ctx } = server;
  const { provider, application } = await server.protect('wiki', { skip_path_regex: '^/public/' });
  await ctx.change(async (tx) => {
    const served = { name: 'edge', type: 'proxy', providers: [provider.id] } as const;
    await createOutpost(tx, { ...served, config: defaultConfig('', 'info') });
    const staff = await createGroup(tx, { name: 'staff' });
    const lead = await createGroup(tx, { name: 'lead', parents: [staff.uuid] });
    const crew = await createGroup(tx, { name: 'crew' });
    await createUser(tx, { username: 'ada', name: 'Ada', groups: [lead.uuid, crew.uuid] });
    await createUser(tx, { username: 'ben', name: 'Ben', groups: [crew.uuid] });
    await createUser(tx, { username: 'eve', name: 'Eve' });
    await createBinding(tx, { target: application.uuid, group: crew.uuid, order: 0 });
    const { name, external_host, authorization_flow, invalidation_flow } = provider;
    const kept = { name, external_host, authorization_flow, invalidation_flow, mode: 'forward_single' } as const;
    await updateProvider(tx, provider.id, { ...kept, skip_path_regex: '^/public/' });
    await configureProvider(tx, provider.id, {
      access_rules: [
        rule('/admin/**', { effect: 'groups', groups: ['staff'] }),
        rule('/feed', { effect: 'public', methods: ['GET'] }),
        rule('/old/**', {}),
      ],
    });
  });
  const origin = provider.external_host.replace(/\/$/, '');
  const explain = (path: string, username?: string, method: string | undefined = 'GET') =>
    explainAccess(ctx.db, provider.id, { method, url: `${origin}${path}`, username });
  return { server, ctx, provider, explain };
}

describe('explain', () => {
  it('names decision, reason and rule', async () => {
    const { server, explain } = await wiki();
    await using _ = server;
    const rows: [string, string | undefined, string, string, number | null][] = [
      ['/', undefined, 'login no-session', 'access_default', null],
      ['/', 'ben', 'allow session', 'access_default', null],
      ['/', 'eve', 'deny access-denied', 'access_default', null],
      ['/public/x?/admin', undefined, 'allow public-path', 'skip_path_regex', 1],
      ['/public/x', 'eve', 'allow public-path', 'skip_path_regex', 1],
      ['/public/x', 'ben', 'allow session', 'skip_path_regex', 1],
      ['/admin/x', undefined, 'login no-session', 'access_rule', 1],
      ['/admin/x', 'ben', 'deny rule-needs-group', 'access_rule', 1],
      ['/admin/x', 'ada', 'allow session', 'access_rule', 1],
      ['/feed', undefined, 'allow public-path', 'access_rule', 2],
      ['/old', undefined, 'deny rule-denies', 'access_rule', 3],
      ['/old', 'ada', 'deny rule-denies', 'access_rule', 3],
    ];
    for (const [path, who, answer, kind, position] of rows) {
      const { decision, reason, rule: by, message, steps } = await explain(path, who);
      assert.equal(`${decision} ${reason}`, answer, `${path} ${who}`);
      assert.deepEqual([by?.kind, by?.position], [kind, position], `${path} ${who}`);
      assert.ok(message.endsWith('.') && steps.length >= 3);
    }
  });

  it('says what comes of paths no rule can be asked about', async () => {
    const { server, explain } = await wiki();
    await using _ = server;
    for (const [path, answer] of [
      ['/public/../x', 'error path-malformed'],
      ['/public%2fx', 'error path-ambiguous'],
      [`/${'a'.repeat(9000)}`, 'error path-not-known'],
      ['/outpost.goauthentik.io/start', 'endpoint endpoint'],
      ['/x?X-authentik-logout=true', 'endpoint endpoint'],
    ] as const) {
      const { decision, reason } = await explain(path);
      assert.equal(`${decision} ${reason}`, answer, path.slice(0, 30));
    }
  });

  it('says what differs where the method is not told', async () => {
    const { server, explain } = await wiki();
    await using _ = server;
    assert.deepEqual((await explain('/feed')).without_method, { decision: 'login', reason: 'no-session' });
    assert.equal((await explain('/old')).without_method, null);
    const { steps } = await explain('/feed', 'ada');
    assert.ok(steps.includes('Of the groups that rules name, ada is in: staff.'), steps.join('\n'));
    assert.ok(steps.includes('Access rule 2 matches: GET /feed -> public.'), steps.join('\n'));
  });

  it('says when the address is another one, or the provider is not served', async () => {
    const { server, ctx, provider, explain } = await wiki();
    await using _ = server;
    const at = (url: string) => explainAccess(ctx.db, provider.id, { method: 'GET', url, username: undefined });
    const away = await at('https://elsewhere.test/');
    assert.deepEqual([away.decision, away.reason], ['error', 'unknown-host']);
    assert.match(away.steps[0] ?? '', /has the host elsewhere\.test/);
    await assert.rejects(at('wiki.test/x'), InvalidInput);
    await assert.rejects(explain('/', 'nobody-of-this-name'), InvalidInput);
    await assert.rejects(explainAccess(ctx.db, 999, { method: 'GET', url: 'https://a/', username: undefined }));
    await ctx.db.deleteFrom('outpost_provider').execute();
    assert.match((await explain('/')).steps[0] ?? '', /No outpost serves/);
  });
});
