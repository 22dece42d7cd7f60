import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { UNITS } from '../scripts/deploy-units.ts';
import { DATA, OUTPOST_IMAGE, PORTS, SERVER_IMAGE, UID } from '../src/commands/manifest/values.ts';
import { ROOT } from './harness/program.ts';
import { copied, dockerfileStages, reachesBuilder } from './images.test-helper.ts';

/** What can be told of the images without an engine; images.long.test.ts takes their steps by hand. */
describe('the Dockerfile', () => {
  const stages = dockerfileStages();
  const stage = (name: string) => stages.find((s) => s.name === name) ?? assert.fail(`no stage ${name}`);
  const texts = (name: string, instruction: string) =>
    stage(name)
      .instructions.filter((i) => i.name === instruction)
      .map(({ text }) => text);

  it('has instructions that exist, in stages that build on each other', () => {
    const known = 'RUN CMD EXPOSE ENV COPY ENTRYPOINT VOLUME USER WORKDIR STOPSIGNAL HEALTHCHECK'.split(' ');
    for (const [i, { name, from, instructions }] of stages.entries()) {
      const earlier = stages.slice(0, i).map((s) => s.name);
      assert.ok(earlier.includes(from) || /^node:24-[\w-]+$/.test(from), `${name} from ${from}`);
      for (const instruction of instructions) {
        assert.ok(known.includes(instruction.name), instruction.name);
        const other = /--from=(\S+)/.exec(instruction.text)?.[1];
        assert.ok(other === undefined || earlier.includes(other), instruction.text);
      }
    }
    assert.deepEqual(
      stages.map(({ name }) => name),
      ['build', 'base', 'outpost', 'server'],
      'a build without a target makes the server',
    );
  });

  it('copies what is there and what the builder gets, and nothing else gets there', () => {
    const sources = stage('build')
      .instructions.filter(({ name }) => name === 'COPY')
      .flatMap((instruction) => copied(instruction).sources);
    for (const source of sources) {
      assert.ok(existsSync(join(ROOT, source)), source);
      assert.ok(reachesBuilder(source), source);
    }
    for (const needed of ['src/main.ts', 'scripts/lib/build.mjs', 'src/server/README.md']) {
      assert.ok(reachesBuilder(needed), needed);
    }
    for (const kept of ['data/lock.db', '.git/config', '.env', 'test/images.test.ts', 'src/main.test.ts', '.npmrc']) {
      assert.ok(!reachesBuilder(kept), kept);
    }
  });

  it('runs as a user without rights, on a root that may be read-only, and says how it is', () => {
    assert.deepEqual(texts('base', 'USER'), [`${UID}:${UID}`]);
    for (const name of ['outpost', 'server']) {
      assert.equal(stage(name).from, 'base');
      assert.deepEqual(
        stage(name).instructions.map((i) => i.name),
        ['COPY', 'CMD'],
        'files of root, and nothing after USER changes the user',
      );
    }
    assert.deepEqual(texts('base', 'VOLUME'), [`["${DATA}"]`]);
    assert.deepEqual(texts('base', 'EXPOSE'), [Object.values(PORTS).join(' ')]);
    assert.match(texts('base', 'ENV').join(), new RegExp(`GATEHOUSE_DATA=${DATA}\\b`));
    const entry = JSON.parse(texts('base', 'ENTRYPOINT')[0] ?? '') as string[];
    assert.deepEqual(entry, ['node', '/app/dist/main.js']);
    assert.match(texts('base', 'HEALTHCHECK')[0] ?? '', /CMD \["node", "\/app\/dist\/main.js", "healthcheck"\]$/);
    assert.deepEqual([texts('server', 'CMD'), texts('outpost', 'CMD')], [['["serve"]'], ['["outpost"]']]);
  });

  it('makes the images that the files of deploy/ name', () => {
    assert.match(SERVER_IMAGE, /^gatehouse:\d/);
    assert.match(OUTPOST_IMAGE, /^gatehouse-outpost:\d/);
  });
});

describe('systemd units', () => {
  it('are taken by systemd', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-units-'));
    try {
      const files = Object.entries(UNITS).map(([file, text]) => {
        const local = join(folder, file.slice(file.lastIndexOf('/') + 1));
        // systemd looks whether the program is there
        writeFileSync(local, text.replaceAll('/opt/gatehouse/node_modules/.bin/node', process.execPath));
        return local;
      });
      const run = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
      assert.equal(run.error, undefined, 'systemd-analyze is in the Debian package systemd');
      assert.equal(run.stdout + run.stderr, '');
      assert.equal(run.status, 0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
