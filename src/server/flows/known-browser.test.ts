import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import type { ServerContext } from '../context.ts';
import { hashPassword } from '../directory/passwords.ts';
import { setPassword } from '../directory/users.ts';
import { addUser, PASSWORD, startServer, Visitor } from '../oidc/oidc.test-helper.ts';
import type { TestServer } from '../oidc/oidc.test-helper.ts';
import type { UserRow } from '../storage/rows.ts';
import { Keyring } from '../storage/keyring.ts';
import { acceptCookies } from './cookies.ts';
import { KnownBrowsers } from './known-browser.ts';
import { ACCOUNT_ATTEMPTS } from './limiter.ts';

const COOKIE = 'authentik_proxy_known';
const LOGIN = '/if/flow/default-authentication-flow/';
const DAY_MS = 24 * 60 * 60_000;

const person = (uuid: string, password = `hash of ${uuid}`) => ({ uuid, password }) as UserRow;

/** A server that remembers or finds whom it is told to. */
class Remembering {
  now = 1_900_000_000_000;
  scheme: 'http' | 'https' = 'http';
  readonly #app: FastifyInstance = fastify();
  readonly #browsers: KnownBrowsers;

  constructor(key = randomBytes(32)) {
    const ctx = { keyring: new Keyring('k1', key), settings: { webPath: '/' } } as unknown as ServerContext;
    this.#browsers = new KnownBrowsers(ctx, () => this.now);
    this.#app.decorateRequest('link');
    this.#app.addHook('onRequest', async (request) => {
      request.link = { scheme: this.scheme } as typeof request.link;
    });
    this.#app.register(async (scope) => {
      await acceptCookies(scope);
      scope.post('/', async (request, reply) => {
        const { user, remember } = request.body as { user: UserRow; remember: boolean };
        if (remember) this.#browsers.remember(request, reply, user);
        return { found: this.#browsers.find(request, user) ?? '' };
      });
    });
  }

  /** @param cookie what the browser has, or empty. @returns the whole Set-Cookie line */
  async remember(user: UserRow, cookie = ''): Promise<string> {
    const { headers } = await this.#ask({ user, remember: true }, cookie);
    return String(headers['set-cookie']);
  }

  async find(user: UserRow, cookie: string): Promise<string> {
    const answer = await this.#ask({ user, remember: false }, cookie);
    return answer.json<{ found: string }>().found;
  }

  #ask(payload: object, cookie: string) {
    return this.#app.inject({ method: 'POST', url: '/', payload, headers: { cookie: cookie.split(';')[0] ?? '' } });
  }
}

describe('KnownBrowsers', () => {
  const [alice, bob] = [person('uuid-of-alice'), person('uuid-of-bob')];

  it('finds a browser by its cookie, each with a name of its own that stays', async () => {
    const server = new Remembering();
    const [one, two] = [await server.remember(alice), await server.remember(alice)];
    const name = await server.find(alice, one);
    assert.notEqual(name, '');
    assert.notEqual(await server.find(alice, two), name);
    assert.equal(await server.find(alice, await server.remember(alice, one)), name);
    assert.equal(await server.find(alice, ''), '');
  });

  it('finds it for the accounts that were signed in to, the last five of them, each counted apart', async () => {
    const server = new Remembering();
    const people = Array.from({ length: 6 }, (_, i) => person(`uuid-${i}`));
    let cookie = '';
    for (const one of people) cookie = await server.remember(one, cookie);
    assert.ok(cookie.split(';')[0]!.length < 1000);
    const names = await Promise.all(people.map((one) => server.find(one, cookie)));
    assert.equal(names[0], '');
    assert.equal(new Set(names).size, 6);
    assert.equal(await server.find(bob, cookie), '');
  });

  it('finds none after a new password', async () => {
    const server = new Remembering();
    const cookie = await server.remember(alice);
    assert.equal(await server.find(person(alice.uuid, 'another hash'), cookie), '');
  });

  it('finds none three months after the last sign-in with this account', async () => {
    const server = new Remembering();
    const first = await server.remember(bob, await server.remember(alice));
    server.now += 60 * DAY_MS;
    const second = await server.remember(alice, first);
    server.now += 31 * DAY_MS;
    assert.equal(await server.find(alice, first), '');
    assert.notEqual(await server.find(alice, second), '');
    assert.equal(await server.find(bob, second), '', 'what the other did prolongs nothing');
  });

  it('finds none by what it did not seal', async () => {
    const key = randomBytes(32);
    const server = new Remembering(key);
    const cookie = await server.remember(alice);
    const value = cookie.slice(COOKIE.length + 1, cookie.indexOf(';'));
    const password = createHash('sha256').update(alice.password).digest('base64url').slice(0, 22);
    const content = { browser: 'b', accounts: [{ account: alice.uuid, password, until: server.now + 1 }] };
    const sealed = (purpose: string) => new Keyring('k1', key).seal(JSON.stringify(content), purpose);
    assert.notEqual(await server.find(alice, `${COOKIE}=${sealed('cookie:known-browser-1')}`), '', 'the form is right');
    const forged = [
      `${value.slice(0, -30)}${value.at(-30) === 'A' ? 'B' : 'A'}${value.slice(-29)}`,
      value.slice(0, -1),
      JSON.stringify(content),
      Buffer.from(JSON.stringify(content)).toString('base64url'),
      sealed('token.key:1'),
      'x'.repeat(8000),
      'v1.k1.',
    ];
    for (const one of forged) assert.equal(await server.find(alice, `${COOKIE}=${one}`), '', one);
    assert.equal(await new Remembering().find(alice, cookie), '', 'of another installation');
  });

  it('sets a cookie for the login page alone, out of reach of scripts, that tells nothing', async () => {
    const server = new Remembering();
    const cookie = await server.remember(alice);
    assert.match(cookie, /^authentik_proxy_known=v1\.k1\.[\w-]+; Max-Age=7776000; Path=[^;]+; HttpOnly; SameSite=Lax$/);
    assert.ok(cookie.includes(`; Path=${LOGIN};`));
    const value = cookie.slice(0, cookie.indexOf(';')).split('.').at(-1) ?? '';
    assert.ok(!value.includes('alice') && !Buffer.from(value, 'base64url').includes('alice'));
    server.scheme = 'https';
    assert.match(await server.remember(alice), /; Secure; SameSite=Lax$/);
  });
});

describe('the login page', () => {
  let server: TestServer;
  before(async () => {
    server = await startServer();
  });
  after(() => server.close());

  it('lets a known browser in while strangers guess, until the password is another', async () => {
    const { ctx } = server;
    const { id } = await addUser(ctx, 'alice', { email: 'alice@example.test' });
    let addresses = 0;
    const visitor = () => new Visitor(server.base, { 'x-test-client': `192.0.2.${++addresses}` });
    const first = visitor();
    assert.equal((await first.signIn('alice')).status, 303);
    /** The same browser later and elsewhere, signed out. */
    const known = () => {
      const same = visitor();
      same.cookies.set(COOKIE, first.cookies.get(COOKIE) ?? '');
      return same;
    };
    for (let i = 0; i < ACCOUNT_ATTEMPTS; i++) assert.equal((await visitor().signIn('alice', 'guess')).status, 400);
    assert.equal((await visitor().signIn('alice')).status, 429);
    const wrong = await known().signIn('alice', 'mistyped');
    assert.equal(wrong.status, 400);
    assert.ok(!wrong.headers.getSetCookie().some((line) => line.startsWith(COOKIE)));
    assert.equal((await known().signIn('Alice@example.test')).status, 303);
    assert.equal((await visitor().signIn('alice')).status, 429, 'strangers wait on');

    const hash = await hashPassword(`new ${PASSWORD}`);
    await ctx.change((tx) => setPassword(tx, id, hash).then(() => undefined));
    assert.equal((await known().signIn('alice', `new ${PASSWORD}`)).status, 429);
  });
});
