import { request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Pool } from 'undici';
import { CodedError } from '../../contract/errors.ts';
import { EXTENSION_HEADER, LINK_HEADERS } from '../../contract/extension.ts';
import { foldHeaderName } from '../../contract/headers.ts';
import { Carrier } from './carry.ts';
import { deafPeerConnector } from './deaf-peer.ts';
import { connectionNames, isHopByHop } from './hop-by-hop.ts';

/** Where the control plane listens, and what makes a caller believable there (architecture, decision 6). */
export interface ControlPlaneLink {
  socketPath: string;
  /** boot credential, made anew at each start */
  credential: string;
}

/** What a worker found out about a request and vouches for on the private socket. */
export interface VouchedRequest {
  /** address of the client, resolved over trusted hops */
  clientAddress: string;
  scheme: 'http' | 'https';
  host: string;
  requestId: string;
}

/** Carries requests of browsers, API clients and outposts to the identity server. */
export class ControlPlaneProxy {
  readonly #link: ControlPlaneLink;
  readonly #pool: Pool;

  constructor(link: ControlPlaneLink) {
    this.#link = link;
    this.#pool = new Pool('http://control-plane', {
      connect: deafPeerConnector(link.socketPath),
      pipelining: 1,
      bodyTimeout: 0,
      keepAliveTimeout: 4000,
      maxHeaderSize: 64 * 1024,
    });
  }

  /** @param onDown answers in place of a control plane that is not there (503); called only while nothing was sent */
  readonly handle = (
    req: IncomingMessage,
    res: ServerResponse,
    vouched: VouchedRequest,
    onDown: (error: CodedError) => void,
  ): void => {
    new Carrier(req, res, {}, (error) => onDown(asDown(error))).start({
      dispatcher: this.#pool,
      path: req.url ?? '/',
      requestHeaders: this.#headers(req.rawHeaders, vouched),
      responseHeaders: passedOn,
    });
  };

  /**
   * Carries an upgrade (outposts attach at `/ws/…`): once the control plane agrees, bytes pass both ways untouched.
   * It authenticates; a refusal reaches the client as it is.
   */
  readonly upgrade = (req: IncomingMessage, client: Duplex, head: Buffer, vouched: VouchedRequest): void => {
    const headers = this.#headers(req.rawHeaders, vouched);
    headers.push('Connection', 'Upgrade', 'Upgrade', req.headers.upgrade ?? '');
    const outgoing = httpRequest({
      socketPath: this.#link.socketPath,
      agent: false,
      method: req.method,
      path: req.url,
      headers,
    });
    const giveUp = () => client.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n\r\n');
    client.on('error', () => outgoing.destroy()).on('close', () => outgoing.destroy());
    outgoing.on('error', giveUp);
    outgoing.on('response', (answer) => {
      client.write(headOf(answer, [...passedOn(answer.rawHeaders), 'Connection', 'close']));
      answer.pipe(client);
    });
    outgoing.on('upgrade', (answer, upstream, first) => {
      outgoing.off('error', giveUp);
      client.write(headOf(answer, answer.rawHeaders));
      if (first.length > 0) client.write(first);
      if (head.length > 0) upstream.write(head);
      const end = () => {
        client.destroy();
        upstream.destroy();
      };
      client.on('error', end).on('close', end);
      upstream.on('error', end).on('close', end);
      client.pipe(upstream).pipe(client);
    });
    outgoing.end();
  };

  /** Ends all connections to the control plane. */
  destroy(): Promise<void> {
    return this.#pool.destroy();
  }

  #headers(raw: readonly string[], vouched: VouchedRequest): string[] {
    const headers = ['Host', vouched.host, ...withoutClaims(passedOn(raw))];
    headers.push(LINK_HEADERS.credential, this.#link.credential, LINK_HEADERS.peer, vouched.clientAddress);
    headers.push(LINK_HEADERS.scheme, vouched.scheme, LINK_HEADERS.host, vouched.host);
    headers.push(LINK_HEADERS.requestId, vouched.requestId);
    return headers;
  }
}

/** Whatever kept the control plane from answering, it is starting or stopping; a request at fault stays one. */
function asDown(error: CodedError): CodedError {
  if (error.status === 400) return error;
  const sentence = 'The identity server is restarting. Try again in a few seconds.';
  return new CodedError('control-plane-down', 503, sentence, error.detail);
}

/** All but hop-by-hop headers: the identity server's answers are ours, nothing else in them is changed. */
function passedOn(raw: readonly string[]): string[] {
  const connection = raw.filter((_, i) => i % 2 === 1 && raw[i - 1]!.toLowerCase() === 'connection');
  const named = connectionNames(connection);
  return pairs(raw, (lower) => !isHopByHop(lower, named));
}

/**
 * Removes, in any spelling, what a client might say in our place: who it is, and what only workers say. That an outpost
 * elsewhere knows what is beyond the published contract is its own to say.
 */
function withoutClaims(headers: readonly string[]): string[] {
  return pairs(headers, (lower) => {
    if (lower === EXTENSION) return true;
    const folded = foldHeaderName(lower);
    return !(lower === 'host' || lower === 'expect' || CLAIMS.test(folded));
  });
}

const EXTENSION = EXTENSION_HEADER.toLowerCase();
const CLAIMS = /^(x-gatehouse-.*|x-forwarded-.*|forwarded|x-real-ip)$/;

function pairs(raw: readonly string[], keep: (lower: string) => boolean): string[] {
  const out: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (keep(raw[i]!.toLowerCase())) out.push(raw[i]!, raw[i + 1]!);
  }
  return out;
}

function headOf(answer: IncomingMessage, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}
