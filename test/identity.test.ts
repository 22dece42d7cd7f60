import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { Client, trace } from './harness/client.ts';
import { hasPasswordField } from './harness/forms.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { Scene } from './harness/scene.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';

/** What applications learn about a person, and what sign-out ends. */
describe('what an application is told', () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.start({ nginx: { wiki: 'outpost' } });
    await scene.application('wiki');
    await scene.application('forge');
    await scene.application('basic', {
      provider: {
        basic_auth_enabled: true,
        basic_auth_user_attribute: 'app_username',
        basic_auth_password_attribute: 'app_password',
      },
    });
    await scene.application('alone', { gatehouse: { sign_out: 'application' } });
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const received = async (visitor: Client, address: string): Promise<string[]> => {
    const page = await visitor.open(address);
    assert.equal(page.status, 200, trace(page));
    return (JSON.parse(page.text) as Received).rawHeaders;
  };

  it('a token it can verify itself, with the key set it is pointed to', async () => {
    const alice = await scene.provision.user('alice');
    const visitor = scene.visitor();
    await visitor.enter(`${scene.address('forge')}/`, 'alice', alice.password);
    const headers = await received(visitor, `${scene.address('forge')}/`);
    const keysAt = valuesOf(headers, 'x-authentik-meta-jwks')[0]!;
    const keys = JSON.parse((await visitor.send('GET', keysAt)).text) as JSONWebKeySet;
    const { payload } = await jwtVerify(valuesOf(headers, 'x-authentik-jwt')[0]!, createLocalJWKSet(keys), {
      issuer: `${scene.server}/application/o/forge/`,
      algorithms: ['RS256'],
    });
    assert.equal(payload.sub, alice.uid);
    assert.equal(payload['preferred_username'], 'alice');
    assert.match(String(payload['sid']), /^[0-9a-f]{64}$/);
  });

  it('two hundred groups, also through nginx', async () => {
    const bob = await scene.provision.user('bob');
    const names: string[] = [];
    for (let i = 0; i < 200; i++) names.push(`Abteilung ${i} ${Math.random().toString(36).slice(2, 12)}`);
    await Promise.all(names.map((name) => scene.provision.group(name, [bob.pk])));
    const visitor = scene.visitor();
    await visitor.enter(`${scene.address('wiki')}/`, 'bob', bob.password);
    for (const name of ['wiki', 'forge']) {
      const headers = await received(visitor, `${scene.address(name)}/`);
      const groups = valuesOf(headers, 'x-authentik-groups')[0]!.split('|');
      assert.deepEqual(new Set(groups), new Set(names));
    }
  });

  it('a person that does not fit into cookies is told what is too big, not sent in circles', async () => {
    const carol = await scene.provision.user('carol');
    const noise = () => Array.from({ length: 12 }, () => Math.random().toString(36).slice(2)).join('');
    for (let i = 0; i < 60; i++) await scene.provision.group(`${i} ${noise()}`, [carol.pk]);
    const page = await scene.visitor().enter(`${scene.address('forge')}/`, 'carol', carol.password);
    assert.ok(page.status >= 400, trace(page));
    assert.match(page.text, /group/i);
  });

  it('Basic credentials from attributes, else the e-mail and an empty password', async () => {
    const attributes = { app_username: 'service', app_password: 'päss:word' };
    const expected = [`service:${attributes.app_password}`, 'erin@example.test:'];
    for (const [i, username] of ['dora', 'erin'].entries()) {
      const user = await scene.provision.user(username, i === 0 ? { attributes } : {});
      const visitor = scene.visitor();
      await visitor.enter(`${scene.address('basic')}/`, username, user.password);
      const headers = await received(visitor, `${scene.address('basic')}/`);
      const [authorization = ''] = valuesOf(headers, 'authorization');
      assert.equal(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString(), expected[i]);
      assert.doesNotMatch(JSON.stringify(decodeClaims(valuesOf(headers, 'x-authentik-jwt')[0]!)), /word/);
    }
  });

  it('sign-out of one application alone leaves the others, where the provider says so', async () => {
    const frank = await scene.provision.user('frank');
    const visitor = scene.visitor();
    await visitor.enter(`${scene.address('alone')}/`, 'frank', frank.password);
    await visitor.open(`${scene.address('forge')}/`);
    const out = await visitor.open(`${scene.address('alone')}/outpost.goauthentik.io/sign_out`);
    assert.equal(out.status, 200, trace(out));
    assert.ok(!hasPasswordField(out.text));
    assert.equal((await visitor.background('GET', `${scene.address('alone')}/`)).status, 401);
    assert.equal((await visitor.background('GET', `${scene.address('forge')}/`)).status, 200);
    const again = await visitor.open(`${scene.address('alone')}/`);
    assert.equal(again.url.href, `${scene.address('alone')}/`, `without a password:\n${trace(again)}`);
  });
});

describe('signing out', () => {
  let scene: Scene;
  const names = ['wiki', 'old', 'forge'];

  before(async () => {
    scene = await Scene.start({ gatehouse: { workers: 1 }, nginx: { wiki: 'outpost', old: 'akprox' } });
    for (const name of names) await scene.application(name);
  });
  after(() => scene?.stop());
  afterEach((t) => scene?.explain(t));

  const assertSignedOut = async (visitor: Client, path: string, name: string): Promise<void> => {
    const out = await visitor.open(scene.address(name) + path);
    assert.equal(out.status, 200, `${path}\n${trace(out)}`);
    assert.ok(!hasPasswordField(out.text), `no new login:\n${trace(out)}`);
  };

  it('works on every published address, twice, and without a session', async () => {
    const person = await scene.provision.user('alice');
    for (const name of names) {
      for (const path of ['/outpost.goauthentik.io/sign_out', '/akprox/sign_out', '/?X-authentik-logout=true']) {
        // nginx sends on to the outpost what its configuration says, and no more
        if (name === 'wiki' && path.startsWith('/akprox')) continue;
        if (name === 'old' && path.startsWith('/outpost')) continue;
        if (name !== 'forge' && path.startsWith('/?')) continue;
        const visitor = scene.visitor();
        await assertSignedOut(visitor, path, name);
        const page = await visitor.enter(`${scene.address(name)}/`, 'alice', person.password);
        assert.equal(page.status, 200, trace(page));
        await assertSignedOut(visitor, path, name);
        assert.ok(hasPasswordField((await visitor.open(`${scene.address(name)}/`)).text), `${name} ${path}`);
        await assertSignedOut(visitor, path, name);
      }
    }
  });
});

describe('an identity server below a path', () => {
  it('signs people in there', async () => {
    const scene = await Scene.start({ gatehouse: { webPath: '/sso/' }, nginx: { wiki: 'outpost' } });
    try {
      const alice = await scene.provision.user('alice');
      await scene.application('wiki');
      const visitor = scene.visitor();
      const target = `${scene.address('wiki')}/a?b=1&c=2`;
      const login = await visitor.open(target);
      assert.ok(login.url.href.startsWith(`${scene.server}/sso/`), trace(login));
      const page = await visitor.login(login, 'alice', alice.password);
      assert.equal(page.url.href, target, trace(page));
      const elsewhere = await visitor.open(`${scene.server}/`);
      assert.ok(elsewhere.status === 404 || elsewhere.url.pathname.startsWith('/sso/'), trace(elsewhere));
    } catch (error) {
      scene.explain({ passed: false });
      throw error;
    } finally {
      await scene.stop();
    }
  });
});

describe('settings from files', () => {
  it('work for the administrator and his password', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-secret-'));
    const file = join(folder, 'password');
    writeFileSync(file, 'password from a file\n');
    const gatehouse = await Gatehouse.start({ workers: 1, env: { GATEHOUSE_BOOTSTRAP_PASSWORD: `file://${file}` } });
    const visitor = new Client();
    try {
      const login = await visitor.open(`${gatehouse.origin}/if/flow/default-authentication-flow/`);
      const page = await visitor.login(login, 'akadmin', 'password from a file');
      assert.equal(page.url.pathname, '/if/user/', trace(page));
    } finally {
      await visitor.close();
      await gatehouse.stop();
      rmSync(folder, { recursive: true });
    }
  });
});

const decodeClaims = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8'));
