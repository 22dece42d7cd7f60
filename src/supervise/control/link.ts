import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { WebSocket } from 'ws';
import { EXTENSION_VERSION, LINK_HEADERS } from '../../contract/extension.ts';
import type { Cursor, HelloExtension, IdentityEventBatch } from '../../contract/extension.ts';
import { HELLO_INTERVAL_S, INSTRUCTION, MAX_FRAME_BYTES, parseFrame } from '../../contract/messages.ts';
import { OUTPOST_USER_AGENT, PUBLISHED_VERSION } from '../../contract/version.ts';
import type { BackChannelOptions } from '../messages.ts';
import { Backoff } from './backoff.ts';
import { readBatch } from './live-events.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A ping this often, and silence this long means the line is dead. */
const PING_MS = 5000;
const SILENCE_MS = 13_000;
/** Longest pause between two attempts: an outpost is back soon after its server is. */
const MAX_PAUSE_MS = 5000;

export interface LinkListener {
  /** connected; anything may have been missed before */
  onUp(): void;
  onDown(): void;
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
  readonly #backoff = new Backoff(250, MAX_PAUSE_MS);
  #socket: WebSocket | undefined;
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
    clearTimeout(this.#retry);
    this.#connect();
  }

  /** Closes with the published code 1000 and stays closed. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#socket?.close(1000);
    setTimeout(() => this.#socket?.terminate(), 500).unref();
  }

  #connect(): void {
    this.#retry = undefined;
    const { address, headers } = linkAddress(this.#server, this.#outpost, this.#instance, this.#backoff.failures);
    const socket = new WebSocket(address, {
      headers,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      rejectUnauthorized: this.#server.verifyTls,
    });
    this.#socket = socket;
    let heard = Date.now();
    const timers: NodeJS.Timeout[] = [];
    const hear = () => (heard = Date.now());

    socket.on('open', () => {
      hear();
      this.#backoff.reset();
      this.#hello(socket);
      timers.push(setInterval(() => this.#hello(socket), HELLO_INTERVAL_S * 1000));
      timers.push(
        setInterval(() => {
          if (Date.now() - heard > SILENCE_MS) socket.terminate();
          else socket.ping();
        }, PING_MS),
      );
      this.#listener.onUp();
    });
    socket.on('message', (data, binary) => {
      hear();
      if (!binary) this.#frame(String(data as Buffer));
    });
    socket.on('pong', hear);
    socket.on('error', (error) => this.#log.debug({ error: error.message }, 'control link'));
    socket.on('close', () => {
      const wasUp = timers.length > 0;
      for (const timer of timers) clearInterval(timer);
      if (wasUp) this.#listener.onDown();
      if (!this.#closed) this.#retry = setTimeout(() => this.#connect(), this.#backoff.next());
    });
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
