import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './wait.ts';

/**
 * Ports of this test process. Several test files run side by side, and a port that was free a moment ago may be
 * someone's outgoing connection now; so ports come from below the kernel's ephemeral range, and a file named after
 * each holds it until the process ends.
 */
const FIRST = 20_000;
const COUNT = 10_000;
const folder = join(tmpdir(), 'gatehouse-test-ports');
const held = new Set<string>();

export async function freePort(): Promise<number> {
  mkdirSync(folder, { recursive: true });
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    const file = join(folder, String(port));
    if (!claim(file)) continue;
    if (await canListen(port)) return port;
    release(file);
  }
  throw new Error('no free port found for the test');
}

function claim(file: string): boolean {
  for (const again of [true, false]) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      held.add(file);
      return true;
    } catch {
      if (!again || held.has(file) || isAlive(owner(file))) return false;
      rmSync(file, { force: true }); // left behind by a process that is gone
    }
  }
  return false;
}

function owner(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8')) || process.pid;
  } catch {
    return process.pid;
  }
}

function release(file: string): void {
  held.delete(file);
  rmSync(file, { force: true });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '::', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

process.on('exit', () => {
  for (const file of held) rmSync(file, { force: true });
});
