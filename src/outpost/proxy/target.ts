import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { foldHeaderName } from '../../contract/headers.ts';
import type { CodedError } from '../../contract/errors.ts';
import { Recent } from '../../rules/recent.ts';
import { joinHeaders } from './joined-headers.ts';
import type { JoinedHeaders } from './joined-headers.ts';

/** An application behind a site: made by {@link file://./upstreams.ts}, kept as long as its settings are. */
export interface Upstream {
  /** `http://backend:8080`, without a path */
  readonly origin: string;
  /** lower case, as in a Host header: the default port of the scheme is left out */
  readonly authority: string;
  /** path of `internal_host` without its last slash; empty for none */
  readonly basePath: string;
  readonly dispatcher: Dispatcher;
}

/** Headers made once per session and sent with each of its requests. */
export interface PreparedHeaders {
  /** undefined: none */
  readonly joined: JoinedHeaders | undefined;
  /** their folded names: a client's copies of them are removed */
  readonly folded: ReadonlySet<string>;
}

/**
 * @param flat name, value, name, value, … in wire casing; values already latin-1 (`headerValue`)
 * @throws TypeError for what may not be in a request's head
 */
export function prepareHeaders(flat: readonly string[]): PreparedHeaders {
  const joined = flat.length === 0 ? undefined : joinHeaders(flat);
  return { joined, folded: foldedNames(flat.filter((_, i) => i % 2 === 0)) };
}

/** Sets of names by the names: sessions of a site mostly share one, and a worker keeps some ten thousand sessions. */
const known = new Recent<ReadonlySet<string>>(256);

function foldedNames(names: readonly string[]): ReadonlySet<string> {
  const key = names.join('\n');
  let folded = known.get(key);
  if (folded === undefined) {
    folded = new Set(names.map(foldHeaderName));
    known.set(key, folded);
  }
  return folded;
}

/** For requests to public paths: nothing is added, and still everything managed is removed. */
export const NO_IDENTITY: PreparedHeaders = prepareHeaders([]);

/** Idle limits in ms; none is a limit on the whole request. 0 = none. */
export interface CarryLimits {
  /** a client that sends a body may pause this long */
  readonly clientSends: number;
  /** a client that is sent an answer may refuse bytes this long */
  readonly clientReceives: number;
  /** wait for the first byte of the answer once the request is sent */
  readonly upstreamAnswers: number;
  /** a connection that left HTTP (WebSocket) may be silent this long, in both directions */
  readonly upgraded: number;
}

/**
 * Ten minutes for the first byte: exports and reports take that long, and nothing is held up meanwhile. A stream
 * that is silent is not limited at all (events may be rare); TCP keep-alive finds peers that are gone. WebSockets have
 * pings of their own: one that is silent for an hour belongs to nobody.
 */
export const DEFAULT_LIMITS: CarryLimits = {
  clientSends: 30_000,
  clientReceives: 60_000,
  upstreamAnswers: 600_000,
  upgraded: 3_600_000,
};

/** What became of a carried request. */
export interface CarryOutcome {
  /** ms from the start of carrying to the last byte */
  readonly duration: number;
  /** of the answer's body, as the application sent it */
  readonly bytes: number;
  readonly result: 'complete' | 'client-gone' | 'upstream-failed' | 'withdrawn';
}

/** One allowed request and where it goes. */
export interface ProxyTarget {
  readonly upstream: Upstream;
  /** path and query exactly as the client sent them (origin form) */
  readonly rawTarget: string;
  /** Host header the application sees */
  readonly host: string;
  /** host the client asked for, sent as X-Forwarded-Host */
  readonly originalHost: string;
  /** scheme the client used, sent as X-Forwarded-Proto */
  readonly scheme: 'http' | 'https';
  /** address of the connecting peer, appended to X-Forwarded-For */
  readonly peer: string;
  /** whether that peer may say what came before it; if not, its forwarded headers are dropped */
  readonly trusted: boolean;
  readonly identity: PreparedHeaders;
  /** further folded names clients may not send: the provider's managed headers */
  readonly managed?: ReadonlySet<string>;
  /** Set-Cookie values added to the answer */
  readonly setCookies?: readonly string[];
  /**
   * `https://app.example.test`: addresses of the application's own host in its answers become this. Given when the
   * application sees its own Host (`host: backend`), absent when it sees the original one.
   */
  readonly rewriteTo?: string | undefined;
  readonly limits?: CarryLimits | undefined;
  /** answers a request the upstream failed; called only while nothing was sent yet */
  readonly onFailure: (req: IncomingMessage, res: ServerResponse, error: CodedError) => void;
  /** answers a request that is no longer allowed; called only while nothing was sent yet */
  readonly onWithdrawn?: () => void;
  /** called once, after the last byte */
  readonly onDone?: (outcome: CarryOutcome) => void;
}
