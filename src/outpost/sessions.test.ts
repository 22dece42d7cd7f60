import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';
import { ALICE, providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import type { Person } from './data-plane.test-helper.ts';
import { SessionCookie } from './session/session-cookie.ts';

const NGINX = '/outpost.goauthentik.io/auth/nginx';
const asked = { 'x-original-url': 'http://app.test/page?a=1' };
const navigation = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const xhr = { accept: 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };

describe('sessions', () => {
  let outpost: TestOutpost;
  const second = providerConfig({ pk: 2, external_host: 'http://other.test' });
  beforeEach(async () => {
    outpost = await TestOutpost.start([providerConfig(), second]);
    await outpost.login();
  });
  afterEach(() => outpost.stop());
  const check = async () => (await outpost.browse(NGINX, asked)).status;
  const event = (n: number, rest: object) => ({ n, until: Date.now() + 1e7, ...rest }) as never;
  const batch = (...events: never[]) => ({ epoch: 'e1', snapshot: false, n: 99, events });

  it('signs out: cookies gone, the session refused everywhere, the server told', async () => {
    const before = outpost.cookieHeader();
    const answer = await outpost.browse('/outpost.goauthentik.io/sign_out');
    assert.equal(answer.status, 302);
    assert.match(
      answer.headers.location ?? '',
      /^http:\/\/auth\.test\/application\/o\/app\/end-session\/\?id_token_hint=ey/,
    );
    assert.deepEqual(outpost.signOuts, [{ provider: 1, sid: ALICE.sid, uid: ALICE.sub }]);
    assert.equal(await check(), 401);
    assert.equal((await outpost.send(NGINX, { ...asked, ...before })).status, 401);
    const page = await outpost.browse('/outpost.goauthentik.io/sign_out');
    assert.equal(page.status, 200);
    assert.match(page.body, /You are signed out/);
  });

  it('signs out by the query signature on any address', async () => {
    const answer = await outpost.browse('/any?X-authentik-logout=true');
    assert.equal(answer.status, 302);
    assert.equal(await check(), 401);
  });

  it('are nothing at another application', async () => {
    const [name = '', value = ''] = [...outpost.jar].find(([n]) => /^authentik_proxy_[0-9a-f]{8}$/.test(n)) ?? [];
    const { cookie } = outpost.cookieHeader();
    const { cookieName } = await import('./session/cookies.ts');
    const other = cookieName('client-2');
    assert.notEqual(name, other);
    const stolen = await outpost.send(NGINX, {
      'x-original-url': 'http://other.test/x',
      host: 'other.test',
      cookie: `${cookie}; ${other}=${value}`,
    });
    assert.equal(stolen.status, 401);
  });

  it('end by events with a larger number only', async () => {
    outpost.plane.applyEvents(batch(event(10, { kind: 'session-ended', sid: ALICE.sid })));
    assert.equal(await check(), 200);
    outpost.plane.applyEvents(batch(event(11, { kind: 'session-ended', sid: 'another' })));
    assert.equal(await check(), 200);
    outpost.plane.applyEvents(batch(event(12, { kind: 'session-ended', sid: ALICE.sid })));
    assert.equal(await check(), 401);
  });

  it('end by the published instruction and by a denied person', async () => {
    outpost.plane.endedByPublishedInstruction('');
    assert.equal(await check(), 200);
    outpost.plane.applyEvents(batch(event(13, { kind: 'user-changed', uid: ALICE.sub, effect: 'deny' })));
    assert.equal(await check(), 401);
    await outpost.login('/x', { ...ALICE, sub: 'bob', sid: 'sid-of-bob' });
    assert.equal(await check(), 200);
    outpost.plane.endedByPublishedInstruction('sid-of-bob');
    assert.equal(await check(), 401);
  });

  it('are over at their time', async () => {
    outpost.pass(3598);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...xhr })).status, 200);
    outpost.pass(3);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...xhr })).status, 401);
  });

  it('get fresh claims after a change, once for many requests', async () => {
    let asks = 0;
    outpost.server.refresh = async (request) => {
      asks++;
      assert.deepEqual(request, { provider: 1, sid: ALICE.sid, uid: ALICE.sub });
      const changed: Person = { ...ALICE, claims: { ...ALICE.claims, groups: ['promoted'] } };
      const access_token = await outpost.server.sign('client-1', 'app', changed);
      return {
        result: 'token',
        access_token,
        gatehouse: { cursor: { epoch: 'e1', n: 50 }, headers: [['X-Team', 'red']] },
      };
    };
    outpost.plane.applyEvents(batch(event(50, { kind: 'user-changed', uid: ALICE.sub, effect: 'refresh' })));
    const old = outpost.cookieHeader();
    const answers = await Promise.all(Array.from({ length: 5 }, () => outpost.send(NGINX, { ...asked, ...old })));
    for (const { status, headers } of answers) {
      assert.equal(status, 200);
      assert.equal(headers['x-authentik-groups'], 'promoted');
      assert.equal(headers['x-team'], 'red');
    }
    assert.ok(answers.some(({ headers }) => headers['set-cookie']?.length === 1));
    assert.equal(asks, 1);
    const later = await outpost.send(NGINX, { ...asked, ...old });
    assert.equal(later.headers['x-authentik-groups'], 'promoted');
    assert.equal(later.headers['set-cookie'], undefined);
    assert.equal(asks, 1);
  });

  it('of many people at once all get fresh claims, with a bounded number of calls under way', async () => {
    const people = Array.from({ length: 40 }, (_, i) => ({ ...ALICE, sub: `sub-${i}`, sid: `sid-${i}` }));
    const cookies = [];
    for (const person of people) {
      outpost.jar.clear();
      await outpost.login('/x', person);
      cookies.push(outpost.cookieHeader());
    }
    let [now, most] = [0, 0];
    outpost.server.refresh = async ({ sid }) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now--;
      const person = people.find((p) => p.sid === sid) ?? ALICE;
      const changed: Person = { ...person, claims: { ...ALICE.claims, groups: ['promoted'] } };
      const access_token = await outpost.server.sign('client-1', 'app', changed);
      return { result: 'token', access_token, gatehouse: { cursor: { epoch: 'e1', n: 50 }, headers: [] } };
    };
    outpost.plane.applyEvents(batch(event(50, { kind: 'provider-changed', provider: 1 })));
    const answers = await Promise.all(cookies.map((cookie) => outpost.send(NGINX, { ...asked, ...cookie })));
    assert.deepEqual(new Set(answers.map(({ headers }) => headers['x-authentik-groups'])), new Set(['promoted']));
    assert.ok(most > 1 && most <= 16, `${most} at once`);
  });

  it('keep their claims for five minutes while the server is away, then are refused', async () => {
    outpost.channel.up = false;
    outpost.plane.applyEvents(batch(event(50, { kind: 'user-changed', uid: ALICE.sub, effect: 'refresh' })));
    assert.equal(await check(), 200);
    outpost.pass(299);
    assert.equal(await check(), 200);
    outpost.pass(10);
    assert.equal(await check(), 403);
    const page = await outpost.browse('/outpost.goauthentik.io/start?rd=/x');
    assert.equal(page.status, 503);
    assert.equal(page.headers['retry-after'], '2');
    outpost.channel.up = true;
    outpost.server.refresh = () => ({ result: 'ended' });
    outpost.pass(10);
    assert.equal(await check(), 401);
  });

  it('are asked about when no events come, each once, and are over when the server says so', async () => {
    let asks = 0;
    outpost.server.refresh = async () => ({
      result: 'token',
      access_token: (asks++, await outpost.server.sign('client-1', 'app', ALICE)),
      gatehouse: { cursor: { epoch: 'e1', n: 10 }, headers: [] },
    });
    outpost.pass(5);
    const since = () => outpost.server.now();
    outpost.plane.unfollowed(since());
    for (let i = 0; i < 3; i++) assert.equal(await check(), 200);
    assert.equal(asks, 1, 'asked about once');
    outpost.pass(15);
    outpost.plane.unfollowed(since());
    outpost.server.refresh = () => ({ result: 'ended' });
    assert.equal(await check(), 401);
  });

  it('are good for five minutes when no events come and nobody can be asked', async () => {
    outpost.channel.up = false;
    outpost.pass(5);
    for (let s = 0; s < 290; s += 29, outpost.pass(29)) {
      outpost.plane.unfollowed(outpost.server.now());
      assert.equal(await check(), 200);
    }
    outpost.pass(20);
    assert.equal(await check(), 403);
    outpost.plane.unfollowed(undefined);
    assert.equal(await check(), 200, 'events come again, and say nothing of this one');
  });

  it('that are signed out while fresh claims are under way are over', async () => {
    const report = { provider: 1, sid: ALICE.sid, uid: ALICE.sub };
    outpost.plane.configure((await import('./data-plane.test-helper.ts')).outpostInstance(), [
      providerConfig({ gatehouse: { ...providerConfig().gatehouse!, sign_out: 'application' } }),
    ]);
    outpost.server.refresh = async () => {
      outpost.pass(1);
      outpost.plane.signOut(report, outpost.server.now());
      outpost.pass(1);
      return {
        result: 'token',
        access_token: await outpost.server.sign('client-1', 'app', ALICE),
        gatehouse: { cursor: { epoch: 'e1', n: 50 }, headers: [] },
      };
    };
    outpost.plane.applyEvents(batch(event(50, { kind: 'user-changed', uid: ALICE.sub, effect: 'refresh' })));
    assert.equal(await check(), 401);
    assert.equal(await check(), 401);
  });

  it('are denied with a page when access was taken away, and open again when it is given back', async () => {
    outpost.server.refresh = () => ({ result: 'denied', reason: 'not-bound' });
    outpost.plane.applyEvents(batch(event(50, { kind: 'provider-changed', provider: 1 })));
    assert.equal(await check(), 401);
    const page = await outpost.browse('/outpost.goauthentik.io/start?rd=/secret');
    assert.equal(page.status, 403);
    assert.match(page.body, /You may not open Wiki/);
    assert.match(page.body, /alice/);
    assert.equal(page.headers.location, undefined);
    outpost.server.refresh = async () => ({
      result: 'token',
      access_token: await outpost.server.sign('client-1', 'app', ALICE),
      gatehouse: { cursor: { epoch: 'e1', n: 60 }, headers: [] },
    });
    outpost.plane.applyEvents(batch(event(60, { kind: 'provider-changed', provider: 1 })));
    assert.equal(await check(), 200);
  });

  for (const [result, status] of [
    ['denied', 403],
    ['ended', 302],
  ] as const) {
    it(`stay refused when the server is away after it said "${result}", whatever happens to others`, async () => {
      outpost.server.refresh = () => (result === 'denied' ? { result, reason: 'not-bound' } : { result });
      outpost.plane.applyEvents(batch(event(50, { kind: 'provider-changed', provider: 1 })));
      assert.equal(await check(), 401);
      const before = outpost.cookieHeader();
      const start = async () => (await outpost.send('/outpost.goauthentik.io/start?rd=/x', before)).status;
      for (const away of [() => (outpost.server.up = false), () => (outpost.channel.up = false)]) {
        away();
        outpost.plane.endedByPublishedInstruction(`somebody else ${outpost.channel.up}`);
        assert.equal(await start(), status);
        assert.equal(await check(), 401);
        outpost.pass(3);
        assert.equal(await check(), 401);
      }
      const { outpostInstance } = await import('./data-plane.test-helper.ts');
      outpost.plane.configure(outpostInstance(), [providerConfig({ name: 'Renamed' })]);
      assert.equal(await check(), 401, 'the session was opened anew');
    });
  }

  it('have their old claims for a while when they were refused, let in again, and the server is away', async () => {
    outpost.server.refresh = () => ({ result: 'denied', reason: 'not-bound' });
    outpost.plane.applyEvents(batch(event(50, { kind: 'provider-changed', provider: 1 })));
    assert.equal(await check(), 401);
    outpost.server.refresh = async () => ({
      result: 'token',
      access_token: await outpost.server.sign('client-1', 'app', ALICE),
      gatehouse: { cursor: { epoch: 'e1', n: 60 }, headers: [] },
    });
    outpost.plane.applyEvents(batch(event(60, { kind: 'provider-changed', provider: 1 })));
    assert.equal(await check(), 200);
    outpost.channel.up = false;
    outpost.plane.applyEvents(batch(event(70, { kind: 'provider-changed', provider: 1 })));
    assert.equal(await check(), 200);
  });

  it('ask once more when an event arrives while fresh claims are under way', async () => {
    const fresh = async (n: number) => ({
      result: 'token' as const,
      access_token: await outpost.server.sign('client-1', 'app', ALICE),
      gatehouse: { cursor: { epoch: 'e1', n }, headers: [] },
    });
    let asks = 0;
    outpost.server.refresh = async () => {
      if (++asks > 1) return { result: 'denied', reason: 'not-bound' };
      const answer = await fresh(50);
      outpost.plane.applyEvents(batch(event(60, { kind: 'provider-changed', provider: 1 })));
      return answer;
    };
    outpost.plane.applyEvents(batch(event(50, { kind: 'provider-changed', provider: 1 })));
    assert.equal(await check(), 401);
    assert.equal(asks, 2);

    outpost.server.refresh = () => (asks++, fresh(50));
    outpost.plane.applyEvents(batch(event(70, { kind: 'provider-changed', provider: 1 })));
    assert.equal(await check(), 200, 'the last claims count when there is no end of events');
    assert.equal(asks, 4);
  });

  it('that end while their fresh claims are sealed are over', async () => {
    const { seal } = SessionCookie.prototype;
    mock.method(SessionCookie.prototype, 'seal', function (this: SessionCookie, ...args: Parameters<typeof seal>) {
      outpost.plane.applyEvents(batch(event(60, { kind: 'session-ended', sid: ALICE.sid })));
      return seal.apply(this, args);
    });
    try {
      outpost.server.refresh = async () => ({
        result: 'token',
        access_token: await outpost.server.sign('client-1', 'app', ALICE),
        gatehouse: { cursor: { epoch: 'e1', n: 50 }, headers: [] },
      });
      outpost.plane.applyEvents(batch(event(50, { kind: 'provider-changed', provider: 1 })));
      assert.equal(await check(), 401);
    } finally {
      mock.restoreAll();
    }
  });

  it('never take the claims of somebody else', async () => {
    outpost.server.refresh = async () => ({
      result: 'token',
      access_token: await outpost.server.sign('client-1', 'app', { ...ALICE, sub: 'mallory' }),
      gatehouse: { cursor: { epoch: 'e1', n: 60 }, headers: [] },
    });
    outpost.plane.applyEvents(batch(event(50, { kind: 'user-changed', uid: ALICE.sub, effect: 'refresh' })));
    const answer = await outpost.browse(NGINX, asked);
    assert.equal(answer.headers['x-authentik-uid'], ALICE.sub);
  });

  it('are renewed silently past half their life, on navigations only', async () => {
    outpost.pass(1900);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...xhr })).status, 200);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation, 'content-type': 'text/plain' })).status, 200);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 401);
    const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/page', navigation);
    assert.equal(new URL(begun.headers.location ?? '').searchParams.get('prompt'), 'none');
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 200, 'one renewal at a time');
    await outpost.browse(outpost.server.login(begun.headers.location ?? ''));
    outpost.pass(1750);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 200);
  });

  it('go on when the renewal would have to ask the person', async () => {
    outpost.pass(1900);
    const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/page', navigation);
    const back = new URL(outpost.server.login(begun.headers.location ?? ''));
    back.searchParams.delete('code');
    back.searchParams.set('error', 'login_required');
    const answer = await outpost.browse(back.href);
    assert.equal(answer.headers.location, 'http://app.test/page');
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 200);
  });

  it('go on when the server goes away between the two steps of a renewal', async () => {
    const { fetch } = outpost.channel;
    const failures: (() => Promise<Response>)[] = [
      async () => Response.json({ error: 'The identity server is restarting.' }, { status: 503 }),
      () => Promise.reject(new TypeError('fetch failed')),
    ];
    outpost.pass(1810);
    for (const fail of failures) {
      const begun = await outpost.browse('/outpost.goauthentik.io/start?rd=/page', navigation);
      const back = outpost.server.login(begun.headers.location ?? '');
      outpost.pass(455); // however long it took: from here to the page and back would go on for ever
      Object.assign(outpost.channel, { fetch: fail });
      const answer = await outpost.browse(back).finally(() => Object.assign(outpost.channel, { fetch }));
      assert.equal(answer.headers.location, 'http://app.test/page');
      assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 200, 'not tried again at once');
      outpost.pass(455);
    }
  });

  it('are renewed at the second try when the server went away during the first, before scripts are refused', async () => {
    outpost.pass(1900);
    assert.equal((await outpost.browse('/outpost.goauthentik.io/start?rd=/page', navigation)).status, 302);
    outpost.pass(500);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 401);
    const again = await outpost.browse('/outpost.goauthentik.io/start?rd=/page', navigation);
    await outpost.browse(outpost.server.login(again.headers.location ?? ''));
    outpost.pass(1300);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...xhr })).status, 200);
  });

  it('that live for seconds only are not sent to and fro when their renewal comes to nothing', async () => {
    outpost.jar.clear();
    outpost.server.life = 4;
    await outpost.login('/page', ALICE);
    outpost.pass(2.1);
    assert.equal((await outpost.browse('/outpost.goauthentik.io/start?rd=/page', navigation)).status, 302);
    outpost.pass(0.7);
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 200);
  });

  it('are not renewed while the control link is down', async () => {
    outpost.pass(1900);
    outpost.channel.up = false;
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 200);
    outpost.channel.up = true;
    assert.equal((await outpost.browse(NGINX, { ...asked, ...navigation })).status, 401, 'up again');
  });

  it('survive a change of configuration, and a rotated cookie secret while the previous one is told', async () => {
    const rotated = providerConfig({
      name: 'Renamed',
      cookie_secret: 'ANOTHER',
      gatehouse: {
        ...DEFAULT_PROVIDER_SETTINGS,
        managed_headers: [],
        previous_cookie_secret: providerConfig().cookie_secret,
        applications: [],
      },
    });
    const { outpostInstance } = await import('./data-plane.test-helper.ts');
    outpost.plane.configure(outpostInstance(), [rotated, second]);
    const answer = await outpost.browse(NGINX, asked);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['x-authentik-meta-provider'], 'Renamed');
    outpost.plane.configure(outpostInstance(), [providerConfig({ cookie_secret: 'THIRD' })]);
    assert.equal(await check(), 401);
  });
});
