import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { claimHeaderProblems, HEADER_PRESETS, sentHeaders } from './header-presets.ts';
import { headerNameProblem } from './headers.ts';

describe('headers beside the published ones', () => {
  it('are those of the presets, each once', () => {
    const sent = sentHeaders({ header_presets: [...HEADER_PRESETS, 'remote'], header_claims: [] });
    const names = sent.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    assert.equal(names.length, 12);
    for (const name of names) assert.equal(headerNameProblem(name), undefined, name);
    assert.ok(sent.every(({ separator }) => separator === ','));
  });

  it('take names of one’s own, which come before a preset’s', () => {
    const sent = sentHeaders({
      header_presets: ['remote'],
      header_claims: [
        { name: 'X-WEBAUTH-USER', claim: 'preferred_username' },
        { name: 'remote-USER', claim: 'email' },
      ],
    });
    assert.deepEqual(
      sent.map(({ name, claim, separator }) => `${name} ${claim} ${separator}`),
      [
        'Remote-User email |',
        'Remote-Groups groups ,',
        'Remote-Email email ,',
        'Remote-Name name ,',
        'X-Webauth-User preferred_username |',
      ],
    );
  });

  it('are none of one’s own that could mean something else', () => {
    const names = ['Host', 'Cookie', 'X-Authentik-Username', 'x-gatehouse-peer', 'Authorization', 'X_User', 'X User',
      'X:Y', '', 'X-Forwarded-For', '1X', 'a"b', 'a\r\nb', 'Content-Length', 'x'.repeat(101)]; // prettier-ignore
    for (const name of names) {
      const [problem = '', ...more] = claimHeaderProblems([{ name, claim: 'email' }]);
      assert.ok(problem.startsWith(JSON.stringify(name)) && more.length === 0, name);
      assert.deepEqual(sentHeaders({ header_presets: [], header_claims: [{ name, claim: 'email' }] }), [], name);
    }
    assert.deepEqual(claimHeaderProblems([{ name: 'X-Webauth-User', claim: 'email' }]), []);
    const twice = [
      { name: 'X-A', claim: 'email' },
      { name: 'x-a', claim: 'name' },
    ];
    assert.match(claimHeaderProblems(twice).join(), /twice/);
    for (const claim of ['', 'a b', 'ak_proxy', 'x'.repeat(201)]) {
      assert.equal(claimHeaderProblems([{ name: 'X-A', claim }]).length, 1, claim);
    }
  });
});
