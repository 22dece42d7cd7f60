import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import type { Page } from './harness/client.ts';
import { forms, hasPasswordField } from './harness/forms.ts';
import { ADMIN_PASSWORD, Gatehouse } from './harness/gatehouse.ts';
import { Provision } from './harness/provision.ts';
import { eventually } from './harness/wait.ts';

const LINK = /https?:\/\/\S+\/if\/flow\/initial-setup\/\?\S*token=[^\s"')]+/;

describe('the first start without a password', () => {
  let gatehouse: Gatehouse;
  let link: URL;
  const visitor = new Client();

  before(async () => {
    gatehouse = await Gatehouse.start({ env: { GATEHOUSE_BOOTSTRAP_PASSWORD: undefined } });
  });
  after(async () => {
    await visitor.close();
    await gatehouse?.stop();
  });
  afterEach((t) => gatehouse?.explain(t));

  it('shows a one-time set-up link in the terminal', async () => {
    const { value } = await eventually('link in the terminal', 30_000, () => {
      const found = LINK.exec(gatehouse.log)?.[0];
      assert.ok(found !== undefined, gatehouse.tail());
      return found;
    });
    link = new URL(value);
    assert.equal(link.origin, `http://localhost:${gatehouse.port}`);
  });

  it('lets nobody in before, with whatever password', async () => {
    const page = await visitor.open(`${gatehouse.origin}/if/flow/default-authentication-flow/`);
    const answer = await visitor.login(page, 'akadmin', '');
    assert.ok(hasPasswordField(answer.text));
  });

  it('refuses a wrong token', async () => {
    const wrong = new URL(link);
    wrong.searchParams.set('token', 'x'.repeat(40));
    const page = await visitor.open(wrong);
    assert.ok(page.status >= 400, trace(page));
    assert.ok(!hasPasswordField(page.text));
  });

  it('sets the password once, learns the address, and signs the administrator in', async () => {
    const open = new URL(link);
    open.hostname = 'gate.test'; // the name this browser reaches the server by
    const page = await visitor.open(open);
    assert.equal(page.status, 200, trace(page));
    const form = forms(page.text).find((f) => [...f.inputs.values()].some((i) => i.type === 'password'));
    assert.ok(form !== undefined, page.text);
    const fields: Record<string, string> = {};
    for (const [name, input] of form.inputs) if (input.type === 'password') fields[name] = 'the first password';
    const done = await visitor.submit(page, fields, (f) => [...f.inputs.values()].some((i) => i.type === 'password'));
    assert.equal(done.status, 200, trace(done));
    const fresh = new Client();
    const login = await fresh.open(`http://gate.test:${gatehouse.port}/if/flow/default-authentication-flow/`);
    const portal = await fresh.login(login, 'akadmin', 'the first password');
    assertPortal(portal);
    await fresh.close();
  });

  it('cannot be opened again, also not after a restart', async () => {
    const usable = async (): Promise<boolean> => hasPasswordField((await new Client().open(link)).text);
    assert.equal(await usable(), false);
    await gatehouse.restart();
    assert.equal(await usable(), false);
    assert.doesNotMatch(gatehouse.log.slice(gatehouse.log.lastIndexOf('initial-setup') + 1), LINK);
  });

  it('sends people to the address it has learnt', async () => {
    const provision = new Provision(gatehouse.api);
    const address = `http://wiki.test:${gatehouse.port}`;
    await provision.application({
      slug: 'wiki',
      mode: 'proxy',
      externalHost: address,
      internalHost: 'http://127.0.0.1:9',
    });
    await provision.served(gatehouse.origin, address);
    const fresh = new Client();
    const page = await fresh.open(`${address}/`);
    assert.equal(page.url.origin, `http://gate.test:${gatehouse.port}`, trace(page));
    await fresh.close();
  });
});

describe('the first start with bootstrap variables', () => {
  it('makes the administrator with that password, address and token, and shows no link', async () => {
    const gatehouse = await Gatehouse.start({ workers: 1 });
    const visitor = new Client();
    try {
      const me = await gatehouse.api.get('core/users/me/');
      assert.equal((me['user'] as { username: string }).username, 'akadmin');
      const admin = await gatehouse.api.first('core/users/?username=akadmin');
      assert.equal(admin['email'], 'admin@example.test');
      assert.equal(admin['is_superuser'], true);
      const page = await visitor.open(`${gatehouse.origin}/if/flow/default-authentication-flow/`);
      const portal = await visitor.login(page, 'akadmin', ADMIN_PASSWORD);
      assertPortal(portal);
      assert.doesNotMatch(gatehouse.log, LINK);
      assert.ok(!gatehouse.log.includes(ADMIN_PASSWORD), 'no password in the log');
      assert.ok(!gatehouse.log.includes(gatehouse.api.token), 'no token in the log');
    } finally {
      await visitor.close();
      await gatehouse.stop();
    }
  });
});

/** The person is signed in and sees their applications. */
function assertPortal(page: Page): void {
  assert.equal(page.url.pathname, '/if/user/', trace(page));
  assert.equal(page.status, 200, trace(page));
  assert.match(page.text, /authentik Default Admin/);
}
