/**
 * Work put off to the end of a turn of the event loop, when everything that arrived with it has been read. Whoever is
 * on the other side (a reverse proxy, an application) is woken once for all that is then written to it; written one by
 * one, each write wakes it again, which costs the kernel as much as the rest of a request costs us (measured:
 * docs/performance.md). Nothing waits for what has not arrived yet.
 */

let waiting: (() => void)[] = [];

/** @param work must not throw */
export function atEndOfTurn(work: () => void): void {
  if (waiting.push(work) === 1) setImmediate(runAll);
}

function runAll(): void {
  const all = waiting;
  waiting = [];
  for (const work of all) work();
}
