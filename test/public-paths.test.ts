import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { AccessRule } from '../src/contract/provider-settings.ts';
import { Asker, DIALECTS, toldUser } from './harness/asking.ts';
import type { Dialect } from './harness/asking.ts';
import { Scene } from './harness/scene.ts';

const SKIPPED = '^/public/\n^/assets/.*\\.css$\n\n(?i)^/health$\n/embed/.*\\.js$';
const rule = (pattern: string, over: Partial<AccessRule>): AccessRule => {
  return { match: 'glob', pattern, methods: [], effect: 'public', groups: [], ...over };
};
const RULES = [
  rule('/feed', { methods: ['GET'] }),
  rule('/hook/*', { methods: ['POST'] }),
  rule('/docs/internal/**', { effect: 'signed_in' }),
  rule('/docs/**', {}),
  rule('^/v[0-9]+/status$', { match: 'regex' }),
  rule('/old/**', { effect: 'deny' }),
  rule('/staff/**', { effect: 'groups', groups: ['staff'] }),
];

/** `open`: anybody passes. `login`: asked to sign in. `denied`: whoever asks. `refused`: the address itself. */
type Expected = 'open' | 'login' | 'denied' | 'refused';
type Row = [target: string, expected: Expected, method?: string, withoutMethod?: Expected];

/** For nobody in particular. */
const TABLE: Row[] = [
  ['/', 'login'],
  ['/private', 'login'],
  // skip_path_regex: found anywhere in the path, case as written
  ['/public/', 'open'],
  ['/public/x', 'open'],
  ['/public/x/y.html', 'open'],
  ['/public', 'login'],
  ['/publicity', 'login'],
  ['/x/public/', 'login'],
  ['/Public/x', 'login'],
  ['/assets/a.css', 'open'],
  ['/assets/deep/a.css', 'open'],
  ['/assets/a.css.map', 'login'],
  ['/assets/a.js', 'login'],
  ['/health', 'open'],
  ['/HEALTH', 'open'],
  ['/health/', 'login'],
  ['/x/embed/a.js', 'open'],
  // never the query, never the fragment, never parameters
  ['/public/x?next=/admin', 'open'],
  ['/public/?a=/../b', 'open'],
  ['/admin?x=/public/', 'login'],
  ['/admin?/assets/x.css', 'login'],
  ['/assets/x?y=.css', 'login'],
  ['/admin%3f/public/', 'login'],
  ['/admin%23/public/', 'login'],
  ['/admin;/public/', 'login'],
  ['/admin;x=.css', 'login'],
  ['/assets/admin;x.css', 'login'],
  ['/public/x;v=1', 'open'],
  ['/public/;x/y', 'open'],
  // what is encoded once is what it says
  ['/publ%69c/x', 'open'],
  ['/%70ublic/x', 'open'],
  ['/public/caf%C3%A9', 'open'],
  ['/public/a%20b', 'open'],
  ['/public/100%25', 'open'],
  ['/p%75blicity', 'login'],
  // several slashes: for every reading
  ['/public//x', 'open'],
  ['//public/x', 'login'],
  ['/x//public/y', 'login'],
  ['/assets//a.css', 'open'],
  // what no honest client sends
  ['/public/../admin', 'refused'],
  ['/public/./x', 'refused'],
  ['/public/..', 'refused'],
  ['/public/%2e%2e/admin', 'refused'],
  ['/public/.%2e/admin', 'refused'],
  ['/public/%252e%252e/admin', 'refused'],
  ['/public/..;/admin', 'refused'],
  ['/public/..;x=y/admin', 'refused'],
  ['/public%2f..%2fadmin', 'refused'],
  ['/public/..%5cadmin', 'refused'],
  ['/public\\..\\admin', 'refused'],
  ['/public/..%00/admin', 'refused'],
  ['/public/%0d%0ax', 'refused'],
  ['/docs/../old/x', 'refused'],
  // what servers read in different ways
  ['/public%2fx', 'refused'],
  ['/public/a%2Fb', 'refused'],
  ['/public/a%5cb', 'refused'],
  ['/public/%2525', 'refused'],
  ['/public/a%252fb', 'refused'],
  ['/public/%zz', 'refused'],
  ['/public/%ff', 'refused'],
  ['/public/%c0%ae', 'refused'],
  ['/private%2fx', 'refused'],
  // access rules, in order
  ['/feed', 'open', 'GET', 'login'],
  ['/feed', 'open', 'HEAD', 'login'],
  ['/feed', 'login', 'POST'],
  ['/feed/', 'open', 'GET', 'login'],
  ['/feed/x', 'login'],
  ['/FEED', 'login'],
  ['/hook/a', 'open', 'POST', 'login'],
  ['/hook/a', 'login', 'GET'],
  ['/hook/a/b', 'login', 'POST'],
  ['/hook/', 'login', 'POST'],
  ['/docs', 'open'],
  ['/docs/', 'open'],
  ['/docs/a/b', 'open', 'DELETE'],
  ['/docs/internal', 'login'],
  ['/docs/internal/x', 'login'],
  ['/docs/INTERNAL/x', 'login'],
  ['/docs//internal/x', 'login'],
  ['/docs/;a/internal/x', 'login'],
  ['/docsx', 'login'],
  ['/docs%2finternal', 'refused'],
  ['/v1/status', 'open'],
  ['/v12/status', 'open'],
  ['/v1/status/x', 'login'],
  ['/vx/status', 'login'],
  ['/old', 'denied'],
  ['/old/x', 'denied', 'POST'],
  ['/Old/x', 'denied'],
  ['/old;x/y', 'denied'],
  ['/older', 'login'],
  ['/staff/x', 'login'],
  [`/public/${'a'.repeat(8000)}`, 'open'],
  [`/public/${'a'.repeat(9000)}`, 'refused'],
];

const STATUS: Record<'nginx' | 'others', Record<Exclude<Expected, 'refused'>, number>> = {
  nginx: { open: 200, login: 401, denied: 401 },
  others: { open: 200, login: 401, denied: 403 },
};

describe('public paths', () => {
  let scene: Scene;
  let asker: Asker;

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 } });
    await scene.provision.group('staff');
    const settings = { provider: { skip_path_regex: SKIPPED }, gatehouse: { access_rules: RULES } };
    await scene.application('carried', settings);
    await scene.application('asked', { ...settings, mode: 'forward_single' });
    asker = new Asker(scene.gatehouse.port);
  });
  after(async () => {
    asker?.close();
    await scene?.stop();
  });
  afterEach((t) => scene?.explain(t));

  it('are at least sixty in the table, with ambiguous ones', () => {
    assert.ok(new Set(TABLE.map(([target, , method]) => `${method} ${target}`)).size >= 60);
    assert.ok(TABLE.filter(([, expected]) => expected === 'refused').length >= 20);
  });

  for (const dialect of Object.keys(DIALECTS) as Dialect[]) {
    it(`are open, and nothing else is: ${dialect}`, async () => {
      const wrong: string[] = [];
      for (const [target, expected, method = 'GET', withoutMethod = expected] of TABLE) {
        const host = `${dialect === 'proxy' ? 'carried' : 'asked'}.test:${scene.gatehouse.port}`;
        const heard = await asker.ask(dialect, { host, method, target, cookie: '' });
        const meant = dialect === 'nginx' ? withoutMethod : expected;
        const statuses = STATUS[dialect.startsWith('nginx') ? 'nginx' : 'others'];
        const fits =
          meant === 'refused'
            ? heard.status === 403 || (heard.status === 400 && !dialect.startsWith('nginx'))
            : heard.status === statuses[meant];
        if (!fits) wrong.push(`${method} ${target.slice(0, 60)}: ${heard.status}, meant to be ${meant}`);
        if (heard.status === 200 && method !== 'HEAD')
          assert.equal(toldUser(dialect, heard), '', 'nobody in particular');
      }
      assert.deepEqual(wrong, []);
    });
  }
});
