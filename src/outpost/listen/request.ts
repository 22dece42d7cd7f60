/** One request as the data plane sees it: what a client or a trusted proxy said, read once, ambiguities named. */
import type { CodedError } from '../../contract/errors.ts';

export interface NormalisedRequest {
  readonly method: string;
  /** origin form: path and query exactly as received */
  readonly rawTarget: string;
  /** path exactly as received, without query */
  readonly rawPath: string;
  /** query exactly as received, without `?` */
  readonly query: string;
  /** authority the client addressed, lower case, as sent (with its port, if any); empty when there is none */
  readonly host: string;
  /** the Host header alone, lower case, whatever a proxy forwarded beside it */
  readonly hostHeader: string;
  readonly scheme: 'http' | 'https';
  /** address of the connecting peer, an IPv4-mapped one written as IPv4 */
  readonly peer: string;
  /** the right-most hop that is not a trusted proxy */
  readonly clientAddress: string;
  /** whether the peer may say who the client is and what was asked for */
  readonly trusted: boolean;
  /** headers the data plane decides by; absent = undefined */
  readonly headers: DecisiveHeaders;
  /** name, value, name, value, … as received */
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
  readonly requestId: string;
  /** why this request cannot be decided; set = it must be refused, whatever else is in it */
  readonly problem: CodedError | undefined;
}

export interface DecisiveHeaders {
  /** all Cookie headers, joined */
  cookie: string | undefined;
  authorization: string | undefined;
  accept: string | undefined;
  userAgent: string | undefined;
  upgrade: string | undefined;
  webSocketVersion: string | undefined;
  fetchMode: string | undefined;
  fetchDest: string | undefined;
  fetchSite: string | undefined;
  requestedWith: string | undefined;
  contentType: string | undefined;
  origin: string | undefined;
  /** only from trusted peers */
  originalUrl: string | undefined;
  /** only from trusted peers */
  originalUri: string | undefined;
  /** only from trusted peers */
  forwardedUri: string | undefined;
  /** only from trusted peers */
  forwardedMethod: string | undefined;
}
