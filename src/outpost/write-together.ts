/**
 * Answers that are written together, at the end of a turn of the event loop. A reverse proxy asks about many requests at
 * once; answers written one by one wake it for each, which costs the kernel as much as the decision costs us. Written
 * together they wake it once (measured: docs/performance.md). An answer waits for the requests that were read with it,
 * never for new ones.
 */
import type { ServerResponse } from 'node:http';

interface Waiting {
  readonly res: ServerResponse;
  readonly status: number;
  /** name, value, … */
  readonly flat: readonly string[];
}

let waiting: Waiting[] = [];

/** Answers without a body. What `flat` holds must have been checked: a header Node refuses breaks the connection. */
export function writeTogether(res: ServerResponse, status: number, flat: readonly string[]): void {
  res.statusCode = status; // what is logged
  if (waiting.push({ res, status, flat }) === 1) setImmediate(write);
}

function write(): void {
  const answers = waiting;
  waiting = [];
  for (const { res, status, flat } of answers) {
    try {
      res.writeHead(status, flat as string[]);
      res.end();
    } catch {
      // something answered in between, after an error: the client must not take half an answer for a whole one
      res.destroy();
    }
  }
}
