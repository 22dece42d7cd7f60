/** IncomingMessage -> {@link NormalisedRequest}. Reads rawHeaders, since Node merges duplicates silently. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CodedError } from '../../contract/errors.ts';
import { isHttp2 } from './http2.ts';
import type { Peers } from './peers.ts';
import type { DecisiveHeaders, NormalisedRequest } from './request.ts';

/** Every header the data plane reads, by lower-case name. The lengths let most headers be skipped unread. */
const READ = new Set(
  (
    'host cookie accept upgrade user-agent authorization sec-fetch-mode sec-fetch-dest sec-fetch-site ' +
    'content-type origin x-requested-with x-original-url x-original-uri x-forwarded-for x-forwarded-host x-forwarded-proto ' +
    'x-forwarded-uri x-forwarded-method sec-websocket-version'
  ).split(' '),
);
const LENGTHS: readonly boolean[] = Array.from({ length: 22 }, (_, n) => [...READ].some((name) => name.length === n));

/** Request ids: unique over processes by their first part, over requests by the second. */
const bootId = randomBytes(5).toString('hex');
let counter = 0;

const AUTHORITY = /^(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;
/** Characters no request target may hold: controls, space and `#` */
const BAD_TARGET = /[^\u0021\u0022\u0024-\u007e\u0080-\u00ff]/;

/** @returns the request; when it is ambiguous or refused, `problem` says why */
export function normalise(req: IncomingMessage, peers: Peers): NormalisedRequest {
  const { rawHeaders } = req;
  const headers: DecisiveHeaders = {
    cookie: undefined,
    authorization: undefined,
    accept: undefined,
    userAgent: undefined,
    upgrade: undefined,
    webSocketVersion: undefined,
    fetchMode: undefined,
    fetchDest: undefined,
    fetchSite: undefined,
    requestedWith: undefined,
    contentType: undefined,
    origin: undefined,
    originalUrl: undefined,
    originalUri: undefined,
    forwardedUri: undefined,
    forwardedMethod: undefined,
  };
  let host: string | undefined;
  let forwardedHost: string | undefined;
  let forwardedProto: string | undefined;
  let forwardedFor: string | undefined;
  let problem: CodedError | undefined;
  const { address, trusted } = peers.peer(req.socket.remoteAddress ?? '');

  const once = (before: string | undefined, name: string, value: string): string => {
    if (before !== undefined) problem ??= twice(name);
    return value;
  };
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const raw = rawHeaders[i] as string;
    if (LENGTHS[raw.length] !== true) continue;
    const value = rawHeaders[i + 1] as string;
    const name = raw.toLowerCase();
    switch (name) {
      case 'host':
        host = once(host, 'Host', value);
        break;
      case 'cookie':
        // RFC 9113 8.2.3: gateways from HTTP/2 may leave the cookies in several fields
        headers.cookie = headers.cookie === undefined ? value : `${headers.cookie}; ${value}`;
        break;
      case 'authorization':
        headers.authorization = once(headers.authorization, 'Authorization', value);
        break;
      case 'accept':
        headers.accept = headers.accept === undefined ? value : `${headers.accept}, ${value}`;
        break;
      case 'user-agent':
        headers.userAgent = value;
        break;
      case 'upgrade':
        headers.upgrade = value;
        break;
      case 'sec-websocket-version':
        headers.webSocketVersion = value;
        break;
      case 'sec-fetch-mode':
        headers.fetchMode = value;
        break;
      case 'sec-fetch-dest':
        headers.fetchDest = value;
        break;
      case 'sec-fetch-site':
        headers.fetchSite = value;
        break;
      case 'x-requested-with':
        headers.requestedWith = value;
        break;
      case 'content-type':
        headers.contentType = value;
        break;
      case 'origin':
        headers.origin = value;
        break;
      case 'x-forwarded-for':
        // a list by definition: HAProxy adds a second field instead of appending
        forwardedFor = forwardedFor === undefined ? value : `${forwardedFor},${value}`;
        break;
      case 'x-forwarded-host':
        if (trusted) forwardedHost = once(forwardedHost, 'X-Forwarded-Host', value);
        break;
      case 'x-forwarded-proto':
        if (trusted) forwardedProto = once(forwardedProto, 'X-Forwarded-Proto', value);
        break;
      case 'x-original-url':
        if (trusted) headers.originalUrl = once(headers.originalUrl, 'X-Original-URL', value);
        break;
      case 'x-original-uri':
        if (trusted) headers.originalUri = once(headers.originalUri, 'X-Original-URI', value);
        break;
      case 'x-forwarded-uri':
        if (trusted) headers.forwardedUri = once(headers.forwardedUri, 'X-Forwarded-Uri', value);
        break;
      case 'x-forwarded-method':
        if (trusted) headers.forwardedMethod = once(headers.forwardedMethod, 'X-Forwarded-Method', value);
        break;
    }
  }

  const said = (firstOf(forwardedHost) || host || '').toLowerCase();
  if (said !== '' && !AUTHORITY.test(said)) problem ??= badHost();
  let clientAddress = address;
  if (trusted && forwardedFor !== undefined) {
    const client = peers.client(address, forwardedFor);
    if (client === undefined) problem ??= badForwardedFor();
    else clientAddress = client;
  }

  const target = req.url ?? '';
  let rawTarget = target;
  if (!target.startsWith('/')) {
    const own = originForm(target, (host ?? '').toLowerCase());
    if (own !== undefined) rawTarget = own;
    else if (req.method === 'OPTIONS' && target === '*') rawTarget = '/';
    else problem ??= notForUs();
  }
  if (req.method === 'CONNECT') problem ??= notForUs();
  if (BAD_TARGET.test(rawTarget)) problem ??= badTarget();
  // Node also reads request lines that say HTTP/2.0 or 0.9, and treats them as 1.1
  if (req.httpVersion !== '1.1' && req.httpVersion !== '1.0' && !isHttp2(req)) problem ??= badVersion();
  const mark = rawTarget.indexOf('?');
  const rawPath = mark < 0 ? rawTarget : rawTarget.slice(0, mark);

  return {
    method: req.method ?? 'GET',
    rawTarget,
    rawPath,
    query: mark < 0 ? '' : rawTarget.slice(mark + 1),
    host: said,
    hostHeader: (host ?? '').toLowerCase(),
    scheme: scheme(firstOf(forwardedProto), req),
    peer: address,
    clientAddress,
    trusted,
    headers,
    rawHeaders,
    httpVersion: req.httpVersion,
    requestId: `${bootId}-${(counter++).toString(36)}`,
    problem,
  };
}

/** Absolute form for the host the request is for anyway (RFC 9112 3.2.2) is read as origin form. */
function originForm(target: string, host: string): string | undefined {
  const match = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target);
  if (match === null || host === '' || match[1]?.toLowerCase() !== host) return undefined;
  const rest = match[2] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function scheme(forwarded: string, req: IncomingMessage): 'http' | 'https' {
  const said = forwarded.toLowerCase();
  if (said === 'https' || said === 'http') return said;
  return 'encrypted' in req.socket ? 'https' : 'http';
}

/** First member of a comma-separated header: the hop next to the client. */
function firstOf(value: string | undefined): string {
  if (value === undefined) return '';
  const comma = value.indexOf(',');
  return (comma < 0 ? value : value.slice(0, comma)).trim();
}

/**
 * WebSockets cannot work over HTTP/1.0. Asked about ordinary requests only: an authorisation sub-request may carry
 * the headers of a WebSocket it is not.
 * @param webSockets path below which there is nothing but WebSockets
 */
export function upgradeOverHttp10(request: NormalisedRequest, webSockets = '/ws/'): CodedError | undefined {
  if (request.httpVersion !== '1.0') return undefined;
  if (request.headers.upgrade === undefined && !request.rawPath.startsWith(webSockets)) return undefined;
  return new CodedError(
    'upgrade-needs-http-1-1',
    426,
    'WebSockets do not work over HTTP/1.0. In nginx, set "proxy_http_version 1.1;" for this location.',
  );
}

const twice = (name: string) =>
  new CodedError(
    'duplicate-header',
    400,
    `The request carries the header ${name} more than once, so it is not clear what it asks for. ` +
      'Let the reverse proxy set this header instead of adding to it.',
  );
const badHost = () =>
  new CodedError('invalid-host', 400, 'The request does not name a valid host. Check the address and the Host header.');
const badForwardedFor = () =>
  new CodedError(
    'invalid-forwarded-for',
    400,
    'The header X-Forwarded-For holds something that is no address. Let the reverse proxy set it to addresses only.',
  );
const badTarget = () =>
  new CodedError('invalid-target', 400, 'The address asked for holds characters that no address may hold.');
const badVersion = () => new CodedError('http-version', 505, 'This connection takes HTTP/1.1 and HTTP/1.0 only.');
const notForUs = () =>
  new CodedError(
    'not-for-this-server',
    400,
    'This request is meant for another server. Gatehouse is no forward proxy: send it the path only.',
  );
