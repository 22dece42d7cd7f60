/** What differs between HTTP/1.1 and HTTP/2 on the client's side of an answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { isHttp2 } from '../listen/http2.ts';

function http2Of(res: object): Http2ServerResponse | undefined {
  return 'stream' in res ? (res as unknown as Http2ServerResponse) : undefined;
}

/** Whether a request has a body. HTTP/2 needs no length to say so. */
export function hasBody(req: IncomingMessage | Http2ServerRequest): boolean {
  if (isHttp2(req)) return !req.stream.endAfterHeaders;
  // `headers` would be made of all of them first
  const { rawHeaders } = req;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 14 && name.toLowerCase() === 'content-length' && rawHeaders[i + 1] !== '0') return true;
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return true;
  }
  return false;
}

/**
 * How long the client may be silent from now on; then the answer emits `timeout`. HTTP/2 has many answers on a
 * connection, each with a limit of its own.
 * @param ms 0 = for ever
 */
export function limitSilence(res: ServerResponse, ms: number): void {
  const http2 = http2Of(res);
  if (http2 === undefined) res.socket?.setTimeout(ms);
  else if (!http2.stream.destroyed) http2.stream.setTimeout(ms);
}

/**
 * Sets the limit an HTTP/2 answer has whether or not anybody listens to `timeout` (supervise/tls-listener.ts). An
 * HTTP/1.1 connection has none: what is left of a small answer lies with the kernel.
 */
export function ownLimits(res: ServerResponse, ms: number): void {
  if ('stream' in res) limitSilence(res, ms);
}

/** @param headers name, value, … */
export function writeHead(res: ServerResponse, status: number, message: string, headers: string[]): void {
  const http2 = http2Of(res);
  if (http2 === undefined) res.writeHead(status, message, headers);
  else http2.writeHead(status, headers as never); // HTTP/2 has no status texts; Node takes the flat list here too
}

export function writeTrailers(res: ServerResponse, trailers: readonly [string, string][]): void {
  if (trailers.length === 0) return;
  const http2 = http2Of(res);
  if (http2 !== undefined) http2.addTrailers(Object.fromEntries(trailers));
  else if (res.chunkedEncoding) res.addTrailers(trailers);
}

/**
 * Before the end of an answer whose request may still send a body that nobody reads any more: in HTTP/1.1 it could not
 * be told from the next request, so the connection ends with the answer; in HTTP/2 the client is told to stop.
 */
export function dropRest(res: ServerResponse): void {
  const http2 = http2Of(res);
  const { socket } = res;
  if (http2 === undefined) res.once('finish', () => socket?.destroySoon());
  else {
    const stop = () => {
      http2.req.destroy(); // or the rest that never comes would look like the end of the body
      http2.stream.close(constants.NGHTTP2_NO_ERROR); // RFC 9113 8.1
    };
    http2.stream.once('finish', () => setImmediate(stop)); // later than the end itself, which must not be overtaken
  }
}

/**
 * Breaks an answer off so that the client sees that the rest is missing: HTTP/1.1 by its connection, HTTP/2 by a reset
 * with an error code, since browsers take one without for the end of a whole answer.
 */
export function breakOff(res: { destroy(error?: Error): unknown }, error?: Error): void {
  const http2 = http2Of(res);
  if (http2 === undefined) res.destroy(error);
  else http2.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}
