/**
 * The headers that say who asks are the same for all requests of a session. undici checks each character of each of them
 * every time and puts the request's head together from four pieces a header, which was a tenth of what a carried request
 * costs (measured: docs/performance.md). So they are checked once and handed over in one piece: as one header whose value
 * goes on over several lines. undici publishes each request it makes, with the list of headers it is going to send
 * (`undici:request:create`); theirs is added there, behind its checks. Its version is pinned, and tests show that it
 * arrives, with its own request and no other.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Dispatcher } from 'undici';
import { checkHeaders } from '../write-together.ts';

/** Headers checked once, in one piece. */
export interface JoinedHeaders {
  /** name of the first */
  readonly name: string;
  /** its value, and the lines of all others */
  readonly rest: string;
}

/** What undici writes itself or refuses: none of it may get past its checks. */
const FRAMING: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'keep-alive', 'upgrade', 'transfer-encoding', 'content-length', 'expect'],
]);

/**
 * @param flat name, value, …; at least one
 * @throws TypeError for what may not be in a request's head
 */
export function joinHeaders(flat: readonly string[]): JoinedHeaders {
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? '';
    if (FRAMING.has(name.toLowerCase())) throw new TypeError(`the header ${name} belongs to the connection`);
  }
  const { lines } = checkHeaders(flat);
  const colon = lines.indexOf(': ');
  if (colon < 0) throw new TypeError('no header to join');
  return { name: lines.slice(0, colon), rest: lines.slice(colon + 2, -'\r\n'.length) };
}

/** of the request that is being handed over; only while it is */
let joining: JoinedHeaders | undefined;

subscribe('undici:request:create', (message) => {
  if (joining === undefined) return; // a request without, or one of somebody else's
  (message as { request: { headers: string[] } }).request.headers.push(joining.name, joining.rest);
  joining = undefined;
});

/**
 * Dispatches a request with `joined` as its last headers.
 * @throws what undici throws, and when it makes its request only later: then these would be missing
 */
export function dispatchJoined(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  handler: Dispatcher.DispatchHandler,
  joined: JoinedHeaders | undefined,
): void {
  joining = joined;
  try {
    dispatcher.dispatch(options, handler);
    if (joining !== undefined) throw new Error('undici has not made the request yet');
  } finally {
    joining = undefined; // never the next one's
  }
}
