import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { generateKeyPair, SignJWT } from 'jose';
import { updateUser } from '../directory/users.ts';
import { configureProvider } from '../proxy-provider/providers.ts';
import { addClient, addUser, payloadOf, RelyingParty, startServer, Visitor } from './oidc.test-helper.ts';
import type { TestClient, TestServer } from './oidc.test-helper.ts';

describe('the OpenID Provider', () => {
  let server: TestServer;
  let wiki: TestClient;
  let forge: TestClient;
  let rp: RelyingParty;

  before(async () => {
    server = await startServer();
    const alice = await addUser(server.ctx, 'alice');
    await addUser(server.ctx, 'eve');
    wiki = await addClient(server.ctx, 'wiki', { name: 'Team Wiki', users: [alice] });
    forge = await addClient(server.ctx, 'forge');
    rp = await RelyingParty.discover(server.base, wiki);
  });
  after(() => server.close());

  const signedIn = async (name = 'alice') => {
    const visitor = new Visitor(server.base);
    assert.equal((await visitor.signIn(name)).status, 303);
    return visitor;
  };
  const code = async (visitor: Visitor, extra: Record<string, string> = {}) => {
    const attempt = await rp.attempt(extra);
    const location = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
    return { attempt, location, code: new URL(location).searchParams.get('code') ?? '' };
  };
  const exchange = (c: Awaited<ReturnType<typeof code>>, change: Record<string, string> = {}) =>
    rp.post({
      grant_type: 'authorization_code',
      code: c.code,
      redirect_uri: wiki.redirectUri,
      code_verifier: c.attempt.verifier,
      client_id: wiki.provider.client_id,
      client_secret: wiki.secret,
      ...change,
    });
  const tokenOf = async (visitor: Visitor) => String((await exchange(await code(visitor))).body['access_token']);
  const introspect = async (token: string, client = wiki, secret = client.secret) =>
    (
      await rp.post(
        { token, client_id: client.provider.client_id, client_secret: secret },
        {},
        '/application/o/introspect/',
      )
    ).body;
  const invalidGrant = (answer: Awaited<ReturnType<typeof exchange>>) => {
    assert.equal(answer.status, 400);
    assert.equal(answer.body['error'], 'invalid_grant', JSON.stringify(answer.body));
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  };

  describe('authorize', () => {
    it('refuses an unknown client and a wrong redirect URI with a page, never with a redirect', async () => {
      const visitor = await signedIn();
      const { redirectUri } = wiki;
      const wrong = [
        { client_id: 'nobody' },
        { client_id: '' },
        { redirect_uri: '' },
        { redirect_uri: 'https://evil.test/' },
        { redirect_uri: `${redirectUri}x` },
        { redirect_uri: redirectUri.replace('http:', 'HTTP:') },
        { redirect_uri: redirectUri.replace('callback', 'Callback') },
        { redirect_uri: 'javascript:alert(1)' },
        { redirect_uri: forge.redirectUri },
      ];
      for (const extra of wrong) {
        const answer = await visitor.ask((await rp.attempt(extra)).path);
        assert.equal(answer.status, 400, JSON.stringify(extra));
        assert.equal(answer.headers.get('location'), null);
        assert.match(await answer.text(), 'client_id' in extra ? /Client ID Error/ : /Redirect URI Error/);
      }
      const twice = `${(await rp.attempt()).path}&redirect_uri=${encodeURIComponent('https://evil.test/')}`;
      assert.equal((await visitor.ask(twice)).status, 400);
      assert.equal((await visitor.ask('/application/o/authorize/')).status, 404);
      const events = await server.ctx.db
        .selectFrom('event')
        .select('action')
        .where('action', '=', 'configuration_error')
        .execute();
      assert.equal(events.length, 1, 'told once, not once per request');
    });

    it('answers faulty parameters at the redirect URI, also before the login', async () => {
      for (const visitor of [await signedIn(), new Visitor(server.base)]) {
        for (const [extra, error] of [
          [{ response_type: 'token' }, 'unsupported_response_type'],
          [{ code_challenge_method: 'plain' }, 'invalid_request'],
          [{ request: 'x' }, 'request_not_supported'],
          [{ max_age: 'x' }, 'invalid_request'],
        ] as const) {
          const attempt = await rp.attempt(extra);
          const answer = await visitor.ask(attempt.path);
          const target = new URL(answer.headers.get('location') ?? '');
          assert.ok(target.href.startsWith(wiki.redirectUri), target.href);
          // for anything but a code the answer belongs into the fragment
          const answered = target.searchParams.has('error')
            ? target.searchParams
            : new URLSearchParams(target.hash.slice(1));
          assert.equal(answered.get('error'), error);
          assert.equal(answered.get('state'), attempt.state);
        }
      }
    });

    it('prompt=none never shows a page', async () => {
      const nobody = new Visitor(server.base);
      const answer = await nobody.ask((await rp.attempt({ prompt: 'none' })).path);
      assert.equal(new URL(answer.headers.get('location') ?? '').searchParams.get('error'), 'login_required');
      const eve = await signedIn('eve');
      const denied = await eve.ask((await rp.attempt({ prompt: 'none' })).path);
      assert.equal(new URL(denied.headers.get('location') ?? '').searchParams.get('error'), 'access_denied');
      const ok = await (await signedIn()).ask((await rp.attempt({ prompt: 'none' })).path);
      assert.ok(new URL(ok.headers.get('location') ?? '').searchParams.has('code'));
    });

    it('prompt=login and max_age=0 ask for the password once more, once', async () => {
      for (const extra of [{ prompt: 'login' }, { max_age: '0' }]) {
        const visitor = await signedIn();
        const before = visitor.cookies.get('authentik_session');
        const attempt = await rp.attempt(extra);
        const login = (await visitor.ask(attempt.path)).headers.get('location') ?? '';
        assert.match(login, /again=1/);
        assert.equal((await visitor.ask(login)).status, 200, 'shown although signed in');
        const back = await visitor.submit(login, { username: 'alice', password: 'correct horse battery staple' });
        assert.notEqual(visitor.cookies.get('authentik_session'), before);
        const answer = await visitor.ask(back.headers.get('location') ?? '');
        assert.ok(new URL(answer.headers.get('location') ?? '').searchParams.has('code'), JSON.stringify(extra));
      }
    });

    it('max_age compares with the time of the login', async () => {
      const visitor = await signedIn();
      await server.ctx.db
        .updateTable('session')
        .set({ created: Date.now() - 100_000 })
        .execute();
      const young = await visitor.ask((await rp.attempt({ max_age: '3600' })).path);
      assert.ok(new URL(young.headers.get('location') ?? '').searchParams.has('code'));
      const old = await visitor.ask((await rp.attempt({ max_age: '50' })).path);
      assert.match(old.headers.get('location') ?? '', /^\/if\/flow\/default-authentication-flow\/.*again=1/);
    });

    it('shows a person without access a page with their name, and lets them switch account', async () => {
      const visitor = await signedIn('eve');
      const attempt = await rp.attempt();
      const answer = await visitor.ask(attempt.path);
      assert.equal(answer.status, 403);
      const html = await answer.text();
      assert.match(html, /eve/);
      assert.match(html, /Team Wiki/);
      assert.match(html, /certain people/);
      const sid =
        (await server.ctx.sessions.findByKey(visitor.cookies.get('authentik_session') ?? ''))?.session.sid ?? '';
      const switched = await visitor.submitHtml(attempt.path, html, { next: attempt.path });
      assert.equal(switched.status, 303);
      assert.equal(await server.ctx.sessions.findBySid(sid), undefined);
      const login = switched.headers.get('location') ?? '';
      const back = await visitor.submit(login, { username: 'alice', password: 'correct horse battery staple' });
      const done = await visitor.ask(back.headers.get('location') ?? '');
      assert.ok(new URL(done.headers.get('location') ?? '').searchParams.has('code'));
    });

    it('takes a POST like a GET', async () => {
      const visitor = await signedIn();
      const attempt = await rp.attempt();
      const body = new URL(attempt.url).searchParams;
      const answer = await visitor.ask('/application/o/authorize/', { method: 'POST', body });
      assert.ok(new URL(answer.headers.get('location') ?? '').searchParams.has('code'));
    });
  });

  describe('token', () => {
    it('takes a code once; a second use revokes what came of the first, and nothing else', async () => {
      const visitor = await signedIn();
      const other = await tokenOf(visitor);
      const c = await code(visitor);
      const first = await exchange(c);
      assert.equal(first.status, 200, JSON.stringify(first.body));
      const token = String(first.body['access_token']);
      assert.equal((await introspect(token))['active'], true);
      invalidGrant(await exchange(c));
      assert.deepEqual(await introspect(token), { active: false });
      assert.equal((await introspect(other))['active'], true);
      invalidGrant(await exchange(c));
      const events = await server.ctx.db
        .selectFrom('event')
        .select('action')
        .where('action', '=', 'suspicious_request')
        .execute();
      assert.ok(events.length >= 1);
    });

    it('of many exchanges at once at most one succeeds, and its token does not survive', async () => {
      const c = await code(await signedIn());
      const answers = await Promise.all(Array.from({ length: 8 }, () => exchange(c)));
      const won = answers.filter((a) => a.status === 200);
      assert.ok(won.length <= 1);
      for (const { body } of won) assert.deepEqual(await introspect(String(body['access_token'])), { active: false });
    });

    it('refuses a code of another client, another redirect URI, a wrong or missing verifier', async () => {
      const visitor = await signedIn();
      const asForge = {
        client_id: forge.provider.client_id,
        client_secret: forge.secret,
        redirect_uri: forge.redirectUri,
      };
      invalidGrant(await exchange(await code(visitor), asForge));
      invalidGrant(await exchange(await code(visitor), { redirect_uri: forge.redirectUri }));
      invalidGrant(await exchange(await code(visitor), { code_verifier: 'x'.repeat(43) }));
      invalidGrant(await exchange(await code(visitor), { code_verifier: '' }));
      invalidGrant(await exchange(await code(visitor), { code: 'nonsense' }));
    });

    it('a confidential client may do without PKCE and nonce, but then sends no verifier', async () => {
      const visitor = await signedIn();
      const c = await code(visitor, { code_challenge: '', code_challenge_method: '', nonce: '' });
      invalidGrant(await exchange(c));
      const form = { grant_type: 'authorization_code', code: c.code, redirect_uri: wiki.redirectUri };
      const basic = Buffer.from(`${wiki.provider.client_id}:${wiki.secret}`).toString('base64');
      const answer = await rp.post(form, { authorization: `Basic ${basic}` });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal('nonce' in payloadOf(String(answer.body['id_token'])), false);
    });

    it('answers a wrong or unknown client with 400 invalid_client, and keeps the code', async () => {
      const c = await code(await signedIn());
      for (const change of [
        { client_secret: 'wrong' },
        { client_secret: '' },
        { client_id: 'nobody' },
        { client_secret: forge.secret },
      ]) {
        const answer = await exchange(c, change);
        assert.equal(answer.status, 400);
        assert.equal(answer.body['error'], 'invalid_client', JSON.stringify(change));
      }
      assert.equal((await exchange(c)).status, 200);
    });

    it('knows no other grants, and no garbage', async () => {
      const client = { client_id: wiki.provider.client_id, client_secret: wiki.secret };
      const grant = await rp.post({ ...client, grant_type: 'urn:ietf:params:oauth:grant-type:device_code' });
      assert.deepEqual([grant.status, grant.body['error']], [400, 'unsupported_grant_type']);
      assert.equal((await rp.post({})).body['error'], 'invalid_client');
      const json = await fetch(`${server.base}/application/o/token/`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
      });
      assert.equal(json.status, 400);
      const huge = await rp.post({ ...client, grant_type: 'x'.repeat(100_000) });
      assert.deepEqual([huge.status, huge.body['error']], [413, 'invalid_request']);
    });

    it('code and token die with the session, the account, and the access', async () => {
      const visitor = await signedIn();
      const c = await code(visitor);
      const token = await tokenOf(visitor);
      await visitor.submit('/if/flow/default-invalidation-flow/', {});
      invalidGrant(await exchange(c));
      assert.deepEqual(await introspect(token), { active: false });
      const answer = await fetch(`${server.base}/application/o/userinfo/`, {
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(answer.status, 401);

      const mallory = await addUser(server.ctx, 'mallory');
      const forgeRp = await RelyingParty.discover(server.base, forge);
      const attempt = await forgeRp.attempt();
      const location = (await (await signedIn('mallory')).ask(attempt.path)).headers.get('location') ?? '';
      await server.ctx.change((tx) => updateUser(tx, mallory.id, { is_active: false }));
      await assert.rejects(forgeRp.redeem(location, attempt), /invalid_grant|error/);
    });

    it('a code lives a minute', async (t) => {
      const c = await code(await signedIn());
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 61_000 });
      invalidGrant(await exchange(c));
    });
  });

  describe('introspection, userinfo, revocation', () => {
    it('tells a client about its own live tokens, and nobody about anything else', async () => {
      const token = await tokenOf(await signedIn());
      const mine = await introspect(token);
      assert.equal(mine['active'], true);
      assert.equal(mine['client_id'], wiki.provider.client_id);
      assert.equal(mine['preferred_username'], 'alice');
      const inactive = { active: false };
      assert.deepEqual(await introspect(token, forge), inactive);
      assert.deepEqual(await introspect(token, wiki, 'wrong'), inactive);
      assert.deepEqual(await introspect('nonsense'), inactive);
      assert.deepEqual(await introspect(''), inactive);
    });

    it('refuses forged tokens: none, HS256 with the secret or the public key, foreign keys, keys in the header', async () => {
      const visitor = await signedIn();
      const token = await tokenOf(visitor);
      const [head = '', body = ''] = token.split('.');
      const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, string>;
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const keys = (await (await fetch(`${server.base}/application/o/wiki/jwks/`)).json()) as { keys: object[] };
      const hs = (secret: string) => {
        const input = `${encode({ ...header, alg: 'HS256' })}.${body}`;
        return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
      };
      const foreign = await generateKeyPair('RS256', { extractable: true });
      const jwk = await crypto.subtle.exportKey('jwk', foreign.publicKey);
      const signedForeign = await new SignJWT(payloadOf(token))
        .setProtectedHeader({ ...header, alg: 'RS256', jwk: jwk as Record<string, string> })
        .sign(foreign.privateKey);
      const idToken = String((await exchange(await code(visitor))).body['id_token']);
      const forged = [
        `${encode({ alg: 'none' })}.${body}.`,
        `${encode({ ...header, alg: 'none' })}.${body}.${token.split('.')[2]}`,
        hs(wiki.secret),
        hs(JSON.stringify(keys.keys[0])),
        signedForeign,
        idToken,
        `${head}.${encode({ ...payloadOf(token), preferred_username: 'akadmin' })}.${token.split('.')[2]}`,
      ];
      for (const bad of forged) {
        assert.deepEqual(await introspect(bad), { active: false });
        const answer = await fetch(`${server.base}/application/o/userinfo/`, {
          headers: { authorization: `Bearer ${bad}` },
        });
        assert.equal(answer.status, 401);
        assert.match(answer.headers.get('www-authenticate') ?? '', /invalid_token/);
      }
    });

    it('userinfo has the claims of the token’s scopes', async () => {
      const token = await tokenOf(await signedIn());
      const answer = await fetch(`${server.base}/application/o/userinfo/`, {
        headers: { authorization: `bearer ${token}` },
      });
      const body = (await answer.json()) as Record<string, unknown>;
      assert.equal(body['preferred_username'], 'alice');
      assert.equal(body['sub'], payloadOf(token)['sub']);
      assert.equal('aud' in body, false);
      assert.equal((await fetch(`${server.base}/application/o/userinfo/`)).status, 400);
    });

    it('revokes for the client it belongs to', async () => {
      const token = await tokenOf(await signedIn());
      const revoke = (client: TestClient, secret = client.secret) =>
        rp.post({ token, client_id: client.provider.client_id, client_secret: secret }, {}, '/application/o/revoke/');
      assert.equal((await revoke(forge)).status, 200);
      assert.equal((await introspect(token))['active'], true);
      assert.equal((await revoke(wiki, 'wrong')).status, 400);
      assert.equal((await revoke(wiki)).status, 200);
      assert.deepEqual(await introspect(token), { active: false });
    });
  });

  describe('end-session', () => {
    const path = (client: TestClient) => `/application/o/${client.application.slug}/end-session/`;

    it('ends everything without a second click when the hint names this very session', async () => {
      const visitor = await signedIn();
      const token = await tokenOf(visitor);
      const answer = await visitor.ask(`${path(wiki)}?id_token_hint=${token}`);
      assert.equal(answer.status, 200);
      const html = await answer.text();
      assert.match(html, /signed out of Team Wiki/);
      assert.match(html, /href="http:\/\/wiki\.app\.test\/?"/);
      assert.equal(visitor.cookies.has('authentik_session'), false);
      assert.deepEqual(await introspect(token), { active: false });
      const events = await server.ctx.db.selectFrom('identity_event').select('body').execute();
      assert.ok(
        events.some((e) => e.body.includes('session-ended') && e.body.includes(String(payloadOf(token)['sid']))),
      );
    });

    it('asks when there is no hint or the hint is of another session, and refuses one that is not ours', async () => {
      const visitor = await signedIn();
      const other = await tokenOf(await signedIn());
      for (const query of ['', `?id_token_hint=${other}`]) {
        const answer = await visitor.ask(path(wiki) + query);
        assert.match(await answer.text(), /Signing out of Team Wiki signs you out of all/);
        assert.equal((await visitor.ask('/if/user/')).status, 200);
      }
      assert.equal((await introspect(other))['active'], true);
      assert.equal((await visitor.ask(`${path(wiki)}?id_token_hint=nonsense`)).status, 400);
      const token = await tokenOf(visitor);
      assert.equal((await visitor.ask(`${path(forge)}?id_token_hint=${token}`)).status, 400);
      const posted = await visitor.ask(path(wiki), {
        method: 'POST',
        body: new URLSearchParams({ id_token_hint: 'a b' }),
      });
      assert.equal(posted.headers.get('location'), `${path(wiki)}?id_token_hint=a+b`);
      const done = await visitor.submit(path(wiki), {});
      assert.match(await done.text(), /signed out of Team Wiki/);
      assert.equal((await visitor.ask('/if/user/')).status, 302);
    });

    it('ends only the application where the provider says so', async () => {
      await server.ctx.change((tx) => configureProvider(tx, wiki.provider.id, { sign_out: 'application' }));
      const visitor = await signedIn();
      const token = await tokenOf(visitor);
      const html = await (await visitor.ask(`${path(wiki)}?id_token_hint=${token}`)).text();
      assert.match(html, /still signed in to your other applications/);
      assert.deepEqual(await introspect(token), { active: false });
      assert.equal((await visitor.ask('/if/user/')).status, 200);
      await server.ctx.change((tx) => configureProvider(tx, wiki.provider.id, { sign_out: 'everything' }));
    });
  });

  it('publishes discovery and keys per application, without secrets', async () => {
    const hop = await fetch(`${server.base}/application/o/wiki/`, { redirect: 'manual' });
    assert.equal(hop.headers.get('location'), `${server.base}/application/o/wiki/.well-known/openid-configuration`);
    const keys = await fetch(`${server.base}/application/o/wiki/jwks/`);
    assert.equal(keys.headers.get('access-control-allow-origin'), '*');
    const { keys: list } = (await keys.json()) as { keys: Record<string, string>[] };
    assert.deepEqual(Object.keys(list[0] ?? {}).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
    assert.equal((await fetch(`${server.base}/application/o/nothing/jwks/`)).status, 404);
    assert.equal((await fetch(`${server.base}/application/o/wiki/jwks`)).status, 404);
    const evil = await fetch(`${server.base}/application/o/wiki/.well-known/openid-configuration`, {
      headers: { 'x-forwarded-host': 'evil.test' },
    });
    assert.ok(!(await evil.text()).includes('evil.test'));
  });
});
