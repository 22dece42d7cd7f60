/** Answers without a body, written together with those of other requests that were read in the same turn. */
import type { ServerResponse } from 'node:http';
import { atEndOfTurn } from './end-of-turn.ts';

/** @param flat name, value, …; must have been checked: a header that Node refuses breaks the connection */
export function writeTogether(res: ServerResponse, status: number, flat: readonly string[]): void {
  res.statusCode = status; // what is logged
  atEndOfTurn(() => {
    try {
      res.writeHead(status, flat as string[]);
      res.end();
    } catch {
      // something answered in between, after an error: the client must not take half an answer for a whole one
      res.destroy();
    }
  });
}
