import { isIP } from 'node:net';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import type { Dispatcher, RequestInit as UndiciRequestInit } from 'undici';
import { EXTENSION_HEADER, EXTENSION_VERSION, LINK_HEADERS } from '../contract/extension.ts';
import { OUTPOST_USER_AGENT } from '../contract/version.ts';
import type { BackChannelOptions } from './messages.ts';
import { serverTrust } from './trust.ts';

/** Longest wait for any answer of the identity server, ms. */
const TIMEOUT_MS = 10_000;
/** Longest wait for a connection, ms: a server that comes back is to be found soon. */
const CONNECT_MS = 4000;

/** Calls from an outpost to its identity server. */
export interface OpenBackChannel {
  /**
   * fetch as usual; addresses without a scheme are meant below the server's base. Calls of the REST API carry the
   * outpost's token. Whatever host an address names, the call goes to the server: over its private socket when it is the
   * one beside us, else to the base's host. The server names its addresses as browsers know them. A `host` header says
   * which of its addresses is meant, where that matters.
   */
  readonly fetch: typeof fetch;
  /** ends with `/api/v3/` */
  readonly apiBase: string;
  close(): Promise<void>;
}

export function openBackChannel(options: BackChannelOptions): OpenBackChannel {
  const { socket } = options;
  const base = new URL(options.base);
  const browser = options.browser === undefined ? null : URL.parse(options.browser);
  const apiBase = new URL('api/v3/', options.base).href;
  const agent = new Agent({
    connect: socket ? { socketPath: socket.path, timeout: TIMEOUT_MS } : connector(options),
    allowH2: false,
    keepAliveTimeout: 4000,
  });

  const send = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    if (input instanceof Request) throw new TypeError('the back channel takes an address, not a Request');
    const url = new URL(input, options.base);
    if (!socket) Object.assign(url, { protocol: base.protocol, host: base.host, port: base.port });
    const headers = new Headers(init.headers);
    if (!headers.has('user-agent')) headers.set('user-agent', OUTPOST_USER_AGENT);
    if (url.href.startsWith(apiBase)) {
      if (!headers.has('authorization')) headers.set('authorization', `Bearer ${options.token}`);
      if (!headers.has('accept')) headers.set('accept', 'application/json');
      headers.set(EXTENSION_HEADER, EXTENSION_VERSION);
    } else if (browser && !socket) {
      // an official server makes issuers from what it is called by, and browsers call it so (spec/outpost.md 9.6)
      headers.set('host', browser.host);
      if (browser.protocol !== url.protocol) headers.set('x-forwarded-proto', browser.protocol.slice(0, -1));
    }
    if (socket) {
      headers.set(LINK_HEADERS.credential, socket.credential);
      headers.set(LINK_HEADERS.internal, socket.internalCredential);
      headers.set(LINK_HEADERS.scheme, url.protocol === 'https:' ? 'https' : 'http');
      headers.set(LINK_HEADERS.host, url.host);
      url.protocol = 'http:'; // no TLS on the private socket
    }
    // fetch notes the times of each call for whoever asks, which is nobody: 250 of them would stay
    performance.clearResourceTimings();
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    const request = {
      redirect: 'manual',
      ...init,
      headers: [...headers],
      signal,
      dispatcher: dispatcherFor(agent, headers.get('host')),
    } as UndiciRequestInit;
    return (await undiciFetch(url, request)) as unknown as Response;
  };
  return { fetch: send as typeof fetch, apiBase, close: () => agent.destroy() };
}

/** Connects to the server under its own name, whatever `Host` a call carries. */
function connector(options: BackChannelOptions): buildConnector.connector {
  const connect = buildConnector({ ...serverTrust(options), timeout: CONNECT_MS, allowH2: false });
  const { hostname } = new URL(options.base);
  const servername = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : undefined;
  return (target, done) => {
    const { servername: _, ...rest } = target;
    connect(servername === undefined ? rest : { ...rest, servername }, done);
  };
}

/** fetch itself always writes the address's own host. */
function dispatcherFor(agent: Agent, host: string | null): Dispatcher {
  if (host === null) return agent;
  return agent.compose((dispatch) => (options, handler) => {
    const headers = options.headers as Record<string, string>; // as fetch hands them over
    return dispatch({ ...options, headers: { ...headers, host } }, handler);
  });
}

/** What a server answered instead of success, as an error for the log. */
export class UnexpectedAnswer extends Error {
  readonly status: number;
  /** where a redirect leads, without query */
  readonly location: string | undefined;

  constructor(what: string, status: number, location?: string | null) {
    super(`${what}: the identity server answered ${status}`);
    this.name = 'UnexpectedAnswer';
    this.status = status;
    this.location = location?.split(/[?#]/, 1)[0];
  }
}
