import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { freePort } from '../../test/harness/ports.ts';
import { CodedError } from '../contract/errors.ts';
import { lockDataFolder } from './lock.ts';
import { listenError, listenOn, probePorts } from './ports.ts';
import { makeRuntime } from './runtime-folder.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-lock-'));
after(() => rmSync(folder, { recursive: true }));

const coded = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CodedError);
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

describe('lockDataFolder', () => {
  it('makes the folder, private, and refuses a second holder by name until released', () => {
    const data = path.join(folder, 'a', 'b');
    const lock = lockDataFolder(data);
    assert.equal(statSync(data).mode & 0o777, 0o700);
    assert.throws(() => lockDataFolder(data), coded('data-folder-in-use', new RegExp(`${data}.*GATEHOUSE_DATA`)));
    lock.release();
    lockDataFolder(data).release();
  });

  it('is free again when its holder was killed', async () => {
    const data = path.join(folder, 'killed');
    const module = new URL('./lock.ts', import.meta.url).href;
    const code = `import { lockDataFolder } from ${JSON.stringify(module)}; lockDataFolder(process.argv[1]); gc(); gc(); console.log('held'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', code, data], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    assert.throws(() => lockDataFolder(data), { code: 'data-folder-in-use' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    lockDataFolder(data).release();
  });

  it('says what is wrong with a folder that is none', () => {
    const file = path.join(folder, 'file');
    writeFileSync(file, '');
    assert.throws(() => lockDataFolder(file), coded('data-folder-unwritable', /is not a folder.*GATEHOUSE_DATA/));
    assert.throws(() => lockDataFolder(path.join(file, 'below')), { code: 'data-folder-unwritable' });
  });
});

describe('ports', () => {
  const open: Server[] = [];
  after(() => open.forEach((server) => server.close()));

  async function taken(reusePort: boolean): Promise<number> {
    const server = createServer();
    server.listen({ host: '127.0.0.1', port: 0, reusePort });
    await once(server, 'listening');
    open.push(server);
    return (server.address() as AddressInfo).port;
  }

  for (const reusePort of [false, true]) {
    it(`refuses an address in use, shared or not (${reusePort}), naming address and setting`, async () => {
      const port = await taken(reusePort);
      const expected = coded('port-in-use', new RegExp(`127\\.0\\.0\\.1:${port} .*GATEHOUSE_LISTEN__HTTP`));
      await assert.rejects(probePorts([{ host: '127.0.0.1', port }], 'GATEHOUSE_LISTEN__HTTP'), expected);
    });
  }

  it('leaves a free port free, for several that share it', async () => {
    const port = await freePort();
    const address = { host: '127.0.0.1', port };
    await probePorts([address], 'X');
    for (let i = 0; i < 2; i++) {
      const server = createServer();
      await listenOn(server, address, [address], true, 'X');
      open.push(server);
    }
  });

  it('listens on IPv6 and IPv4 of one port side by side', async () => {
    const port = await freePort();
    const all = [
      { host: '::', port },
      { host: '0.0.0.0', port },
    ];
    for (const address of all) {
      const server = createServer();
      await listenOn(server, address, all, false, 'X');
      open.push(server);
    }
  });

  const codes: [string, string, RegExp][] = [
    ['EACCES', 'port-forbidden', /\[::\]:80 .*or set X/],
    ['EADDRNOTAVAIL', 'address-unknown', /no address \[::\]:80/],
    ['EMFILE', 'listen-failed', /EMFILE/],
  ];
  for (const [given, code, text] of codes) {
    it(`explains ${given}`, () => {
      const error = Object.assign(new Error('x'), { code: given });
      coded(code, text)(listenError(error, { host: '::', port: 80 }, 'X'));
    });
  }
});

describe('makeRuntime', () => {
  it('makes a private folder and new secrets, and removes what an earlier run on the same folder left', () => {
    const data = path.join(folder, 'run');
    const left = makeRuntime(data);
    const runtime = makeRuntime(data);
    const place = path.dirname(runtime.socketPath);
    assert.equal(statSync(place).mode & 0o777, 0o700);
    assert.throws(() => statSync(path.dirname(left.socketPath)), { code: 'ENOENT' });
    assert.notEqual(runtime.linkCredential, left.linkCredential);
    assert.equal(new Set([runtime.linkCredential, runtime.internalCredential, runtime.outpostToken]).size, 3);
    runtime.remove();
    assert.ok(!readdirSync(path.dirname(place)).includes(path.basename(place)));
  });
});
