/** Answers without a body, written together with those of other requests that were read in the same turn. */
import { ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http';
import { atEndOfTurn } from './end-of-turn.ts';

/** Headers that were checked once and are written many times: lines of an HTTP/1.1 head, each ended with CRLF. */
export interface CheckedHeaders {
  readonly lines: string;
}

/**
 * @param flat name, value, …
 * @throws TypeError for what Node would not write; callers have cleaned the values (`headerValue`)
 */
export function checkHeaders(flat: readonly string[]): CheckedHeaders {
  let lines = '';
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [name, value] = [flat[i] ?? '', flat[i + 1] ?? ''];
    validateHeaderName(name);
    validateHeaderValue(name, value);
    lines += `${name}: ${value}\r\n`;
  }
  // one piece of memory instead of a tree of pieces
  return { lines: Buffer.from(lines, 'latin1').toString('latin1') };
}

/**
 * Answers 200. Node checks each character of each header it writes, which with a token and a list of groups is most of
 * an answer's time. What was checked before goes in with the status line, through the function `writeHead` itself ends
 * in; where that is not there (HTTP/2), the ordinary way is taken. Headers set on `res` before are not written.
 * @param rest further headers: name, value, …
 */
export function permitTogether(res: ServerResponse, checked: readonly CheckedHeaders[], rest: readonly string[]): void {
  res.statusCode = 200; // what is logged
  atEndOfTurn(() => {
    try {
      if (res.headersSent) throw new Error('answered in between');
      let lines = '';
      for (const part of checked) lines += part.lines;
      if (storesHeads(res)) res._storeHeader(`HTTP/1.1 200 OK\r\n${lines}`, rest);
      else res.writeHead(200, [...pairs(lines), ...rest]);
      res.end();
    } catch {
      // something answered in between, after an error: the client must not take half an answer for a whole one
      res.destroy();
    }
  });
}

function pairs(lines: string): string[] {
  return lines
    .split('\r\n')
    .slice(0, -1)
    .flatMap((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
}

interface StoresHeads {
  _storeHeader(firstLine: string, headers: readonly string[]): void;
}

function storesHeads(res: ServerResponse): res is ServerResponse & StoresHeads {
  return res instanceof ServerResponse && typeof (res as Partial<StoresHeads>)._storeHeader === 'function';
}
