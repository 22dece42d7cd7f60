/** A copy of the sources with something broken in it, to see that the suite notices. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../harness/gatehouse.ts';

export interface Edit {
  /** path below src/ */
  file: string;
  /** text that stands there exactly once */
  find: string;
  replace: string;
}

/** @returns the folder of the copy, and a way to remove it */
export function brokenCopy(edits: readonly Edit[]): { root: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'gatehouse-broken-'));
  const remove = () => rmSync(root, { recursive: true, force: true });
  try {
    cpSync(join(ROOT, 'src'), join(root, 'src'), { recursive: true });
    cpSync(join(ROOT, 'package.json'), join(root, 'package.json'));
    // Node strips no types below a folder of this name, so only the packages lie behind the link
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    for (const { file, find, replace } of edits) {
      const path = join(root, 'src', file);
      const text = readFileSync(path, 'utf8');
      assert.equal(text.split(find).length - 1, 1, `${file} must hold this text exactly once: ${find}`);
      writeFileSync(
        path,
        text.replace(find, () => replace),
      );
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { root, remove };
}
