import { once } from 'node:events';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { constants, createSecureServer } from 'node:http2';
import type { Http2SecureServer, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { TLS_RULES } from '../outpost/listen/certificates.ts';
import type { CertificatePair } from '../outpost/listen/certificates.ts';
import { isHttp2, likeHttp1 } from '../outpost/listen/http2.ts';
import type { Settings } from '../settings/settings.ts';
import { takeAnnouncedPeers } from './announced-peers.ts';
import { answerSpecialRequests, endUpgraded, httpLimits, MAX_CONNECTIONS, MAX_HEAD_BYTES } from './listener.ts';
import type { Handlers, Listener } from './listener.ts';

/** Requests a client may have under way on one connection; browsers use about as many. */
const MAX_STREAMS = 100;
/**
 * Requests a client may take back: so many at once, and so many a second. A browser that leaves a page takes back what
 * it had asked for; an attacker ("rapid reset", CVE-2023-44487) never stops. Beyond it the connection ends.
 */
const RESET_BURST = 400;
const RESETS_PER_SECOND = 40;
/** Header fields of one request; browsers send every cookie as a field of its own. */
const MAX_FIELDS = 1000;
/** What a client may send ahead on one stream and on a connection, bytes: 64 kB would make uploads from afar slow. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;

/** With `allowHTTP1` it has these members of an HTTP server too, which the types do not say. */
type SecureServer = Http2SecureServer &
  Pick<HttpServer, 'timeout' | 'closeIdleConnections'> & { shouldUpgradeCallback(req: IncomingMessage): boolean };

export interface TlsChoice {
  /** for clients that name no host, or one that nothing fits */
  fallback: CertificatePair;
  /** certificate for a name a client asks for (SNI), asked at each handshake; undefined = the fallback */
  choose(serverName: string): SecureContext | undefined;
}

export interface TlsListener extends Listener {
  setFallback(pair: CertificatePair): void;
}

/**
 * One HTTPS listener: HTTP/2 and HTTP/1.1 (ALPN), each request with the limits it has on the HTTP listener. WebSockets
 * take HTTP/1.1, as browsers do by themselves where RFC 8441 is not offered.
 */
export function createTlsListener(handlers: Handlers, timeouts: Settings['timeouts'], tls: TlsChoice): TlsListener {
  const server = createSecureServer({
    ...TLS_RULES,
    cert: tls.fallback.certificate,
    key: tls.fallback.key,
    SNICallback: (name, done) => done(null, tls.choose(name)),
    handshakeTimeout: timeouts.readHeader,
    allowHTTP1: true,
    http1Options: httpLimits(handlers, timeouts),
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: MAX_HEAD_BYTES,
      initialWindowSize: STREAM_WINDOW,
    },
    maxHeaderListPairs: MAX_FIELDS,
    maxSessionInvalidFrames: 100,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESETS_PER_SECOND,
    strictSingleValueFields: false, // an odd answer of an application is passed on, not a failure
  }) as SecureServer;
  server.shouldUpgradeCallback = (req) => handlers.mayUpgrade(req); // the one option that is not taken over
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = 0; // as in listener.ts; HTTP/2 has limits of its own, below
  const silence = Math.max(timeouts.idle, timeouts.read, timeouts.write);
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.on('session', (session) => prepare(session, silence));
  const either: Handlers = {
    ...handlers,
    request: (req, res) => {
      if (!isHttp2(req)) return handlers.request(req, res);
      limitSilence(req.stream, res, silence);
      handlers.request(likeHttp1(req), res);
    },
  };
  server.on('request', (req, res) => {
    either.request(req as unknown as IncomingMessage, res as unknown as ServerResponse);
  });
  const upgraded = answerSpecialRequests(server, either);
  const silent = takeAnnouncedPeers(server, handlers.trusts, timeouts.readHeader);
  return {
    server,
    setFallback: ({ certificate, key }) => server.setSecureContext({ ...TLS_RULES, cert: certificate, key }),
    drain: (ms) => {
      for (const socket of silent) socket.destroy();
      return drain(server, connections, upgraded, ms);
    },
  };
}

/** A connection nobody has a request on ends after the same silence as in HTTP/1.1. */
function prepare(session: ServerHttp2Session, silence: number): void {
  let streams = 0;
  session.prependListener('stream', (stream: ServerHttp2Stream) => {
    streams += 1;
    stream.once('close', () => (streams -= 1));
  });
  session.setTimeout(silence, () => streams === 0 && session.close());
  session.setLocalWindowSize(CONNECTION_WINDOW);
}

/** Ends a request nobody moves; whoever carries it listens to `timeout` and decides instead. */
function limitSilence(stream: ServerHttp2Stream, res: ServerResponse, silence: number): void {
  stream.setTimeout(silence);
  stream.on('timeout', () => {
    if (res.listenerCount('timeout') === 0) stream.close(constants.NGHTTP2_CANCEL);
  });
}

/** As {@link Listener.drain}; `close` also tells HTTP/2 clients to send nothing new here (GOAWAY). */
async function drain(
  server: SecureServer,
  connections: ReadonlySet<Socket>,
  upgraded: ReadonlySet<Duplex>,
  ms: number,
): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const cut = endUpgraded(upgraded, ms);
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  const end = setTimeout(() => connections.forEach((socket) => socket.destroy()), ms);
  await closed;
  clearInterval(sweep);
  clearTimeout(end);
  clearTimeout(cut);
}
