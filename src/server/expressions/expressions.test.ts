import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ANNA, callOf, openForTest, told } from './facts.test-helper.ts';
import type { Json } from './types.ts';

/** As people publish them in manuals, forums and issue threads, with what they should give for Anna. */
const IDIOMS: [title: string, expression: string, value: Json][] = [
  [
    'the backend by user name (as in the manual of the proxy provider)',
    `return {
    "ak_proxy": {
        "backend_override": f"http://foo.bar.baz/{request.user.username}"
    }
}`,
    { ak_proxy: { backend_override: 'http://foo.bar.baz/anna' } },
  ],
  [
    'names of groups as a list',
    'return {"groups": [group.name for group in request.user.ak_groups.all()]}',
    { groups: ['admins', 'app-grafana-editor'] },
  ],
  [
    'roles by membership',
    `if ak_is_group_member(request.user, name="app-grafana-admin"):
    role = "Admin"
elif ak_is_group_member(request.user, name="app-grafana-editor"):
    role = "Editor"
else:
    role = "Viewer"
return {"role": role}`,
    { role: 'Editor' },
  ],
  [
    'groups of one application, without its prefix',
    'return {"roles": [g.name.removeprefix("app-grafana-") for g in user.ak_groups.filter(name__startswith="app-grafana-")]}',
    { roles: ['editor'] },
  ],
  ['an attribute with a default', 'return {"quota": user.attributes.get("quota", "10 GB")}', { quota: '10 GB' }],
  [
    'attributes of groups and user, merged',
    'return {"level": request.user.group_attributes(request).get("level")}',
    { level: 3 },
  ],
  [
    'first and last name from one field',
    'return {"given_name": user.name.split(" ", 1)[0], "family_name": user.name.rsplit(" ", 1)[-1]}',
    { given_name: 'Anna', family_name: 'Berg' },
  ],
  [
    'a cleaned user name',
    'return {"preferred_username": regex_replace(user.email.lower(), r"@.*$", "")}',
    { preferred_username: 'anna.berg' },
  ],
  ['a domain by regular expression', 'return regex_match(request.user.email, r"(?i)@example\\.com$")', true],
  ['an address in a network', 'return ak_client_ip in ip_network("10.0.0.0/8")', true],
  ['addresses compared', 'return ip_address("192.168.1.10") > ip_address("192.168.1.9")', true],
  ['values_list', 'return list(user.ak_groups.values_list("name", flat=True))', ['admins', 'app-grafana-editor']],
  ['exists', 'return user.groups.filter(name__in=["admins", "other"]).exists()', true],
  [
    'ancestors count',
    'return ak_is_group_member(user, name="everyone") and not user.groups.filter(name="everyone")',
    true,
  ],
  ['a list flattened', 'return list_flatten(user.attributes.get("phones"))', '+49 1'],
  ['a slug', 'return slugify("  Grüße aus Köln! ")', 'grue-aus-koln'],
  [
    'imports of the standard library, JSON and hashes',
    `import json, hashlib
from datetime import datetime, timezone
assert datetime.now(timezone.utc).year > 2020
return hashlib.sha256(json.dumps({"u": user.username}, sort_keys=True).encode()).hexdigest()[:8]`,
    '9a97a05a',
  ],
  [
    'the published built-in mapping of the profile',
    `return {
    # Because authentik only saves the user's full name, and has no concept of first and last names,
    # the full name is used as given name.
    "name": request.user.name,
    "given_name": request.user.name,
    "preferred_username": request.user.username,
    "nickname": request.user.username,
    "groups": [group.name for group in request.user.ak_groups.all()],
}`,
    {
      name: ANNA.name,
      given_name: ANNA.name,
      preferred_username: 'anna',
      nickname: 'anna',
      groups: ['admins', 'app-grafana-editor'],
    },
  ],
  [
    'entitlements of the application',
    'return {"roles": [e.name for e in request.user.app_entitlements(provider.application)]}',
    { roles: ['editor'] },
  ],
  [
    'functions, comprehensions, match, walrus',
    `def pick(names):
    match names:
        case [first, *_]: return first
        case _: return None
if (found := [g for g in user.all_groups() if g.is_superuser]):
    return {"first": pick([g.name for g in found]), "n": sum(1 for _ in user.all_groups())}`,
    { first: 'admins', n: 3 },
  ],
  ['a parameter reused as a variable', 'user = user.username\nreturn user.upper()', 'ANNA'],
  ['nothing returned', 'ak_logger.info("only this")', null],
  ['a text over several lines is left as it is', 'return """a\n  b\n"""', 'a\n  b\n'],
  ['an expression indented as a whole', '    x = 1\n    return x', 1],
  [
    'variables of the context, their names mapped',
    'return [auth_method, goauthentik_io/1 if False else request.context["auth-method"]]',
    ['password', 'password'],
  ],
  [
    'the request',
    'return [request.http_request.method, http_request.headers["user-agent"], request.http_request.GET.get("scope")]',
    ['GET', 'a browser', 'openid'],
  ],
  [
    'sets, tuples and identifiers',
    'return {"s": {"x"}, "t": (1, 2), "u": user.uuid, "ip": ak_client_ip}',
    { s: ['x'], t: [1, 2], u: ANNA.uuid, ip: '10.1.2.3' },
  ],
  [
    'attributes of attributes as filter',
    'return [g.name for g in user.groups.filter(attributes__level__gte=3)]',
    ['admins'],
  ],
  [
    'provider, application, token',
    'return [provider.name, application.slug, "profile" in token.scope, provider.client_id]',
    ['Grafana', 'grafana', true, 'abc'],
  ],
];

describe('expressions', () => {
  const expressions = openForTest();
  after(() => expressions.close());

  it('starts nothing before the first call', () => {
    assert.equal(expressions.pid, undefined);
  });

  for (const [title, expression, value] of IDIOMS) {
    it(`idiom: ${title}`, async () => {
      assert.deepEqual(told(await expressions.evaluate(callOf(expression))), value);
      assert.equal(await expressions.check(expression), undefined);
    });
  }

  it('tells log lines, messages and the time', async () => {
    const result = await expressions.evaluate(
      callOf('ak_logger.bind(a=1).warning("careful", who=user)\nprint("by print")\nak_message("hello")\nreturn 1'),
    );
    assert.deepEqual(result.log, [
      { level: 'warning', event: 'careful', fields: { a: '1', who: 'anna' } },
      { level: 'info', event: 'by print', fields: {} },
    ]);
    assert.deepEqual(result.messages, ['hello']);
    assert.ok(result.milliseconds > 0);
  });

  it('asks the server for other people', async () => {
    const asked: unknown[] = [];
    const call = callOf(
      'u = ak_user_by(username="ben")\nreturn [u.email, ak_is_group_member(u, name="admins"), ak_user_by(email="x")]',
      {
        ask: (question) => {
          asked.push(question);
          return Promise.resolve(asked.length === 1 ? { ...ANNA, email: 'ben@example.com' } : undefined);
        },
      },
    );
    assert.deepEqual(told(await expressions.evaluate(call)), ['ben@example.com', true, null]);
    assert.deepEqual(asked, [
      { kind: 'user_by', filters: { username: 'ben' } },
      { kind: 'user_by', filters: { email: 'x' } },
    ]);
  });

  it('finds nobody when the question cannot be answered', async () => {
    const call = callOf('return ak_user_by(username="ben")', { ask: () => Promise.reject(new Error('no database')) });
    assert.equal(told(await expressions.evaluate(call)), null);
  });

  it('names the line of what was raised', async () => {
    const result = await expressions.evaluate(callOf('a = 1\nreturn user.attributes["nothing"]'));
    assert.deepEqual(result.ok ? undefined : result.error, { kind: 'raised', message: "KeyError: 'nothing'", line: 2 });
    const filter = await expressions.evaluate(callOf('\nreturn ak_is_group_member(user, nam="x")'));
    assert.match(String(told(filter)), /FieldError: cannot filter by 'nam': the fields are pk, /);
    assert.equal(filter.ok ? 0 : filter.error.line, 2);
  });

  it('says what is not JSON', async () => {
    for (const [expression, message] of [
      ['return {"u": user}', "result: the result['u'] is a User: return one of its members, e.g. .name"],
      ['return [1, float("nan")]', 'result: the result[1] is nan, which JSON does not know'],
      ['return 2**60', 'result: the result is a number that JSON readers round: return it as text, str(...)'],
      ['return b"x"', 'result: the result is of type bytes, which is not JSON'],
      ['x = []\nx.append(x)\nreturn x', /result: .* is nested too deeply/],
    ] as const) {
      const said = String(told(await expressions.evaluate(callOf(expression))));
      if (typeof message === 'string') assert.equal(said, message);
      else assert.match(said, message);
    }
  });

  it('refuses by line and column when saved', async () => {
    for (const [expression, line, column, message] of [
      ['return {', 1, 8, "'{' was never closed"],
      ['x = 1\nif x:\nreturn 2', 3, 1, "expected an indented block after 'if' statement on line 2"],
      ['\n\n  return 1 +', 3, 13, 'invalid syntax'],
      ['x = 1\nreturn requests.get("http://x")', 2, 8, /^requests is not available: .*no way out/],
      ['return resolve_dns("x")', 1, 8, /^resolve_dns is not available: .*ip_network/],
      ['return reverse_dns("x")', 1, 8, /ip_network/],
      ['ak_send_email("a", "b")', 1, 1, /cannot send e-mail/],
      ['ak_create_event("x")', 1, 1, /ak_logger/],
      ['return ak_create_jwt(user, provider, [])', 1, 8, /make no tokens/],
      ['return ak_call_policy("x")', 1, 8, /ak_is_group_member/],
      ['return open("/etc/passwd")', 1, 8, /there are no files/],
      ['import requests', 1, 1, /^requests cannot be imported/],
      ['import urllib.request', 1, 1, /^urllib\.request cannot be imported/],
      ['from urllib import request', 1, 1, /^urllib\.request cannot be imported/],
      ['from authentik.core.models import User', 1, 1, /server's own modules are not here/],
      ['if user:\n    import js', 2, 5, /stay in Python/],
      ['import nonsense', 1, 1, "there is no module nonsense here, only Python's own"],
      ['break', 1, 1, "'break' outside loop"],
    ] as const) {
      const problem = await expressions.check(expression);
      assert.deepEqual([problem?.line, problem?.column], [line, column], expression);
      if (typeof message === 'string') assert.equal(problem?.message, message);
      else assert.match(problem?.message ?? '', message);
    }
  });

  it('leaves names alone that the author made', async () => {
    assert.equal(await expressions.check('requests = [1]\nreturn requests'), undefined);
    assert.equal(await expressions.check('import urllib.parse\nreturn urllib.parse.quote("a b")'), undefined);
  });
});
