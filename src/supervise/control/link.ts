import { connect, isIP } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';
import { hostname } from 'node:os';
import { connect as connectTls } from 'node:tls';
import type { Logger } from 'pino';
import { WebSocket } from 'ws';
import { EXTENSION_VERSION, LINK_HEADERS } from '../../contract/extension.ts';
import type { Cursor, HelloExtension, IdentityEventBatch } from '../../contract/extension.ts';
import { HELLO_INTERVAL_S, INSTRUCTION, MAX_FRAME_BYTES, parseFrame } from '../../contract/messages.ts';
import { OUTPOST_USER_AGENT, PUBLISHED_VERSION } from '../../contract/version.ts';
import type { BackChannelOptions } from '../messages.ts';
import { serverTrust } from '../trust.ts';
import { Backoff, FIRST_PAUSE_MS, MAX_PAUSE_MS } from './backoff.ts';
import { readBatch } from './live-events.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Silence this long means the line is dead. */
const SILENCE_MS = 13_000;
/**
 * A line that was cut says nothing, and TCP would find out that it is whole again only at its next, ever later try. So
 * over the network the server is asked often, and after a moment of silence a second line is tried beside the first,
 * again and again: whichever speaks first stays (docs/architecture.md, decision 2).
 */
const NETWORK = { pingMs: 1000, quietMs: 2000 };
const PROBE_MS = 400;
/** a try that reached something is left more time: it may be slow, or lead on over a line that is cut */
const REACHED_MS = 2000;
/** the first try lives on until its handshake is given up: some servers are far away */
const PROBE_LIFE_MS = 1500;
/** Errors that come from the other side, or about it; all others may be the network's. */
const REFUSALS = new Set(['ECONNREFUSED', 'ENOTFOUND']);
/** Beside the server nothing can be cut. */
const SOCKET = { pingMs: 5000, quietMs: Infinity };

export interface LinkListener {
  /** connected; anything may have been missed before */
  onUp(): void;
  onDown(): void;
  /** there is no line, and an attempt to get one came to nothing */
  onFailed(error: Error): void;
  /** the configuration changed */
  onUpdate(): void;
  onEvents(batch: IdentityEventBatch): void;
  /** instructions 3 and 4 of a published server */
  onSessionEnd(sid: string): void;
  /** position of the identity log that the server continues from; undefined = it has none */
  cursor(): Cursor | undefined;
}

/** The WebSocket to the identity server (spec/outpost.md 17, spec/server.md 9). Reconnects until closed. */
export class ControlLink {
  readonly #server: BackChannelOptions;
  readonly #outpost: string;
  readonly #instance: string;
  readonly #listener: LinkListener;
  readonly #log: Logger;
  readonly #backoff = new Backoff(FIRST_PAUSE_MS, MAX_PAUSE_MS);
  /** the line in use */
  #socket: WebSocket | undefined;
  /** lines that are tried */
  readonly #attempts = new Set<WebSocket>();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * @param outpost pk
   * @param instance uuid of this process
   */
  constructor(server: BackChannelOptions, outpost: string, instance: string, listener: LinkListener, log: Logger) {
    this.#server = server;
    this.#outpost = outpost;
    this.#instance = instance;
    this.#listener = listener;
    this.#log = log;
    this.#connect();
  }

  /** The server is known to be there: a pause before the next attempt ends now. */
  wake(): void {
    if (this.#retry === undefined) return;
    this.#connect();
  }

  /** Closes with the published code 1000 and stays closed. */
  close(): void {
    this.#closed = true;
    this.#giveUpAttempts();
    this.#socket?.close(1000);
    setTimeout(() => this.#socket?.terminate(), 500).unref();
  }

  #connect(): void {
    this.#pauseEnds();
    const { address, headers } = linkAddress(this.#server, this.#outpost, this.#instance, this.#backoff.failures);
    /** something is there: it is given its time */
    let answered = false;
    const reached = () => {
      answered = true;
      this.#pause(REACHED_MS);
    };
    const socket = new WebSocket(address, {
      headers,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      ...serverTrust(this.#server),
      ...(this.#server.socket ? {} : { createConnection: reaching(address, reached) }),
    });
    const life =
      this.#attempts.size === 0 ? undefined : setTimeout(() => answered || socket.terminate(), PROBE_LIFE_MS);
    this.#attempts.add(socket);
    if (!this.#server.socket) this.#pause(probePause());

    socket.on('open', () => this.#opened(socket));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      answered ||= this.#server.socket !== undefined || REFUSALS.has(error.code ?? '');
      this.#log.debug({ error: error.message }, 'control link');
      // what was given up here says nothing about the server
      if (this.#socket === undefined && this.#attempts.has(socket) && answered) this.#listener.onFailed(error);
    });
    socket.on('close', () => {
      clearTimeout(life);
      this.#attempts.delete(socket);
      if (socket === this.#socket) {
        this.#socket = undefined;
        this.#listener.onDown();
      } else if (this.#socket !== undefined) return; // tried beside a line that may be whole
      if (this.#closed || this.#attempts.size > 0) return;
      if (answered) this.#pause(this.#backoff.next());
      else if (this.#retry === undefined) this.#pause(probePause());
    });
  }

  #opened(socket: WebSocket): void {
    this.#attempts.delete(socket);
    this.#giveUpAttempts();
    const former = this.#socket;
    this.#socket = socket;
    former?.terminate();
    this.#hello(socket);
    this.#watch(socket);
    this.#listener.onUp();
  }

  /** Keeps the line in use alive, and looks for another when it says nothing. */
  #watch(socket: WebSocket): void {
    const { pingMs, quietMs } = this.#server.socket ? SOCKET : NETWORK;
    let heard = Date.now();
    const hear = () => {
      heard = Date.now();
      if (socket === this.#socket) this.#giveUpAttempts();
    };
    const timers = [
      setInterval(() => this.#hello(socket), HELLO_INTERVAL_S * 1000),
      setInterval(() => socket.ping(), pingMs),
      setInterval(() => {
        const silence = Date.now() - heard;
        if (silence > SILENCE_MS) socket.terminate();
        else if (silence > quietMs && this.#attempts.size === 0 && this.#retry === undefined) this.#connect();
      }, 250),
    ];
    socket.on('message', (data, binary) => {
      hear();
      this.#backoff.reset(); // not before: who is let in and shown out again must not come back at once, for ever
      if (!binary) this.#frame(String(data as Buffer));
    });
    socket.on('pong', hear);
    socket.once('close', () => {
      for (const timer of timers) clearInterval(timer);
    });
  }

  #pause(ms: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), ms);
  }

  #pauseEnds(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #giveUpAttempts(): void {
    this.#pauseEnds();
    for (const attempt of this.#attempts) attempt.terminate();
    this.#attempts.clear();
  }

  #hello(socket: WebSocket): void {
    const cursor = this.#listener.cursor();
    const extension: HelloExtension | undefined = cursor && { extension: EXTENSION_VERSION, cursor };
    const args = {
      version: PUBLISHED_VERSION,
      buildHash: '',
      uuid: this.#instance,
      golangVersion: '',
      opensslEnabled: true,
      opensslVersion: process.versions.openssl,
      fipsEnabled: false,
      hostname: hostname(),
      ...(extension ? { gatehouse: extension } : {}),
    };
    socket.send(JSON.stringify({ instruction: INSTRUCTION.HELLO, args }), () => undefined);
  }

  #frame(text: string): void {
    const frame = parseFrame(text);
    if (!frame) return this.#log.warn('the identity server sent something that is no instruction');
    const { instruction, args } = frame;
    if (instruction === INSTRUCTION.TRIGGER_UPDATE) this.#listener.onUpdate();
    else if (instruction === INSTRUCTION.IDENTITY_EVENTS) {
      const batch = readBatch(args);
      if (batch) this.#listener.onEvents(batch);
      else this.#log.error('the identity server sent identity events that cannot be read');
    } else if (instruction === INSTRUCTION.SESSION_END || isLogout(instruction, args)) {
      const sid = args['session_id'];
      if (typeof sid === 'string' && sid !== '') this.#listener.onSessionEnd(sid);
    }
  }
}

/** Jitter: many outposts must not ask at the same moment. */
const probePause = () => PROBE_MS / 2 + (Math.random() * PROBE_MS) / 2;

/** Connects as the library does, and tells when the other side is there. */
function reaching(address: string, reached: () => void) {
  return (options: object): Socket => {
    const { host, servername } = options as { host: string; servername?: string };
    const target = { ...options, path: undefined } as unknown as NetConnectOpts;
    const socket = address.startsWith('wss:')
      ? connectTls({ ...target, servername: servername ?? (isIP(host) === 0 ? host : '') })
      : connect(target);
    return socket.once('connect', reached);
  };
}

const isLogout = (instruction: number, args: Readonly<Record<string, unknown>>) =>
  instruction === INSTRUCTION.PROVIDER_SPECIFIC && args['sub_type'] === 'logout';

function linkAddress(server: BackChannelOptions, outpost: string, instance: string, attempt: number) {
  const headers: Record<string, string> = {
    authorization: `Bearer ${server.token}`,
    'user-agent': OUTPOST_USER_AGENT,
  };
  const url = new URL(server.base);
  const path = `${url.pathname.replace(/\/*$/, '/')}ws/outpost/${outpost}/`;
  url.searchParams.set('attempt', String(attempt));
  url.searchParams.set('instance_uuid', instance);
  url.searchParams.sort();
  if (server.socket) {
    headers[LINK_HEADERS.credential] = server.socket.credential;
    headers[LINK_HEADERS.internal] = server.socket.internalCredential;
    headers[LINK_HEADERS.scheme] = url.protocol === 'https:' ? 'https' : 'http';
    headers[LINK_HEADERS.host] = url.host;
    headers['host'] = url.host;
    return { address: `ws+unix://${server.socket.path}:${path}${url.search}`, headers };
  }
  url.pathname = path;
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return { address: url.href, headers };
}
