import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ACCOUNT_ATTEMPTS, ADDRESS_ATTEMPTS } from './limiter.ts';
import { addClient, addUser, PASSWORD, startServer, Visitor } from '../oidc/oidc.test-helper.ts';
import type { TestServer } from '../oidc/oidc.test-helper.ts';
import type { Change } from '../context.ts';
import { deleteUser, setPassword, updateUser } from '../directory/users.ts';

const LOGIN = '/if/flow/default-authentication-flow/';
const LOGOUT = '/if/flow/default-invalidation-flow/';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

describe('the login page', () => {
  let server: TestServer;
  let now = 0;

  before(async () => {
    server = await startServer({ now: () => Date.now() + now });
    await addUser(server.ctx, 'alice', { name: 'Alice A', email: 'alice@example.test' });
  });
  after(() => server.close());
  const visitor = (client = '198.51.100.1') => new Visitor(server.base, { 'x-test-client': client });

  it('is one small self-contained card, never cached or framed', async () => {
    const answer = await visitor().ask(LOGIN);
    const html = await answer.text();
    assert.ok(html.length < 30_000);
    assert.match(html, /name="username"[^>]*autocomplete="username"/);
    assert.match(html, /name="password"[^>]*autocomplete="current-password"/);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    const csp = answer.headers.get('content-security-policy') ?? '';
    assert.match(
      csp,
      /default-src 'none'; style-src 'self'; .*form-action 'self'; frame-ancestors 'none'; base-uri 'none'/,
    );
    assert.doesNotMatch(csp, /unsafe|http:/);
    const sheet = /href="(\/static\/[^"]+)"/.exec(html)?.[1] ?? '';
    const style = await visitor().ask(sheet);
    assert.match(style.headers.get('cache-control') ?? '', /immutable/);
    assert.equal(style.headers.get('content-type'), 'text/css; charset=utf-8');
  });

  it('signs in by username in any spelling, and by email', async () => {
    for (const name of ['alice', 'ALICE', ' Alice ', 'Alice@Example.test']) {
      const v = visitor();
      const answer = await v.signIn(name);
      assert.equal(answer.status, 303, name);
      assert.equal(answer.headers.get('location'), '/if/user/');
      const cookie = answer.headers.getSetCookie().find((c) => c.startsWith('authentik_session=')) ?? '';
      assert.match(cookie, /; Path=\/; HttpOnly; SameSite=Lax$/);
      assert.match(await (await v.ask('/if/user/')).text(), /Signed in as Alice A/);
    }
  });

  it('says the same for a wrong password, an unknown name and a switched-off account', async () => {
    const off = await addUser(server.ctx, 'former');
    await server.ctx.db.updateTable('user').set({ is_active: 0 }).where('id', '=', off.id).execute();
    const strip = (html: string, name: string) =>
      html.replaceAll(name, 'NAME').replace(/value="[\w-]{43}"|req-\w+/g, '');
    const pages = new Set<string>();
    for (const [name, password] of [
      ['alice', 'wrong'],
      ['nobody', 'wrong'],
      ['former', PASSWORD],
    ] as const) {
      const answer = await visitor().signIn(name, password);
      assert.equal(answer.status, 400);
      const html = await answer.text();
      assert.match(html, /The username or the password is not right/);
      assert.match(html, new RegExp(`value="${name}"`), 'what was typed stays');
      pages.add(strip(html, name));
    }
    assert.equal(pages.size, 1);
    const failed = await server.ctx.db
      .selectFrom('event')
      .select('context')
      .where('action', '=', 'login_failed')
      .execute();
    assert.ok(failed.length >= 3 && failed.every((e) => !e.context.includes(PASSWORD) && !e.context.includes('wrong')));
  });

  it('signs nobody in whose password or account was changed while the password was checked', async (t) => {
    const { ctx } = server;
    for (const [name, meanwhile] of [
      ['bea', (tx: Change, id: number) => setPassword(tx, id, 'another hash')],
      ['ben', (tx: Change, id: number) => updateUser(tx, id, { is_active: false })],
      ['bob', (tx: Change, id: number) => deleteUser(tx, id)],
    ] as const) {
      const { id } = await addUser(ctx, name);
      // asked between the check and the making of the session, for the session this browser had
      const looked = t.mock.method(ctx.sessions, 'findByKey', async () => {
        await ctx.change((tx) => meanwhile(tx, id).then(() => undefined));
        return undefined;
      });
      const answer = await visitor().signIn(name);
      assert.equal(looked.mock.callCount(), 1);
      looked.mock.restore();
      assert.equal(answer.status, 400, name);
      assert.match(await answer.text(), /The username or the password is not right/);
      assert.ok(answer.headers.getSetCookie().every((c) => !c.startsWith('authentik_session=')));
      const made = await ctx.db.selectFrom('session').select('sid').where('user_id', '=', id).execute();
      assert.deepEqual(made, []);
    }
  });

  it('names empty fields', async () => {
    const html = await (await visitor().signIn(' ', '')).text();
    assert.match(html, /Enter your username/);
    assert.match(html, /Enter your password/);
  });

  it('goes on only to paths of this server, and not in circles', async () => {
    for (const [next, target] of [
      ['/if/user/?a=1', '/if/user/?a=1'],
      ['//evil.test', '/if/user/'],
      ['https://evil.test/', '/if/user/'],
      ['/\\evil.test', '/if/user/'],
      [LOGIN, '/if/user/'],
      [LOGOUT, '/if/user/'],
    ] as const) {
      const page = `${LOGIN}?next=${encodeURIComponent(next)}`;
      const v = visitor();
      assert.equal((await v.submit(page, { username: 'alice', password: PASSWORD })).headers.get('location'), target);
      const again = await v.ask(page);
      assert.deepEqual([again.status, again.headers.get('location')], [302, target], 'signed in already');
    }
  });

  it('changes the session key at login and ends the one before', async () => {
    const v = visitor();
    v.cookies.set('authentik_session', 'planted-by-somebody');
    await v.signIn('alice');
    const first = v.cookies.get('authentik_session') ?? '';
    assert.notEqual(first, 'planted-by-somebody');
    const login = await (await v.ask(`${LOGIN}?again=1`)).text();
    await v.submitHtml(LOGIN, login, { username: 'alice', password: PASSWORD });
    assert.notEqual(v.cookies.get('authentik_session'), first);
    assert.equal(await server.ctx.sessions.findByKey(first), undefined);
  });

  it('refuses forms from elsewhere and without the token of this browser', async () => {
    const v = visitor();
    const fields = { username: 'alice', password: PASSWORD };
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.test' },
      { origin: 'null' },
    ]) {
      const answer = await v.submit(LOGIN, fields, headers);
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.match(await answer.text(), /not-same-origin/);
    }
    const body = new URLSearchParams({ ...fields, csrf: 'x'.repeat(43) });
    assert.equal((await v.ask(LOGIN, { method: 'POST', body, headers: FORM })).status, 403);
    const noCookies = visitor();
    const html = await (await noCookies.ask(LOGIN)).text();
    noCookies.cookies.clear();
    const expired = await noCookies.submitHtml(LOGIN, html, fields);
    assert.equal(expired.status, 403);
    assert.match(await expired.text(), /form-expired/);
    noCookies.cookies.clear();
    const blocked = await noCookies.submitHtml(LOGIN, html, fields, { 'sec-fetch-site': 'same-origin' });
    assert.match(await blocked.text(), /cookies are blocked/);
    assert.equal((await v.submit(LOGIN, fields, { 'sec-fetch-site': 'same-origin', origin: server.base })).status, 303);
    // of two tabs opened at once only one keeps its cookie, and both must work
    const other = await (await v.ask(`${LOGIN}?again=1`)).text();
    v.cookies.set('authentik_csrf', 'y'.repeat(43));
    assert.equal((await v.submitHtml(LOGIN, other, fields, { 'sec-fetch-site': 'same-origin' })).status, 303);
    const big = new URLSearchParams({ ...fields, filler: 'x'.repeat(100_000) });
    assert.equal((await v.ask(LOGIN, { method: 'POST', body: big, headers: FORM })).status, 413);
  });

  it('slows down guessing per account, in any spelling and from any address, and says when to go on', async () => {
    const spellings = ['dave', 'DAVE', 'dave@example.test', ' Dave '];
    await addUser(server.ctx, 'dave', { email: 'dave@example.test' });
    for (const [name, own] of [
      ['dave', spellings],
      ['ghost', ['ghost', 'GHOST']],
    ] as const) {
      for (let i = 0; i < ACCOUNT_ATTEMPTS; i++) {
        assert.equal((await visitor(`192.0.2.${i}`).signIn(own[i % own.length] ?? '', 'guess')).status, 400);
      }
      const limited = await visitor('192.0.2.200').signIn(name);
      assert.equal(limited.status, 429, 'also with the right password');
      assert.ok(Number(limited.headers.get('retry-after')) > 500);
      assert.match(await limited.text(), /try again in 10 minutes/);
    }
    assert.equal((await visitor('192.0.2.200').signIn('alice')).status, 303, 'others are not in the way');
    now += 11 * 60_000;
    assert.equal((await visitor('192.0.2.200').signIn('dave')).status, 303);
  });

  /** So many browsers of one address hold the page, then all send the form at once. @returns how often each status came */
  const signInAtOnce = async (count: number, name: (i: number) => string, password: string, client: string) => {
    const visitors = Array.from({ length: count }, () => visitor(client));
    const forms = await Promise.all(visitors.map(async (v) => (await v.ask(LOGIN)).text()));
    const answers = await Promise.all(
      visitors.map((v, i) => v.submitHtml(LOGIN, forms[i] ?? '', { username: name(i), password })),
    );
    const statuses: Record<number, number> = {};
    for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1;
    return statuses;
  };

  it('signs in everybody who comes at once with the right password, from one address', async () => {
    await addUser(server.ctx, 'kiosk');
    assert.deepEqual(await signInAtOnce(30, () => 'kiosk', PASSWORD, '192.0.2.78'), { 303: 30 });
  });

  it('looks at no more wrong passwords of a burst than one after the other', async () => {
    await addUser(server.ctx, 'erin');
    const statuses = await signInAtOnce(30, () => 'erin', 'guess', '192.0.2.79');
    assert.deepEqual(statuses, { 400: ACCOUNT_ATTEMPTS, 429: 30 - ACCOUNT_ATTEMPTS });
    assert.equal((await visitor('192.0.2.80').signIn('erin')).status, 429);
  });

  it('slows down guessing per address', async () => {
    const statuses = await signInAtOnce(ADDRESS_ATTEMPTS + 15, (i) => `name${i}`, 'guess', '192.0.2.77');
    assert.deepEqual(statuses, { 400: ADDRESS_ATTEMPTS, 429: 15 });
    assert.equal((await visitor('192.0.2.77').signIn('alice')).status, 429);
  });
});

describe('portal, logout and set-up', () => {
  let server: TestServer;

  before(async () => {
    server = await startServer();
  });
  after(() => server.close());

  it('the set-up link sets the password once, signs in, and cannot be opened again', async () => {
    const page = (token: string) => `/if/flow/initial-setup/?token=${token}`;
    const v = new Visitor(server.base);
    for (const bad of ['', 'nonsense', `${server.setupToken}x`]) {
      const answer = await v.ask(page(bad));
      assert.equal(answer.status, 403);
      assert.match(await answer.text(), /setup-closed/);
    }
    const token = server.setupToken ?? '';
    const short = await v.submit(page(token), { password: 'short', repeat: 'shorter', email: 'nope' });
    assert.equal(short.status, 400);
    const html = await short.text();
    for (const text of [/at least 10 characters/, /are not the same/, /not an email address/]) assert.match(html, text);
    const done = await v.submit(page(token), { password: PASSWORD, repeat: PASSWORD, email: 'root@example.test' });
    assert.equal(done.status, 303, await done.text());
    assert.equal((await v.ask('/if/user/')).status, 200);
    assert.equal((await v.ask(page(token))).status, 403);
    const late = await new Visitor(server.base).signIn('akadmin');
    assert.equal(late.status, 303);
    const user = await server.ctx.db
      .selectFrom('user')
      .select('email')
      .where('username', '=', 'akadmin')
      .executeTakeFirstOrThrow();
    assert.equal(user.email, 'root@example.test');
  });

  it('the portal lists what the person may open', async () => {
    const alice = await addUser(server.ctx, 'alice');
    await addUser(server.ctx, 'eve');
    await addClient(server.ctx, 'wiki', { name: '<Team & Wiki>', users: [alice] });
    const eve = new Visitor(server.base);
    assert.equal(
      (await eve.ask('/if/user/')).headers.get('location'),
      '/if/flow/default-authentication-flow/?next=%2Fif%2Fuser%2F',
    );
    assert.equal((await eve.ask('/')).headers.get('location'), '/if/user/');
    await eve.signIn('eve');
    assert.match(await (await eve.ask('/if/user/')).text(), /No applications yet/);
    const visitor = new Visitor(server.base);
    await visitor.signIn('alice');
    const html = await (await visitor.ask('/if/user/')).text();
    assert.match(html, /&lt;Team &amp; Wiki&gt;/);
    assert.match(html, /href="http:\/\/wiki\.app\.test\/"/);
  });

  it('logout asks first, ends the session, and does not sign in again by itself', async () => {
    const v = new Visitor(server.base);
    await v.signIn('alice');
    const key = v.cookies.get('authentik_session') ?? '';
    assert.match(await (await v.ask(LOGOUT)).text(), /You are signed in as alice/);
    assert.ok(await server.ctx.sessions.findByKey(key), 'a GET changes nothing');
    assert.equal((await v.ask(LOGOUT, { method: 'POST', body: new URLSearchParams(), headers: FORM })).status, 403);
    const out = await v.submit(LOGOUT, {});
    assert.equal(out.headers.get('location'), LOGOUT);
    assert.equal(await server.ctx.sessions.findByKey(key), undefined);
    const page = await v.ask(LOGOUT);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /You are signed out/);
    const events = await server.ctx.db.selectFrom('event').select('action').where('action', '=', 'logout').execute();
    assert.equal(events.length, 1);
  });

  it('keeps the published short addresses, with their query', async () => {
    const v = new Visitor(server.base);
    assert.equal((await v.ask('/flows/-/default/authentication/?next=/x')).headers.get('location'), `${LOGIN}?next=/x`);
    assert.equal((await v.ask('/flows/-/default/invalidation/')).headers.get('location'), LOGOUT);
  });
});
