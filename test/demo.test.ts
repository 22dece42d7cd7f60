import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { eventually } from './harness/wait.ts';

/** What a person types after `npm start -- --demo`: taken from the terminal and from nowhere else. */
describe('the demo', () => {
  let gatehouse: Gatehouse;
  let demo: string;
  let wiki: string;
  const passwords = new Map<string, string>();

  before(async () => {
    gatehouse = await Gatehouse.start({ args: ['--demo'], env: { GATEHOUSE_BOOTSTRAP_TOKEN: undefined } });
    await eventually('addresses and passwords in the terminal', 60_000, () => readTerminal());
  });
  after(() => gatehouse?.stop());
  afterEach((t) => gatehouse?.explain(t));

  function readTerminal(): void {
    const addresses = [...gatehouse.log.matchAll(/http:\/\/([a-z]+)\.localhost:\d+/g)];
    const find = (name: string): string => {
      const match = addresses.find((m) => m[1] === name);
      assert.ok(match !== undefined, `no address for ${name}`);
      return match[0];
    };
    demo = find('demo');
    wiki = find('wiki');
    for (const name of ['alice', 'bob']) {
      const match = new RegExp(`\\b${name}\\b(?:[\\s,:/]|password)+([^\\s,]{8,})`, 'i').exec(gatehouse.log);
      assert.ok(match?.[1] !== undefined, `no password for ${name}`);
      passwords.set(name, match[1]);
    }
  }

  it('shows an application who has signed in', async () => {
    const visitor = new Client();
    const page = await visitor.enter(`${demo}/`, 'alice', passwords.get('alice')!);
    assert.equal(page.url.href, `${demo}/`, trace(page));
    assert.match(page.text, /alice/);
    const echo = await visitor.open(`${demo}/echo`);
    assert.match(echo.text.toLowerCase(), /x-authentik-username/);
    assert.equal((await visitor.open(`${wiki}/`)).status, 200);
    await visitor.close();
  });

  it('keeps the second person out of the second application', async () => {
    const visitor = new Client();
    assert.equal((await visitor.enter(`${demo}/`, 'bob', passwords.get('bob')!)).status, 200);
    const denied = await visitor.open(`${wiki}/`);
    assert.equal(denied.status, 403, trace(denied));
    assert.match(denied.text, /bob/);
    await visitor.close();
  });

  it('started again, has the same people, passwords and addresses', async () => {
    const before = new Map(passwords);
    const end = gatehouse.log.length;
    await gatehouse.restart();
    await eventually('addresses again', 60_000, () => assert.match(gatehouse.log.slice(end), /demo\.localhost/));
    const visitor = new Client();
    const page = await visitor.enter(`${demo}/`, 'alice', before.get('alice')!);
    assert.equal(page.status, 200, trace(page));
    await visitor.close();
  });
});
