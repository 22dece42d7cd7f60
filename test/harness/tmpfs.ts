import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, rmdirSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guard } from './wait.ts';

/** Says plainly what a test needs instead of leaving it out. */
export function demandRoot(what: string): void {
  if (process.getuid?.() !== 0) throw new Error(`${what} needs root: run this test as root, as the CI does`);
}

/** A file system in memory of a size of our choice, to be full or read-only on demand. */
export class Tmpfs {
  readonly path: string;
  readonly #done: () => void;

  constructor(options: string) {
    demandRoot('mounting a small file system');
    this.path = mkdtempSync(join(tmpdir(), 'gatehouse-tmpfs-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'gatehouse-test', this.path]);
    this.#done = guard.undoAtExit(() => this.#unmount());
  }

  /** Uses up every byte. @returns the function that frees them again */
  fill(): () => void {
    const file = join(this.path, 'ballast');
    const handle = openSync(file, 'w');
    for (const size of [64 * 1024, 4096, 1]) {
      const block = Buffer.alloc(size, 1);
      try {
        while (writeSync(handle, block) === size);
      } catch {
        // full for blocks of this size
      }
    }
    fsyncSync(handle);
    closeSync(handle);
    return () => rmSync(file);
  }

  remove(): void {
    this.#done();
    this.#unmount();
  }

  #unmount(): void {
    execFileSync('umount', ['-l', this.path]);
    rmdirSync(this.path);
  }
}
