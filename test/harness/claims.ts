import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './wait.ts';

const held = new Set<string>();

/** What this machine has a few of and several test processes each need one: a file named after it holds it. */
export class Claims {
  readonly #folder: string;

  /** @param kind of thing, part of the folder's name */
  constructor(kind: string) {
    this.#folder = join(tmpdir(), `gatehouse-test-${kind}`);
  }

  /** @returns whether it is this process's now, until it ends or lets go of it */
  take(name: string): boolean {
    mkdirSync(this.#folder, { recursive: true });
    const file = join(this.#folder, name);
    for (const again of [true, false]) {
      try {
        writeFileSync(file, String(process.pid), { flag: 'wx' });
        held.add(file);
        return true;
      } catch {
        if (!again || held.has(file) || isAlive(owner(file)) || !clearAway(file)) return false;
      }
    }
    return false;
  }

  /** Names this process holds. */
  mine(): string[] {
    return this.#names().filter((name) => held.has(join(this.#folder, name)));
  }

  /** Names other processes hold. */
  others(): string[] {
    return this.#names().filter((name) => {
      const file = join(this.#folder, name);
      return !held.has(file) && isAlive(owner(file));
    });
  }

  #names(): string[] {
    return existsSync(this.#folder) ? readdirSync(this.#folder) : [];
  }

  release(name: string): void {
    const file = join(this.#folder, name);
    held.delete(file);
    rmSync(file, { force: true });
  }
}

/** Removes what a process that is gone left behind. @returns false when another process was faster, and has it now */
function clearAway(file: string): boolean {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return false;
  }
  const theirs = isAlive(owner(aside));
  if (theirs) renameSync(aside, file);
  else rmSync(aside, { force: true });
  return !theirs;
}

/** A file that cannot be read, or is empty yet, counts as somebody's. */
function owner(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8')) || process.pid;
  } catch {
    return process.pid;
  }
}

process.on('exit', () => {
  for (const file of held) rmSync(file, { force: true });
});
