/** HAProxy goes on with the next rule when a script fails: the rule after the question must stop it then. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { haproxy } from '../src/commands/config/haproxy.ts';
import { configValues } from '../src/commands/config/values.ts';
import { Client } from './harness/client.ts';
import { EchoUpstream } from './harness/echo-upstream.ts';
import { startFront } from './harness/fronts.ts';
import type { Front } from './harness/fronts.ts';
import { freePort } from './harness/ports.ts';

describe('the question of HAProxy', () => {
  let upstream: EchoUpstream;
  let outpost: Server;
  /** what the outpost says, byte for byte */
  let answer = '';
  let folder: string;
  let front: Front | undefined;
  const client = new Client();

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-script-'));
    upstream = await EchoUpstream.start();
    outpost = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', () => socket.end(answer));
    });
    await new Promise<void>((resolve) => outpost.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => front?.stop());
  after(async () => {
    await client.close();
    await upstream.stop();
    await new Promise((resolve) => outpost.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  /** The status a visitor gets. @param script another one in place of ours */
  async function status(script?: string): Promise<number> {
    const port = await freePort();
    const provider = {
      name: 'App',
      mode: 'forward_single' as const,
      external_host: `https://app.test:${port}`,
      internal_host: '',
      cookie_domain: '',
    };
    const outpostUrl = `http://127.0.0.1:${(outpost.address() as AddressInfo).port}`;
    let text = haproxy(configValues(provider, { outpostUrl, upstream: upstream.origin, host: undefined }));
    if (script !== undefined) {
      const file = join(folder, 'script.lua');
      writeFileSync(file, script);
      text = text.replace('/etc/haproxy/gatehouse.lua', file);
    }
    front = await startFront('haproxy', text, port);
    return (await client.background('GET', `https://app.test:${port}/`)).status;
  }

  it('lets pass after 200, and after nothing else', async () => {
    answer = 'HTTP/1.1 200 OK\r\nX-Authentik-Username: alice\r\nContent-Length: 0\r\n\r\n';
    assert.equal(await status(), 200);
    const before = upstream.received.length;
    for (const [line, expected] of [
      ['204 No Content', 204],
      ['299 Odd', 299],
      ['302 Found', 302],
      ['500 No', 500],
    ] as const) {
      await front?.stop();
      answer = `HTTP/1.1 ${line}\r\nContent-Length: 0\r\n\r\n`;
      assert.equal(await status(), expected);
    }
    await front?.stop();
    answer = 'no HTTP at all\r\n\r\n';
    assert.ok((await status()) >= 500);
    assert.equal(upstream.received.length, before);
  });

  const actions = (body: string) => `
core.register_action("gatehouse", { "http-req" }, function(txn) ${body} end, 1)
core.register_action("gatehouse-cookies", { "http-res" }, function() end, 0)
`;
  for (const [what, script] of [
    ['throws', actions('error("broken")')],
    ['does nothing', actions('')],
    ['says something else', actions('txn:set_var("txn.gatehouse", "perhaps")')],
  ] as const) {
    it(`stops everything when the script ${what}`, async () => {
      const before = upstream.received.length;
      assert.equal(await status(script), 403);
      assert.equal(upstream.received.length, before);
    });
  }
});
