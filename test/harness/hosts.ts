import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demandRoot } from './tmpfs.ts';

/** Names that a program finds at addresses of our choice, as in a container's own /etc/hosts. */
export class Hosts {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatehouse-hosts-'));
  readonly #file = join(this.#folder, 'hosts');

  constructor(names: Readonly<Record<string, string>>) {
    demandRoot('giving a program names of its own');
    const lines = Object.entries(names).map(([name, address]) => `${address} ${name}`);
    writeFileSync(this.#file, [readFileSync('/etc/hosts', 'utf8'), ...lines, ''].join('\n'));
  }

  /** command put in front of the program; it takes this process's place, so that the process id is the program's */
  get prefix(): string[] {
    return ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', this.#file];
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
