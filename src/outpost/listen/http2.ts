/** HTTP/2 requests in the form that everything behind the listener reads (RFC 9113 8.3). */
import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';

/** Whether a request came over HTTP/2. Its version text does not tell: an HTTP/1 request line may say `HTTP/2.0`. */
export function isHttp2(req: IncomingMessage | Http2ServerRequest): req is Http2ServerRequest {
  return 'stream' in req;
}

/**
 * Gives a request the raw headers an HTTP/1.1 request of the same meaning has: no pseudo headers, `:authority` as
 * `Host`, one Cookie field (8.2.3). A `Host` that says something else than `:authority` stays beside it: two hosts are
 * refused later, as in HTTP/1.1.
 * @returns the same request; Node's compatibility API offers what we read of it
 */
export function likeHttp1(req: Http2ServerRequest): IncomingMessage {
  Object.defineProperty(req, 'rawHeaders', { value: plainHeaders(req.rawHeaders) });
  return req as unknown as IncomingMessage;
}

/** @param raw name, value, …, pseudo headers among them */
export function plainHeaders(raw: readonly string[]): string[] {
  const rest: string[] = [];
  const hosts: string[] = [];
  const cookies: string[] = [];
  let authority: string | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (name === ':authority') authority = value;
    else if (name.startsWith(':')) continue;
    else if (name === 'host') hosts.push(value);
    else if (name === 'cookie') cookies.push(value);
    else rest.push(name, value);
  }
  const said = authority?.toLowerCase();
  const others = authority === undefined ? hosts : hosts.filter((host) => host.toLowerCase() !== said);
  const all = authority === undefined ? others : [authority, ...others];
  const out = all.flatMap((host) => ['host', host]);
  out.push(...rest);
  if (cookies.length > 0) out.push('cookie', cookies.join('; '));
  return out;
}
