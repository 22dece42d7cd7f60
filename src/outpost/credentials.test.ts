import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { IdentityEvent } from '../contract/extension.ts';
import { ALICE, BASE, providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import type { Answer, Person } from './data-plane.test-helper.ts';

const CHECK = '/outpost.goauthentik.io/auth/traefik';
const ROBOT: Person = {
  sub: 'uid-of-robot',
  sid: '',
  claims: { ...ALICE.claims, preferred_username: 'robot', groups: ['machines'] },
};

describe('credentials in Authorization', () => {
  let outpost: TestOutpost;
  let n = 100;
  before(async () => {
    outpost = await TestOutpost.start([providerConfig(), providerConfig({ pk: 2, external_host: 'http://two.test' })]);
  });
  after(() => outpost.stop());

  const ask = (headers: Record<string, string>, host = 'app.test') =>
    outpost.send(CHECK, { 'x-forwarded-host': host, 'x-forwarded-uri': '/x', ...headers });
  const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const calls = (path = '/application/o/token/') => outpost.server.calls.filter((call) => call === path).length;
  const user = (answer: Answer) => (answer.status === 200 ? answer.headers['x-authentik-username'] : answer.status);
  const happens = (event: Record<string, unknown>) => {
    n++;
    const events = [{ n, until: Date.now() + 1e7, ...event } as IdentityEvent];
    outpost.plane.applyEvents({ epoch: 'e1', snapshot: false, n, events });
    outpost.server.extension.cursor.n = n;
  };

  it('asks as published: user name and password; our own server is shown the secret of the client, too', async () => {
    const authorization = outpost.server.basic('robot', ROBOT);
    assert.equal(user(await ask({ authorization })), 'robot');
    const form = outpost.server.forms.at(-1);
    assert.deepEqual(Object.fromEntries(form ?? []), {
      client_id: 'client-1',
      client_secret: 'a client secret of some length',
      grant_type: 'client_credentials',
      username: 'robot',
      password: 'app password: of robot ä',
      scope: 'openid profile ak_proxy',
    });
  });

  it('asks once in a minute, and once again after it', async () => {
    const authorization = outpost.server.basic('minute', ROBOT);
    const before = calls();
    for (let i = 0; i < 5; i++) assert.equal(user(await ask({ authorization })), 'robot');
    assert.equal(calls(), before + 1);
    assert.deepEqual(
      outpost.log.slice(-5).map(({ reason }) => reason),
      ['credentials', ...Array<string>(4).fill('credentials-cached')],
    );
    outpost.pass(61);
    assert.equal(user(await ask({ authorization })), 'robot');
    assert.equal(calls(), before + 2);
  });

  it('asks once for many that come at once', async () => {
    const authorization = outpost.server.basic('many', ROBOT);
    const before = calls();
    let go = () => {};
    outpost.server.hold = new Promise((resolve) => (go = resolve));
    const answers = Array.from({ length: 20 }, () => ask({ authorization }));
    while (calls() === before) await new Promise(setImmediate);
    go();
    outpost.server.hold = undefined;
    for (const answer of await Promise.all(answers)) assert.equal(user(answer), 'robot');
    assert.equal(calls(), before + 1);
  });

  it('keeps providers apart', async () => {
    const authorization = outpost.server.basic('apart', ROBOT);
    const before = calls();
    assert.equal(user(await ask({ authorization })), 'robot');
    assert.equal(user(await ask({ authorization }, 'two.test')), 'robot');
    assert.equal(calls(), before + 2);
    assert.equal(outpost.server.forms.at(-1)?.get('client_id'), 'client-2');
  });

  it('gives a session that needs no credentials any more', async () => {
    const authorization = outpost.server.basic('cookie', ROBOT);
    for (const round of [1, 2]) {
      const [cookie = ''] = (await ask({ authorization })).headers['set-cookie'] ?? [];
      const before = outpost.server.calls.length;
      assert.equal(user(await ask({ cookie: cookie.split(';')[0] ?? '' })), 'robot', `round ${round}`);
      assert.equal(outpost.server.calls.length, before);
    }
  });

  it('does not renew such a session over a login, which may be of somebody else', async () => {
    const authorization = outpost.server.basic('renew', ROBOT);
    const [cookie = ''] = (await ask({ authorization })).headers['set-cookie'] ?? [];
    outpost.pass(2000);
    const navigation = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'x-forwarded-method': 'GET' };
    assert.equal(user(await ask({ cookie: cookie.split(';')[0] ?? '', ...navigation })), 'robot');
  });

  it('asks again at once when the person changed, and takes what is said then', async () => {
    const person = { ...ROBOT, claims: { ...ROBOT.claims } };
    const authorization = outpost.server.basic('changing', person);
    assert.equal((await ask({ authorization })).headers['x-authentik-groups'], 'machines');
    person.claims['groups'] = ['others'];
    assert.equal((await ask({ authorization })).headers['x-authentik-groups'], 'machines');
    happens({ kind: 'user-changed', uid: ROBOT.sub, effect: 'refresh' });
    assert.equal((await ask({ authorization })).headers['x-authentik-groups'], 'others');
  });

  for (const [what, event] of Object.entries({
    'the person was switched off': { kind: 'user-changed', uid: ROBOT.sub, effect: 'deny' },
    'the app password is gone': { kind: 'credential-ended', credential: 'handle-1' },
    'rules changed': { kind: 'provider-changed', provider: 1 },
    'everything changed': { kind: 'everybody', effect: 'deny' },
  })) {
    it(`does not believe the cache when ${what}, nor the session`, async () => {
      const authorization = outpost.server.basic(`ending as ${what}`, ROBOT);
      outpost.server.extension.credentials = ['handle-1'];
      const answer = await ask({ authorization });
      assert.equal(user(answer), 'robot');
      const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
      outpost.server.appPasswords.clear();
      happens(event);
      assert.equal(user(await ask({ authorization })), 401);
      assert.equal(user(await ask({ authorization, cookie })), 401);
      assert.notEqual(user(await ask({ cookie })), 'robot');
      delete outpost.server.extension.credentials;
    });
  }

  it('believes no answer that an event overtook', async () => {
    const authorization = outpost.server.basic('overtaken', ROBOT);
    let go = () => {};
    outpost.server.hold = new Promise((resolve) => (go = resolve));
    const before = calls();
    const answer = ask({ authorization });
    while (calls() === before) await new Promise(setImmediate);
    const { cursor } = outpost.server.extension;
    const old = cursor.n;
    happens({ kind: 'user-changed', uid: ROBOT.sub, effect: 'deny' });
    cursor.n = old; // read before
    go();
    outpost.server.hold = undefined;
    assert.equal(user(await answer), 401);
    cursor.n = n;
    assert.equal(user(await ask({ authorization })), 'robot');
  });

  it('tells nothing from an app password of another account', async () => {
    const own = outpost.server.basic('own', ROBOT);
    assert.equal(user(await ask({ authorization: own })), 'robot');
    assert.equal(user(await ask({ authorization: basic('other', 'app password: of own ä') })), 401);
  });

  it('asks about wrong ones every ten seconds, and at once when something changed', async () => {
    const authorization = basic('wrong', 'wrong');
    const before = calls();
    for (let i = 0; i < 5; i++) assert.equal(user(await ask({ authorization })), 401);
    assert.equal(calls(), before + 1);
    outpost.pass(11);
    assert.equal(user(await ask({ authorization })), 401);
    assert.equal(calls(), before + 2);
    outpost.server.appPasswords.set('wrong', { password: 'wrong', person: ROBOT });
    happens({ kind: 'provider-changed', provider: 1 });
    assert.equal(user(await ask({ authorization })), 'robot');
  });

  it('never asks about what is no credential, or not signed by the server', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const jwk = await exportJWK(publicKey);
    const claims = { iss: `${BASE}/application/o/app/`, aud: 'client-1', sub: ROBOT.sub, exp: Date.now() };
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forged = (header: object) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(privateKey);
    const own = (await outpost.server.bearer('client-1', ROBOT)).slice('Bearer '.length);
    const expired = await outpost.server.sign('client-1', 'app', ROBOT, { exp: Math.floor(Date.now() / 1000) - 9e5 });
    await ask({ authorization: `Bearer ${own}` }); // the key set is fetched
    const before = outpost.server.calls.length;
    for (const header of [
      'Bearer x',
      'Negotiate YTpi',
      basic('a', ''),
      `Bearer ${encode({ alg: 'none' })}.${encode(claims)}.AAAA`,
      `Bearer ${await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(Buffer.from('a client secret of some length'))}`,
      `Bearer ${await forged({})}`,
      `Bearer ${await forged({ jwk })}`,
      `Bearer ${await forged({ jku: 'http://evil.test/jwks', x5u: 'http://evil.test/cert' })}`,
      `Bearer ${expired}`,
      `Bearer ${own.slice(0, -8)}AAAAAAAA`,
    ]) {
      assert.equal(user(await ask({ authorization: header })), 401, header.slice(0, 60));
    }
    assert.equal(outpost.server.calls.length, before);
  });

  it('believes about a token only what the server says of it', async () => {
    const authorization = await outpost.server.bearer('client-1', ROBOT);
    assert.equal(user(await ask({ authorization })), 'robot');
    const form = outpost.server.forms.at(-1);
    assert.equal(form?.get('client_secret'), 'a client secret of some length');
    assert.equal(form?.get('token'), authorization.slice('Bearer '.length));
    const revoked = await outpost.server.bearer('client-1', { ...ROBOT, sub: 'uid-of-another' });
    outpost.server.issued.delete(revoked.slice('Bearer '.length));
    assert.equal(user(await ask({ authorization: revoked })), 401);
    const somebodyElses = await outpost.server.bearer('client-1', ROBOT);
    outpost.server.issued.set(somebodyElses.slice('Bearer '.length), ALICE);
    assert.equal(user(await ask({ authorization: somebodyElses })), 503);
  });

  it('takes no token of another provider where the server is not ours', async () => {
    const { gatehouse: _, ...published } = providerConfig();
    const other = await TestOutpost.start([published as ReturnType<typeof providerConfig>]);
    const sent = async (client: string) => {
      const authorization = await other.server.bearer(client, ROBOT);
      return other.send(CHECK, { 'x-forwarded-host': 'app.test', 'x-forwarded-uri': '/x', authorization });
    };
    assert.equal(user(await sent('client-2')), 401);
    assert.ok(!other.server.calls.includes('/application/o/introspect/'));
    assert.equal(user(await sent('client-1')), 'robot');
    await other.stop();
  });

  it('keeps to itself the credentials a session was made from, in any spelling, and nothing else beside it', async () => {
    const authorization = outpost.server.basic('jar', ROBOT);
    const first = await ask({ authorization });
    const cookie = String(first.headers['set-cookie']?.[0]).split(';')[0] ?? '';
    const beside = async (sent: string) => {
      const answer = await ask({ authorization: sent, cookie });
      assert.equal(user(answer), 'robot');
      return answer.headers['authorization'];
    };
    assert.equal(await beside(authorization), undefined);
    assert.equal(await beside(authorization.replace('Basic', 'bASIC')), undefined);
    assert.equal(await beside(authorization.replace(/=+$/, '')), undefined);
    for (const others of [basic('jar', 'of the application'), 'Bearer of.the.application', 'Token x']) {
      assert.equal(await beside(others), others);
    }
    happens({ kind: 'user-changed', uid: ROBOT.sub });
    assert.equal(await beside(authorization), undefined, 'with fresh claims');
  });

  it('keeps to itself what it could not look at, where nobody in particular is let in', async () => {
    const open = await TestOutpost.start([providerConfig({ skip_path_regex: '^/public/' })]);
    const sent = async (authorization: string, from = '192.0.2.1') => {
      const headers = { 'x-forwarded-host': 'app.test', 'x-forwarded-uri': '/public/x', 'x-forwarded-for': from };
      const answer = await open.send(CHECK, { ...headers, authorization });
      assert.equal(answer.status, 200);
      return answer.headers['authorization'];
    };
    const authorization = open.server.basic('robot', ROBOT);
    const wrong = basic('robot', 'of the application');
    open.channel.up = false;
    assert.equal(await sent(authorization), undefined, 'the server is away');
    assert.equal(await sent('Token x'), 'Token x', 'nothing we could know');
    open.channel.up = true;
    assert.equal(await sent(wrong), wrong, 'known to be wrong');
    for (let i = 0; i < 12; i++) await sent(basic('robot', `wrong ${i}`));
    assert.equal(await sent(authorization), undefined, 'too many wrong ones before');
    await open.stop();
  });

  it('lets right credentials in that come in a burst', async () => {
    const pks = Array.from({ length: 20 }, (_, i) => i + 1);
    const hosts = pks.map((pk) => `burst-${pk}.test`);
    const many = await TestOutpost.start(
      pks.map((pk, i) => providerConfig({ pk, external_host: `http://${hosts[i]}` })),
    );
    const here = { 'x-forwarded-uri': '/x', authorization: many.server.basic('robot', ROBOT) };
    const machine = await Promise.all(hosts.map((host) => many.send(CHECK, { 'x-forwarded-host': host, ...here })));
    assert.deepEqual(new Set(machine.map(({ status }) => status)), new Set([200]));
    const crowd = Array.from({ length: 100 }, (_, i) => many.server.basic(`robot-${i}`, ROBOT));
    const answers = await Promise.all(
      crowd.map((authorization) => many.send(CHECK, { ...here, 'x-forwarded-host': hosts[0] ?? '', authorization })),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    await many.stop();
  });

  it('says so when the server cannot be asked, and asks when it can', async () => {
    const authorization = outpost.server.basic('away', ROBOT);
    outpost.server.up = false;
    const answer = await ask({ authorization });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '2');
    assert.match(answer.body, /credentials-unchecked/);
    outpost.server.up = true;
    outpost.channel.up = false;
    assert.equal(user(await ask({ authorization })), 503);
    outpost.channel.up = true;
    assert.equal(user(await ask({ authorization })), 'robot');
  });

  it('keeps no credential in a log line', async () => {
    const authorization = outpost.server.basic('logged', ROBOT);
    await ask({ authorization });
    await ask({ authorization: basic('logged', 'wrong secret') });
    const text = JSON.stringify(outpost.log.map(({ rawHeaders: _, ...line }) => line));
    for (const secret of ['wrong secret', 'app password', authorization.slice(6)]) assert.ok(!text.includes(secret));
  });
});

describe('guessing credentials', () => {
  let outpost: TestOutpost;
  before(async () => {
    outpost = await TestOutpost.start([providerConfig()]);
  });
  after(() => outpost.stop());
  const guess = (password: string, from = '192.0.2.1', username = 'robot') =>
    outpost.send(CHECK, {
      'x-forwarded-host': 'app.test',
      'x-forwarded-uri': '/x',
      'x-forwarded-for': from,
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
    });

  it('is stopped after ten of an address for an account, in a burst too, before the server is asked', async () => {
    outpost.server.basic('robot', ROBOT);
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => guess(`wrong ${i}`)));
    assert.equal(answers.filter(({ status }) => status === 401).length, 10);
    assert.equal(answers.filter(({ status }) => status === 429).length, 20);
    assert.equal(answers.find(({ status }) => status === 429)?.headers['retry-after'], '600');
    assert.equal(outpost.server.calls.filter((call) => call === '/application/o/token/').length, 10);
    assert.equal((await guess('app password: of robot ä')).status, 429);
    assert.equal((await guess('app password: of robot ä', '192.0.2.2')).status, 200);
    assert.equal((await guess('wrong again', '192.0.2.2')).status, 401);
    outpost.pass(601);
    assert.equal((await guess('app password: of robot ä')).status, 200);
  });

  it('is not what a script does that sends the same outdated password for ever', async () => {
    for (let i = 0; i < 100; i++) {
      assert.equal((await guess('outdated', '192.0.2.3')).status, 401);
      outpost.pass(11);
    }
    assert.equal((await guess('app password: of robot ä', '192.0.2.3')).status, 200);
  });

  it('is what many names from one address are', async () => {
    for (let i = 0; i < 60; i++) assert.equal((await guess('wrong', '192.0.2.4', `user${i}`)).status, 401);
    assert.equal((await guess('wrong', '192.0.2.4', 'another')).status, 429);
  });
});
