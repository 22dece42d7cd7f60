import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

/** A clone with a source of one line, on the packages installed here. */
describe('npm start', () => {
  let clone = '';
  before(() => {
    clone = mkdtempSync(path.join(tmpdir(), 'gatehouse-clone-'));
    const files = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts'];
    for (const name of files) cpSync(name, path.join(clone, name), { recursive: true });
    symlinkSync(path.resolve('node_modules'), path.join(clone, 'node_modules'));
    mkdirSync(path.join(clone, 'src'));
  });
  after(() => rmSync(clone, { recursive: true, force: true }));

  const write = (text: string) => writeFileSync(path.join(clone, 'src/main.ts'), text);
  const built = () => readFileSync(path.join(clone, 'dist/main.js'), 'utf8');
  function prepare() {
    const run = spawnSync(process.execPath, ['scripts/prepare.mjs', '--build'], { cwd: clone, encoding: 'utf8' });
    return { status: run.status, said: run.stderr };
  }

  it('compiles what is new, and says so', () => {
    write('export const x: number = 1;\n');
    const { status, said } = prepare();
    assert.equal(status, 0, said);
    assert.match(said, /compiled in/);
    assert.match(built(), /x = 1/);
  });

  it('does nothing the second time, also when only a test changed', () => {
    writeFileSync(path.join(clone, 'src/main.test.ts'), 'export {};\n');
    assert.deepEqual(prepare(), { status: 0, said: '' });
    assert.equal(existsSync(path.join(clone, 'dist/main.test.js')), false);
  });

  it('leaves the earlier build as it was when the sources do not compile', () => {
    write('export const x: number = "one";\n');
    const { status, said } = prepare();
    assert.equal(status, 1);
    assert.match(said, /do not compile/);
    assert.match(built(), /x = 1/);
    assert.deepEqual(
      readdirSync(clone).filter((name) => name.startsWith('dist')),
      ['dist'],
    );
  });

  it('refuses a damaged lock file with a sentence', () => {
    const lock = path.join(clone, 'package-lock.json');
    const text = readFileSync(lock, 'utf8');
    writeFileSync(lock, '{');
    const { status, said } = prepare();
    writeFileSync(lock, text);
    assert.equal(status, 1);
    assert.match(said, /package-lock\.json is missing or damaged/);
    assert.doesNotMatch(said, /^\s+at /m);
  });
});
