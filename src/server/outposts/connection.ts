/** One connected outpost instance on the control link (spec/server.md 9). */
import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import type { Cursor, IdentityEvent, IdentityEventBatch } from '../../contract/extension.ts';
import { INSTRUCTION, parseFrame } from '../../contract/messages.ts';
import type { Frame } from '../../contract/messages.ts';

/** What the log of identity events offers a connection. */
export interface EventLog {
  /** events an outpost at this position lacks; the whole live set when the position is unknown */
  since(cursor: Cursor): Promise<IdentityEventBatch>;
}

/** Unsent bytes at which a connection is given up: the outpost reconnects and goes on from its cursor. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** Events per frame, so that no frame comes near the size limit. */
const BATCH = 5000;
/** Changes made together (one script, one Terraform run) make one fetch. */
const TRIGGER_DELAY_MS = 20;
/** HELLOs between two pings, which are 10 s apart; an outpost says one in 10 s. */
const MAX_HELLOS = 100;

export class OutpostConnection {
  readonly outpostUuid: string;
  /** the instance's own identifier, else one of ours */
  instance: string;
  /** args of the last HELLO */
  hello: Readonly<Record<string, unknown>> = {};
  /** epoch ms; 0 before the first HELLO */
  helloAt = 0;
  heardAt = Date.now();
  /** since the last ping */
  #hellos = 0;
  readonly #socket: WebSocket;
  readonly #log: EventLog;
  readonly #onHello: () => void;
  /** last event sent; undefined while the outpost has not asked for events */
  #sent: Cursor | undefined;
  #catchingUp = false;
  #missed = false;
  #trigger: NodeJS.Timeout | undefined;

  constructor(
    socket: WebSocket,
    options: { outpostUuid: string; instance: string | undefined; log: EventLog; onHello: () => void },
  ) {
    this.#socket = socket;
    this.outpostUuid = options.outpostUuid;
    this.instance = options.instance ?? randomUUID();
    this.#log = options.log;
    this.#onHello = options.onHello;
    socket.on('message', (data, binary) => {
      this.heardAt = Date.now();
      if (!binary) this.#receive(Buffer.isBuffer(data) ? data.toString('utf8') : '');
    });
    socket.on('pong', () => {
      this.heardAt = Date.now();
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => clearTimeout(this.#trigger));
  }

  /** Passes events on: as a batch to our own outposts, as the published instructions to all others. */
  publish(events: readonly IdentityEvent[]): void {
    if (this.#catchingUp) this.#missed = true;
    else if (this.#sent !== undefined) this.#sendBatch({ epoch: this.#sent.epoch, snapshot: false, events });
    else {
      for (const event of events) if (event.kind === 'session-ended') this.#sendPublishedEnd(event.sid);
    }
  }

  /** Asks for a new fetch of the configuration. */
  triggerUpdate(): void {
    this.#trigger ??= setTimeout(() => {
      this.#trigger = undefined;
      this.#send({ instruction: INSTRUCTION.TRIGGER_UPDATE, args: {} });
    }, TRIGGER_DELAY_MS);
  }

  ping(): void {
    this.#hellos = 0;
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  /** @param code WebSocket close code (RFC 6455 7.4) */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  drop(): void {
    this.#socket.terminate();
  }

  #receive(text: string): void {
    const frame = parseFrame(text);
    if (frame === undefined) return this.close(1003, 'not a frame');
    if (frame.instruction === INSTRUCTION.ACK) return;
    if (frame.instruction === INSTRUCTION.HELLO) {
      if (++this.#hellos > MAX_HELLOS) return this.close(1008, 'too many HELLOs');
      this.hello = frame.args;
      this.helloAt = Date.now();
      const { uuid } = frame.args;
      if (typeof uuid === 'string' && uuid !== '') this.instance = uuid;
      this.#onHello();
      const cursor = readCursorOf(frame.args['gatehouse']);
      if (cursor !== undefined && this.#sent === undefined && !this.#catchingUp) void this.#catchUp(cursor);
    }
    this.#send({ instruction: INSTRUCTION.ACK, args: {} });
  }

  async #catchUp(cursor: Cursor): Promise<void> {
    this.#catchingUp = true;
    let position = cursor;
    try {
      do {
        this.#missed = false;
        const batch = await this.#log.since(position);
        this.#sendBatch(batch, batch.n);
        position = { epoch: batch.epoch, n: batch.n };
      } while (this.#missed);
      this.#sent = position;
    } catch {
      this.drop(); // the outpost comes back and asks again; half a log is worse than none
    } finally {
      this.#catchingUp = false;
    }
  }

  /** @param n position after the batch; default: the last event's */
  #sendBatch(batch: Omit<IdentityEventBatch, 'n' | 'events'> & { events: readonly IdentityEvent[] }, n?: number): void {
    const { epoch, events } = batch;
    const former = batch.former === undefined ? {} : { former: batch.former };
    for (let start = 0; start === 0 || start < events.length; start += BATCH) {
      const part = events.slice(start, start + BATCH);
      const last = start + BATCH >= events.length;
      const position = (last ? n : undefined) ?? part.at(-1)?.n ?? 0;
      const args: IdentityEventBatch = {
        epoch,
        snapshot: batch.snapshot && start === 0,
        ...former,
        n: position,
        events: part,
      };
      this.#send({ instruction: INSTRUCTION.IDENTITY_EVENTS, args: { ...args } });
      this.#sent = { epoch, n: position };
    }
  }

  /** Both instructions: which one an official outpost understands depends on its release (spec/server.md 9). */
  #sendPublishedEnd(session_id: string): void {
    this.#send({ instruction: INSTRUCTION.SESSION_END, args: { type: 'event.session.end', session_id } });
    this.#send({
      instruction: INSTRUCTION.PROVIDER_SPECIFIC,
      args: { type: 'event.provider.specific', sub_type: 'logout', session_id },
    });
  }

  #send(frame: Frame): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) return this.drop();
    this.#socket.send(JSON.stringify(frame));
  }
}

function readCursorOf(extension: unknown): Cursor | undefined {
  if (typeof extension !== 'object' || extension === null || !('cursor' in extension)) return undefined;
  const { cursor } = extension;
  if (typeof cursor !== 'object' || cursor === null || !('epoch' in cursor) || !('n' in cursor)) return undefined;
  const { epoch, n } = cursor;
  return typeof epoch === 'string' && typeof n === 'number' ? { epoch, n } : undefined;
}
