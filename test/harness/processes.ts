import { readFileSync, readdirSync } from 'node:fs';

/** What /proc tells about the processes of a running Gatehouse. */
export type Part = 'control-plane' | 'worker';

/** Direct children of a process with their part; other children are left out. */
export function partsOf(pid: number): { pid: number; part: Part }[] {
  const parts: { pid: number; part: Part }[] = [];
  for (const child of childrenOf(pid)) {
    const line = commandLine(child);
    if (line.includes('control-plane-main')) parts.push({ pid: child, part: 'control-plane' });
    else if (line.includes('worker-main')) parts.push({ pid: child, part: 'worker' });
  }
  return parts;
}

export function childrenOf(pid: number): number[] {
  const children = new Set<number>();
  let tasks: string[];
  try {
    tasks = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  for (const task of tasks) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8');
      for (const child of text.trim().split(' ')) if (child !== '') children.add(Number(child));
    } catch {
      // the thread ended meanwhile
    }
  }
  return [...children];
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Largest resident size the process ever had, bytes. */
export function peakMemory(pid: number): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new TypeError(`no VmHWM for process ${pid}`);
  return Number(kib) * 1024;
}

/** How many sockets of the whole machine listen on a TCP port (one per worker that takes requests). */
export function listenersOn(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let count = 0;
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n')) {
      const [, address, , state] = line.trim().split(/\s+/);
      if (state === '0A' && address?.endsWith(local) === true) count++;
    }
  }
  return count;
}
