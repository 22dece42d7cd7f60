import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from './harness/client.ts';
import { hasPasswordField } from './harness/forms.ts';
import { ROOT } from './harness/gatehouse.ts';
import { freePort } from './harness/ports.ts';
import { eventually, guard, within } from './harness/wait.ts';

/** What someone does who has never seen Gatehouse: clone, `npm start`, with whatever Node.js the machine has. */
describe('a fresh clone', { timeout: 900_000 }, () => {
  let folder: string;
  let clone: string;
  const visitor = new Client();

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-clone-'));
    clone = join(folder, 'gatehouse');
    execFileSync('git', ['clone', '--quiet', ROOT, clone]);
  });
  after(async () => {
    await visitor.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs `npm start` until the login page is there, then ends it with Ctrl+C. @returns what it said, ms and exit code */
  async function start(): Promise<{ said: string; ms: number; code: number }> {
    const port = await freePort();
    const { PATH, HOME, TMPDIR } = process.env;
    const child: ChildProcess = spawn('npm', ['start'], {
      cwd: clone,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group, as a terminal makes one
      env: {
        // the test itself runs with the project's own Node.js first
        PATH: PATH?.split(':')
          .filter((entry) => !entry.includes('node_modules'))
          .join(':'),
        HOME,
        ...(TMPDIR === undefined ? {} : { TMPDIR }),
        GATEHOUSE_LISTEN__HTTP: `127.0.0.1:${port}`,
        GATEHOUSE_LISTEN__HTTPS: `127.0.0.1:${await freePort()}`,
        GATEHOUSE_LISTEN__METRICS: `127.0.0.1:${await freePort()}`,
      },
    });
    assert.ok(child.pid !== undefined);
    guard.add(child.pid);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (said += text.toString()));
    const closed = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
    const { ms } = await eventually('login page', 600_000, async () => {
      assert.equal(child.exitCode, null, said);
      const page = await visitor.open(`http://localhost:${port}/`);
      assert.ok(hasPasswordField(page.text), `${page.status}\n${said}`);
    });
    process.kill(-child.pid, 'SIGINT');
    const code = await within(30_000, closed);
    guard.remove(child.pid);
    assert.ok(code !== undefined, `does not end:\n${said}`);
    return { said, ms, code };
  }

  it('serves a login page after `npm start`, the second time without installing or building', async (t) => {
    const first = await start();
    t.diagnostic(`first start with installation and build: ${first.ms} ms`);
    assert.equal(first.code, 0, first.said);
    assert.match(first.said, /initial-setup/);
    const size = execFileSync('du', ['-sm', '--exclude=.git', clone], { encoding: 'utf8' });
    t.diagnostic(`size of the clone then: ${size.split('\t')[0]} MB`);
    const second = await start();
    t.diagnostic(`second start: ${second.ms} ms`);
    assert.ok(second.ms < 60_000, second.said);
    assert.doesNotMatch(second.said, /npm ci|installing|building/i);
    assert.equal(
      execFileSync('git', ['status', '--porcelain'], { cwd: clone, encoding: 'utf8' }),
      '',
      'the clone is clean',
    );
  });
});
