import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';

const MAIN = new URL('main.ts', import.meta.url).pathname;

/** Runs the command line with these arguments and nothing else in the environment. */
function gatehouse(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env });
  return { status, stdout, stderr };
}

describe('command line', () => {
  it('helps', () => {
    for (const args of [[], ['help'], ['--help'], ['serve', '--help']]) {
      const { status, stdout } = gatehouse(args);
      assert.equal(status, 0);
      assert.match(stdout, /usage: gatehouse <command>/);
    }
  });

  it('says its version', () => assert.match(gatehouse(['--version']).stdout, /^gatehouse \d+\.\d+\.\d+ /));

  const misused: string[][] = [
    ['sevre'],
    ['constructor'],
    ['serve', '--fast'],
    ['serve', 'twice'],
    ['serve', '--workers'],
    ['serve', '--workers', 'x'],
    ['config'],
    ['config', 'apache', '--provider', 'x'],
    ['config', 'nginx'],
    ['explain'],
    ['explain', 'GET'],
    ['explain', 'GET', 'http://a/', '--user', 'x'],
    ['config', 'nginx', 'caddy', '--provider', 'x'],
  ];
  for (const args of misused) {
    it(`ends with 2 and one line on: ${args.join(' ')}`, () => {
      const { status, stderr } = gatehouse(args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /^gatehouse: .*gatehouse help\n$/);
    });
  }

  it('names every wrong setting on its own line, with exit code 1 and no stack', () => {
    const { status, stderr } = gatehouse(['serve'], { AUTHENTIK_LOG_LEVEL: 'loud', GATEHOUSE_DATAS: '/x' });
    assert.equal(status, 1);
    assert.match(stderr, /^ {2}AUTHENTIK_LOG_LEVEL: must be/m);
    assert.match(stderr, /^ {2}GATEHOUSE_DATAS: .*GATEHOUSE_DATA\?/m);
    assert.doesNotMatch(stderr, /^\s+at /m);
  });

  it('shows settings without secrets', () => {
    const { status, stdout } = gatehouse(['settings'], {
      AUTHENTIK_BOOTSTRAP_PASSWORD: 'open sesame',
      AUTHENTIK_LISTEN__HTTP: ':81',
    });
    assert.equal(status, 0);
    assert.match(stdout, /^AUTHENTIK_LISTEN__HTTP\s+:81$/m);
    assert.match(stdout, /^AUTHENTIK_BOOTSTRAP_PASSWORD\s+\*+$/m);
    assert.doesNotMatch(stdout, /sesame/);
  });
});
