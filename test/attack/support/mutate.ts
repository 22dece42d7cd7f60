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

/** Copies that are whole again: the next one broken in the same place is compiled already, but for its own file. */
const whole: string[] = [];

/** @returns the folder of the copy, and what makes it whole again for the next one */
export function brokenCopy(edits: readonly Edit[]): { root: string; mend(): void } {
  const root = whole.pop() ?? freshCopy();
  const mend = () => {
    for (const { file } of edits) cpSync(join(ROOT, 'src', file), join(root, 'src', file));
    whole.push(root);
  };
  try {
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
    mend();
    throw error;
  }
  return { root, mend };
}

function freshCopy(): string {
  const root = mkdtempSync(join(tmpdir(), 'gatehouse-broken-'));
  cpSync(join(ROOT, 'src'), join(root, 'src'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(root, 'package.json'));
  // Node strips no types below a folder of this name, so only the packages lie behind the link
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  return root;
}

/** After the last one. */
export function removeCopies(): void {
  for (const root of whole.splice(0)) rmSync(root, { recursive: true, force: true });
}
