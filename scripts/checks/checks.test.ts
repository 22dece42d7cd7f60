import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { missingEntries } from '../complete-lock.ts';
import { checkLayers } from './layers.ts';
import { isPermissive } from './licences.ts';

describe('layer rules', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-layers-'));
    for (const file of ['package.json', '.dependency-cruiser.cjs']) copyFileSync(file, path.join(folder, file));
    symlinkSync(path.resolve('node_modules'), path.join(folder, 'node_modules'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Names of the rules that a tree of these files breaks. */
  function broken(files: Record<string, string>): string[] {
    rmSync(path.join(folder, 'src'), { recursive: true, force: true });
    mkdirSync(path.join(folder, 'src'));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.join(folder, 'src', path.dirname(name)), { recursive: true });
      writeFileSync(path.join(folder, 'src', name), content);
    }
    return checkLayers(folder).map((line) => /\((\S+)\)$/.exec(line)?.[1] ?? line);
  }
  const target = (name: string) => ({ [name]: 'export const x = 1;\nexport type T = number;\n' });

  it('fail when no module is seen', () => assert.match(broken({ 'x.txt': '' }).join(), /saw no module/));

  it('let the allowed edges pass', () => {
    assert.deepEqual(
      broken({
        ...target('contract/a.ts'),
        ...target('settings/s.ts'),
        'outpost/o.ts':
          "import { x } from '../contract/a.ts';\nimport type { T } from '../settings/s.ts';\nimport * as jose from 'jose';\nexport const y: [number, T, unknown] = [x, 1, jose];\n",
        'main.ts': "import { y } from './outpost/o.ts';\nconsole.log(y);\n",
      }),
      [],
    );
  });

  const forbidden: [rule: string, from: string, to: string][] = [
    ['outpost-never-server', 'outpost/o.ts', 'server/a.ts'],
    ['server-never-outpost', 'server/s.ts', 'outpost/a.ts'],
    ['contract-imports-nothing', 'contract/c.ts', 'settings/a.ts'],
    ['look-imports-contract', 'look/l.ts', 'server/a.ts'],
    ['settings-imports-contract', 'settings/s.ts', 'outpost/a.ts'],
    ['demo-imports-contract', 'demo/d.ts', 'server/a.ts'],
    ['supervise-composes', 'supervise/s.ts', 'server/a.ts'],
    ['settings-as-types-only', 'server/s.ts', 'settings/a.ts'],
  ];
  for (const [rule, from, to] of forbidden) {
    it(`${from} may not import ${to}`, () => {
      assert.deepEqual(broken({ ...target(to), [from]: `import { x } from '../${to}';\nconsole.log(x);\n` }), [rule]);
    });
  }

  it('keep the outpost small and development packages out', () => {
    assert.deepEqual(broken({ 'outpost/o.ts': "import 'fastify';\n" }), ['outpost-packages']);
    assert.deepEqual(broken({ 'server/s.ts': "import 'fast-check';\n" }), ['no-development-packages']);
  });

  it('find circles', () => {
    const files = { 'server/a.ts': "import './b.ts';\n", 'server/b.ts': "import './a.ts';\n" };
    assert.ok(broken(files).includes('no-circles'));
  });
});

describe('licences', () => {
  it('one permissive choice is enough, but each joined term counts', () => {
    assert.equal(isPermissive('MIT'), true);
    assert.equal(isPermissive('(MIT OR GPL-3.0)'), true);
    assert.equal(isPermissive('MIT AND GPL-3.0'), false);
    assert.equal(isPermissive('AGPL-3.0'), false);
    assert.equal(isPermissive(''), false);
  });
});

describe('lock file', () => {
  it('names the entries that are missing, for the platform in their name', () => {
    const packages = {
      '': {},
      'node_modules/a': {
        dev: true,
        license: 'MIT',
        optionalDependencies: { '@a/linux-x64-musl': '1.0.0', '@a/darwin-arm64': '1.0.0' },
      },
      'node_modules/@a/darwin-arm64': {},
    };
    assert.deepEqual(missingEntries(packages), {
      'node_modules/@a/linux-x64-musl': {
        version: '1.0.0',
        cpu: ['x64'],
        dev: true,
        libc: ['musl'],
        license: 'MIT',
        optional: true,
        os: ['linux'],
      },
    });
  });
});
