/** docs/promises.md names a test for each promise: each of them has to exist. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from './harness/gatehouse.ts';

interface Row {
  promise: string;
  shown: string;
}

const rows: Row[] = readFileSync(join(ROOT, 'docs/promises.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\|[\s-]+\|[\s-]+\|$|^\| promise/.test(line))
  .map((line) => {
    const [, promise = '', shown = ''] = line.split('|').map((cell) => cell.trim());
    return { promise, shown };
  });

const named = ({ shown }: Row) =>
  [...shown.matchAll(/`([^`]+)`: "([^"]+)"/g)].map(([, file, name]) => ({ file, name }));

/** Whether a test or a group of tests of this file has a name that holds the text. */
function hasTest(source: string, name: string): boolean {
  const lines = source.split('\n');
  return lines.some((line, i) => {
    if (!line.includes(name)) return false;
    // the name of a call that does not fit into one line stands in the next
    return /^\s*(?:it|describe)\(|^\s*title:/.test(line) || /^\s*(?:it|describe)\($/.test(lines[i - 1] ?? '');
  });
}

describe('the table of promises', () => {
  it('says for each how it is shown, or that it is missing', () => {
    assert.ok(rows.length >= 50, `${rows.length} promises were read`);
    for (const row of rows) {
      const tests = named(row);
      assert.ok(tests.length > 0 || row.shown.startsWith('missing: '), row.promise);
      const rest = row.shown.replaceAll(/`[^`]+`: "[^"]+"|<br>|\s/g, '');
      assert.ok(tests.length === 0 || rest === '', `${row.promise}: nothing but tests is named`);
    }
  });

  it('names tests that are there', () => {
    for (const row of rows) {
      for (const { file = '', name = '' } of named(row)) {
        assert.ok(existsSync(join(ROOT, file)), `${file} is not there: ${row.promise}`);
        assert.ok(hasTest(readFileSync(join(ROOT, file), 'utf8'), name), `${file} has no test "${name}"`);
      }
    }
  });
});
