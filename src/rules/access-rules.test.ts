import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { AccessRule, RuleEffect } from '../contract/provider-settings.ts';
import { AccessRules, accessRuleProblems, MAX_PATH } from './access-rules.ts';
import type { RuleSettings, Winner } from './access-rules.ts';
import { readPath } from './canonical-path.ts';
import { skipLineProblems } from './skip-lines.ts';

const rule = (pattern: string, effect: RuleEffect, over: Partial<AccessRule> = {}): AccessRule => ({
  match: 'glob', pattern, methods: [], effect, groups: effect === 'groups' ? ['staff'] : [], ...over,
}); // prettier-ignore
const compile = (over: Partial<RuleSettings>) =>
  AccessRules.compile({
    skip_path_regex: '', mode: 'proxy', access_rules: [], access_default: 'signed_in', public_assets: false, base_path: '', ...over,
  }); // prettier-ignore
/** Short names of what decides: `line 1`, `rule 0`, `default`. */
const name = (winner: Winner) =>
  winner.kind === 'skip_path_regex' ? `line ${winner.line}` : winner.kind === 'access_rule' ? `rule ${winner.index}` : 'default'; // prettier-ignore
const winning = (over: Partial<RuleSettings>, path: string, method: string | null = 'GET', origin?: string) =>
  compile(over)
    .rules.winners({ path: readPath(path), method: method ?? undefined, origin })
    ?.map(name)
    .join(', ');

describe('skip_path_regex', () => {
  const line = (field: string, path: string) => winning({ skip_path_regex: field }, path);

  it('looks at the path only, found anywhere, case as written', () => {
    assert.equal(line('^/public/', '/public/x'), 'line 1');
    assert.equal(line('^/public/', '/Public/x'), 'default');
    assert.equal(line('/skip.*', '/a/skip'), 'line 1');
    assert.equal(line('(?i)^/pub', '/PUBLIC'), 'line 1');
    assert.equal(line('^/a\n^/b', '/b/x'), 'line 2');
    assert.equal(line('^/b\n/x', '/b/x'), 'line 1');
  });

  it('takes a blank line for no rule and strips CR', () => {
    for (const field of ['', '\n', '  \n\t\n', '\r\n\r\n']) {
      assert.equal(compile({ skip_path_regex: field }).rules.opens, false);
      assert.equal(line(field, '/anything'), 'default');
    }
    assert.equal(line('\n^/ok$\r\n', '/ok'), 'line 2');
  });

  it('is the lines that were checked: without white space around them', () => {
    for (const text of ['  ^/ok$', '^/ok$ \t', '\t^/ok$\r']) assert.equal(line(text, '/ok'), 'line 1', text);
    assert.equal(line('^/ok\\ ', '/ok%20'), 'default', 'an escaped space that was cut off leaves no rule');
  });

  it('drops a wrong line and keeps the others: what it meant stays protected', () => {
    const { rules, problems } = compile({ skip_path_regex: '^/a(?=b)\n^/ok\n(' });
    assert.equal(problems.length, 2);
    assert.match(problems[0] ?? '', /Line 1: .*The line is not used/);
    assert.deepEqual(rules.winners({ path: readPath('/ok'), method: 'GET', origin: undefined })?.map(name), ['line 2']);
    assert.deepEqual(rules.winners({ path: readPath('/ab'), method: 'GET', origin: undefined })?.map(name), [
      'default',
    ]);
  });

  it('sees scheme, host, port and path at domain level, never the query', () => {
    const over = { mode: 'forward_domain', skip_path_regex: '^https://wiki\\.corp\\.test/public/' } as const;
    assert.equal(winning(over, '/public/x', 'GET', 'https://wiki.corp.test'), 'line 1');
    assert.equal(winning(over, '/public/x', 'GET', 'http://wiki.corp.test'), 'default');
    assert.equal(winning(over, '/public/x', 'GET', 'https://wiki.corp.test:8443'), 'default');
    assert.equal(winning(over, '/public/x', 'GET', 'https://evil.corp.test'), 'default');
    assert.equal(winning(over, '/public/x', 'GET'), 'default', 'an address that is not known is not public');
    assert.equal(winning({ ...over, skip_path_regex: '^/public/' }, '/public/x', 'GET', 'https://a.test'), 'default');
  });

  it('is refused when saved where it cannot mean anything', () => {
    assert.deepEqual(skipLineProblems('^/a\n\n^/b\\?x=1'), [
      'Line 3: rules see the path only, never the query. Leave out what follows \\?.',
    ]);
    assert.match(skipLineProblems('^/a\n(').join(), /^Line 2: /);
  });
});

describe('access rules', () => {
  it('are asked in order, after skip_path_regex and before the default', () => {
    const over = {
      skip_path_regex: '^/api/health$',
      access_rules: [rule('/api/public/**', 'public'), rule('/api/**', 'groups'), rule('/old/**', 'deny')],
    };
    assert.equal(winning(over, '/api/health'), 'line 1');
    assert.equal(winning(over, '/api/public/x'), 'rule 0');
    assert.equal(winning(over, '/api/x'), 'rule 1');
    assert.equal(winning(over, '/old'), 'rule 2');
    assert.equal(winning(over, '/'), 'default');
  });

  it('are for their methods; GET is HEAD, too', () => {
    const over = {
      access_rules: [rule('/x', 'public', { methods: ['GET'] }), rule('/x', 'deny', { methods: ['POST'] })],
    };
    assert.equal(winning(over, '/x', 'GET'), 'rule 0');
    assert.equal(winning(over, '/x', 'HEAD'), 'rule 0');
    assert.equal(winning(over, '/x', 'get'), 'rule 0', 'an application may take it for GET');
    assert.equal(winning(over, '/x', 'POST'), 'rule 1');
    assert.equal(winning(over, '/x', 'PUT'), 'default');
  });

  it('all decide that may, when the method is not known', () => {
    const methods = (...list: string[]) => ({ methods: list });
    const over = (...access_rules: AccessRule[]) => ({ access_rules });
    assert.equal(winning(over(rule('/x', 'public', methods('GET'))), '/x', null), 'rule 0, default');
    const closed = over(rule('/x', 'public', methods('GET')), rule('/x', 'deny'));
    assert.equal(winning(closed, '/x', null), 'rule 0, rule 1');
    const twice = over(rule('/x', 'groups', methods('GET')), rule('/x', 'public', methods('GET')), rule('/x', 'deny'));
    assert.equal(winning(twice, '/x', null), 'rule 0, rule 2', 'the second is never reached');
  });

  it('all decide that fit a reading of the path', () => {
    const over = { access_rules: [rule('/admin;health', 'public'), rule('/admin', 'deny')] };
    assert.equal(winning(over, '/admin;health'), 'rule 0, rule 1');
    assert.equal(winning(over, '/admin%2Fx'), 'default');
    assert.equal(winning({ access_rules: [rule('/admin/**', 'deny')] }, '/admin%2Fx'), 'default, rule 0');
    assert.equal(winning({ access_rules: [rule('/admin/**', 'deny')] }, '/admin%5Cx'), 'default, rule 0');
  });

  it('come before public assets, and these before the default', () => {
    const over = { public_assets: true, access_default: 'deny' as const };
    const asset = (access_rules: AccessRule[], path: string, method: string | null = 'GET') =>
      compile({ ...over, access_rules })
        .rules.winners({ path: readPath(path), method: method ?? undefined, origin: undefined })
        ?.map(({ kind }) => kind);
    assert.deepEqual(asset([], '/manifest.json'), ['public_assets']);
    assert.deepEqual(asset([], '/manifest.json', null), ['public_assets']);
    assert.deepEqual(asset([], '/manifest.json', 'POST'), ['access_default']);
    assert.deepEqual(asset([rule('/manifest.json', 'groups')], '/manifest.json'), ['access_rule']);
    assert.deepEqual(asset([], '/x/manifest.json'), ['access_default']);
  });

  it('decide whether or not the application tells upper and lower case apart', () => {
    const over = { access_rules: [rule('/Feed', 'public'), rule('/admin/**', 'deny')] };
    assert.equal(winning(over, '/Feed'), 'rule 0');
    assert.equal(winning(over, '/feed'), 'default, rule 0', 'not public: it may be another page');
    assert.equal(winning(over, '/ADMIN/x'), 'default, rule 1', 'refused: it may be the same page');
    assert.equal(winning(over, '/x'), 'default');
    assert.equal(winning({ ...over, skip_path_regex: '^/ADMIN/' }, '/ADMIN/x'), 'line 1');
    assert.equal(winning({ ...over, skip_path_regex: '^/ADMIN/' }, '/admin/x'), 'rule 1');
  });

  it('are not asked about what nobody can read, or what is too long', () => {
    const over = { access_rules: [rule('/**', 'public')] };
    for (const path of ['/a/../b', '/%ff', '/a%252fb', `/${'a'.repeat(MAX_PATH)}`]) {
      assert.equal(winning(over, path), undefined, path.slice(0, 20));
    }
    assert.equal(compile(over).rules.winners({ path: undefined, method: 'GET', origin: undefined }), undefined);
  });

  it('refuse everything from a rule on that cannot be read', () => {
    const { rules, problems } = compile({
      access_rules: [rule('/a', 'public'), rule('(', 'signed_in', { match: 'regex' })],
      access_default: 'public',
    });
    assert.equal(problems.length, 1);
    assert.equal(rules.closes, true);
    const effects = (path: string) => rules.winners({ path: readPath(path), method: 'GET', origin: undefined })?.map((w) => w.effect); // prettier-ignore
    assert.deepEqual([effects('/a'), effects('/b')], [['public'], ['deny']]);
  });

  it('are checked before they are saved', () => {
    assert.deepEqual(accessRuleProblems([rule('/a', 'public'), rule('^/a|b$', 'deny', { match: 'regex' })]), []);
    const said = accessRuleProblems([
      rule('a', 'public'),
      rule('(', 'deny', { match: 'regex' }),
      rule('^/a\\?b', 'deny', { match: 'regex' }),
      rule('/a', 'groups', { groups: [] }),
      rule('/a', 'public', { groups: ['staff'] }),
    ]);
    assert.deepEqual(said.map((text) => text.slice(0, 7)), ['Rule 1:', 'Rule 2:', 'Rule 3:', 'Rule 4:', 'Rule 5:']); // prettier-ignore
  });

  it('win as the first one does when each is asked by itself', () => {
    const pattern = fc.constantFrom('/a', '/a/**', '/*/b', '/**/c', '/**', '/a*/b', '/b', '/a/b/c');
    const effect = fc.constantFrom<RuleEffect>('public', 'signed_in', 'deny');
    const methods = fc.uniqueArray(fc.constantFrom('GET', 'POST', 'PUT'), { maxLength: 2 });
    const one = fc.tuple(pattern, effect, methods).map(([p, e, m]) => rule(p, e, { methods: m }));
    const path = fc.array(fc.constantFrom('a', 'b', 'c', 'ab'), { maxLength: 4 }).map((list) => `/${list.join('/')}`);
    fc.assert(
      fc.property(fc.array(one, { maxLength: 12 }), path, fc.constantFrom('GET', 'POST', 'PUT', 'HEAD'), (rules, p, method) => {
        const alone = rules.findIndex((r) => winning({ access_rules: [r] }, p, method) === 'rule 0');
        assert.equal(winning({ access_rules: rules }, p, method), alone < 0 ? 'default' : `rule ${alone}`);
        // what holds for an unknown method holds for each
        const any = (winning({ access_rules: rules }, p, null) ?? '').split(', ');
        assert.ok(any.includes(alone < 0 ? 'default' : `rule ${alone}`));
      }),
    ); // prettier-ignore
  });
});

describe('many rules', () => {
  it('are asked at once, also when they do not fit one machine', () => {
    const access_rules = Array.from({ length: 1000 }, (_, i) => rule(`^/s${i}/(?:[a-z]{1,30}){20}$`, 'deny', { match: 'regex' }));
    const { rules, problems } = compile({ access_rules });
    assert.deepEqual(problems, []);
    const ask = (path: string) => rules.winners({ path: readPath(path), method: 'GET', origin: undefined })?.map(name);
    assert.deepEqual(ask('/s999/abcdefghijklmnopqrstuvwxyz'), ['rule 999']);
    assert.deepEqual(ask('/s3/abcdefghijklmnopqrstuvwxyz'), ['rule 3']);
    assert.deepEqual(ask('/s1000/x'), ['default']);
  }); // prettier-ignore

  it('take linear time', () => {
    for (const pattern of ['^/(a+)+$', '(a|aa)+$', '(.*a){12}$', '(a|b)*a(a|b){20}c']) {
      const { rules } = compile({
        skip_path_regex: pattern,
        access_rules: [rule(pattern, 'deny', { match: 'regex' })],
      });
      const time = (length: number) => {
        const path = readPath(`/${'ab'.repeat(length / 2)}!`);
        const started = performance.now();
        rules.winners({ path, method: 'GET', origin: undefined });
        return performance.now() - started;
      };
      time(1000);
      assert.ok(Math.min(time(8000), time(8000), time(8000)) < 500, pattern);
    }
  });
});
