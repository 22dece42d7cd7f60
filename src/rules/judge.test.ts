import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RULE_EFFECTS } from '../contract/provider-settings.ts';
import type { AccessRule, RuleEffect } from '../contract/provider-settings.ts';
import { AccessRules } from './access-rules.ts';
import type { RuleSettings } from './access-rules.ts';
import { readPath } from './canonical-path.ts';
import { judge } from './judge.ts';
import type { Sender } from './judge.ts';

const rule = (pattern: string, effect: RuleEffect, over: Partial<AccessRule> = {}): AccessRule => ({
  match: 'glob', pattern, methods: [], effect, groups: effect === 'groups' ? ['staff'] : [], ...over,
}); // prettier-ignore
const compile = (over: Partial<RuleSettings>) =>
  AccessRules.compile({ skip_path_regex: '', mode: 'proxy', access_rules: [], access_default: 'signed_in', public_assets: false, base_path: '', ...over }).rules; // prettier-ignore

const senders: Record<string, Sender> = {
  nobody: { kind: 'nobody' },
  outsider: { kind: 'outsider' },
  eve: { kind: 'member', groups: [] },
  staff: { kind: 'member', groups: ['staff'] },
  unclear: { kind: 'member', groups: undefined },
};
const say = (rules: AccessRules, path: string | undefined, who: string, method: string | undefined = 'GET') => {
  const sender = senders[who] ?? assert.fail(who);
  const ruling = judge(rules, { path: path === undefined ? undefined : readPath(path), method, origin: undefined }, sender);
  return 'reason' in ruling ? `${ruling.verdict} ${ruling.reason}` : ruling.verdict;
}; // prettier-ignore

describe('judge', () => {
  const rules = compile({
    skip_path_regex: '^/public/',
    access_rules: [
      rule('/admin/open', 'public'),
      rule('/admin/**', 'groups'),
      rule('/both/**', 'groups', { groups: ['crew', 'staff'] }),
      rule('/gone/**', 'deny'),
      rule('/api/**', 'public', { methods: ['GET'] }),
      rule('/api/**', 'groups', { methods: ['POST'] }),
    ],
  });

  it('answers each sender', () => {
    const needs = 'deny rule-needs-group';
    const denies = 'deny rule-denies';
    const rows: [string, string, string, string, string, string, string?][] = [
      // path, nobody, outsider, eve, staff, somebody whose groups are not known
      ['/public/x', 'public', 'public', 'public', 'public', 'public'],
      ['/x', 'login', 'outside', 'pass', 'pass', 'pass'],
      ['/admin/open', 'public', 'public', 'public', 'public', 'public'],
      ['/admin/x', 'login', 'outside', needs, 'pass', needs],
      ['/both/x', 'login', 'outside', needs, 'pass', needs],
      ['/gone/x', denies, denies, denies, denies, denies],
      ['/api/x', 'public', 'public', 'public', 'public', 'public', 'GET'],
      ['/api/x', 'login', 'outside', needs, 'pass', needs, 'POST'],
      ['/api/x', 'login', 'outside', 'pass', 'pass', 'pass', 'DELETE'],
    ];
    for (const [path, nobody, outsider, eve, staff, unclear, method = 'GET'] of rows) {
      const said = ['nobody', 'outsider', 'eve', 'staff', 'unclear'].map((who) => say(rules, path, who, method));
      assert.deepEqual(said, [nobody, outsider, eve, staff, unclear], `${method} ${path}`);
    }
  });

  it('takes the strictest answer when the method is not known', () => {
    const nginx = (who: string) => judgeUnknown(rules, '/api/x', who);
    assert.deepEqual(['nobody', 'eve', 'staff'].map(nginx), ['login', 'deny rule-needs-group', 'pass']);
    const getOnly = compile({ access_rules: [rule('/x', 'groups', { methods: ['GET'] }), rule('/x', 'deny')] });
    assert.equal(judgeUnknown(getOnly, '/x', 'staff'), 'deny rule-denies');
  });

  it('needs every reading of an ambiguous path, and lets nobody in by one', () => {
    const open = compile({ skip_path_regex: '.*' });
    assert.equal(say(open, '/public%2fx', 'nobody'), 'error path-ambiguous');
    assert.equal(say(open, '/public%2fx', 'outsider'), 'error path-ambiguous');
    assert.equal(say(open, '/public%2fx', 'eve'), 'pass');
    const closed = compile({ access_rules: [rule('/admin/**', 'groups')] });
    assert.equal(say(closed, '/admin%2fx', 'eve'), 'deny rule-needs-group');
    assert.equal(say(closed, '/admin%2fx', 'staff'), 'pass');
    assert.equal(say(closed, '/api/queues/%2F/x', 'eve'), 'pass');
    assert.equal(say(closed, '/admin%2fx', 'nobody'), 'login');
    for (const path of ['/%ff', '/a%252fb']) {
      for (const who of Object.keys(senders)) assert.equal(say(closed, path, who), 'error path-ambiguous', who);
    }
    assert.equal(say(compile({}), '/%ff', 'nobody'), 'login');
    assert.equal(say(compile({}), '/%ff', 'eve'), 'pass');
    for (const who of Object.keys(senders)) assert.equal(say(open, '/a/../b', who), 'error path-malformed');
  });

  it('lets nobody through by a path that is not known, and no member where a rule may refuse', () => {
    const open = compile({ access_default: 'public' });
    assert.deepEqual(['nobody', 'outsider', 'eve'].map((who) => say(open, undefined, who)), ['login', 'outside', 'pass']); // prettier-ignore
    for (const who of Object.keys(senders)) assert.equal(say(rules, undefined, who), 'error path-not-known');
  });

  it('protects only what rules name when the default is public', () => {
    const only = compile({ access_default: 'public', access_rules: [rule('/admin/**', 'signed_in')] });
    assert.deepEqual(['/', '/admin', '/admin/x'].map((path) => say(only, path, 'nobody')), ['public', 'login', 'login']); // prettier-ignore
    const named = compile({ access_default: 'deny', access_rules: [rule('/app/**', 'signed_in')] });
    assert.deepEqual(['/app', '/', '/x'].map((path) => say(named, path, 'nobody')), ['login', 'deny rule-denies', 'deny rule-denies']); // prettier-ignore
  });
});

function judgeUnknown(rules: AccessRules, path: string, who: string): string {
  const ruling = judge(rules, { path: readPath(path), method: undefined, origin: undefined }, senders[who] ?? assert.fail(who)); // prettier-ignore
  return 'reason' in ruling ? `${ruling.verdict} ${ruling.reason}` : ruling.verdict;
}

describe('judge, whatever the rules', () => {
  const pattern = fc.oneof(
    fc.record({ match: fc.constant('glob' as const), pattern: fc.constantFrom('/', '/a', '/a/**', '/*/b', '/**/c', '/**', '/a;b', '/a//b') }),
    fc.record({ match: fc.constant('regex' as const), pattern: fc.constantFrom('^/a', 'b$', '/c/', '[;]', '.', '^/a$|^/b$') }),
  ); // prettier-ignore
  const rules = fc.array(
    fc.tuple(pattern, fc.constantFrom(...RULE_EFFECTS), fc.subarray(['GET', 'POST']), fc.subarray(['staff', 'crew'], { minLength: 1 })),
    { maxLength: 6 },
  ).map((list) => list.map(([p, effect, methods, groups]) => ({ ...p, effect, methods, groups: effect === 'groups' ? groups : [] }))); // prettier-ignore
  const settings = fc.record({
    access_rules: rules,
    access_default: fc.constantFrom<'signed_in' | 'public' | 'deny'>('signed_in', 'public', 'deny'),
    skip_path_regex: fc.constantFrom('', '', '^/a/', 'c$', '^/b\n;'),
  });
  const path = fc.array(fc.constantFrom('/', 'a', 'b', 'c', ';', '%2f', '%5C', '%61', '..', '%252f', '%ff', '%'), { maxLength: 8 }).map((p) => `/${p.join('')}`); // prettier-ignore
  const sender = fc.constantFrom(...Object.values(senders));
  const method = fc.constantFrom('GET', 'POST', 'PUT', undefined);
  const rank = { public: 0, pass: 1, login: 1, outside: 1, deny: 2, error: 2 } as const;

  it('is never public when one reading is not', () => {
    fc.assert(
      fc.property(settings, path, sender, method, (s, p, who, m) => {
        const compiled = compile(s);
        const reading = readPath(p);
        const ruling = judge(compiled, { path: reading, method: m, origin: undefined }, who);
        if (ruling.verdict !== 'public') return;
        assert.equal(reading.kind, 'plain');
        for (const one of reading.kind === 'plain' ? reading.readings : []) {
          const alone = { kind: 'plain', path: one, readings: [one] } as const;
          for (const each of m === undefined ? ['GET', 'HEAD', 'POST', 'PUT', 'FOO'] : [m]) {
            assert.equal(judge(compiled, { path: alone, method: each, origin: undefined }, who).verdict, 'public');
          }
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('is at least as strict as for each reading and method', () => {
    fc.assert(
      fc.property(settings, path, sender, (s, p, who) => {
        const compiled = compile(s);
        const reading = readPath(p);
        const whole = judge(compiled, { path: reading, method: undefined, origin: undefined }, who);
        if (reading.kind === 'malformed' || reading.readings === undefined) return;
        for (const one of reading.readings) {
          for (const each of ['GET', 'HEAD', 'POST', 'PUT', 'FOO']) {
            const alone = { kind: 'plain', path: one, readings: [one] } as const;
            const single = judge(compiled, { path: alone, method: each, origin: undefined }, who);
            assert.ok(rank[whole.verdict] >= rank[single.verdict], `${whole.verdict} ${single.verdict} ${one}`);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('need not be asked about members where nothing is closed', () => {
    fc.assert(
      fc.property(settings, path, method, (s, p, m) => {
        const compiled = compile(s);
        const reading = readPath(p);
        if (compiled.closes || reading.kind === 'malformed') return;
        const question = { path: reading, method: m, origin: undefined };
        for (const who of [senders['eve'], senders['unclear']]) {
          assert.match(judge(compiled, question, who ?? assert.fail()).verdict, /^(?:pass|public)$/);
        }
      }),
    );
  });

  it('lets people who are not signed in through where all are let through, only', () => {
    fc.assert(
      fc.property(settings, path, method, (s, p, m) => {
        const compiled = compile(s);
        const question = { path: readPath(p), method: m, origin: undefined };
        if (judge(compiled, question, { kind: 'nobody' }).verdict !== 'public') return;
        for (const who of Object.values(senders)) assert.equal(judge(compiled, question, who).verdict, 'public');
      }),
    );
  });
});
