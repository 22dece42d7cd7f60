import type { Cursor, IdentityEvent, IdentityEventBatch } from '../../contract/extension.ts';

/**
 * The identity events that can still concern a session: what a worker that starts late must know, and what survives a
 * restart without the server.
 */
export class LiveEvents {
  #epoch = '';
  #n = 0;
  #events = new Map<number, IdentityEvent>();

  get cursor(): Cursor {
    return { epoch: this.#epoch, n: this.#n };
  }

  /** @param now epoch ms: entries that may be forgotten are */
  apply(batch: IdentityEventBatch, now: number): void {
    if (batch.snapshot || batch.epoch !== this.#epoch) this.#events = new Map();
    this.#epoch = batch.epoch;
    this.#n = batch.n;
    for (const event of batch.events) this.#events.set(event.n, event);
    for (const [n, event] of this.#events) if (event.until <= now) this.#events.delete(n);
  }

  /** Everything at once; `undefined` while no server told of any log. */
  snapshot(): IdentityEventBatch | undefined {
    if (this.#epoch === '') return undefined;
    return { epoch: this.#epoch, snapshot: true, n: this.#n, events: [...this.#events.values()] };
  }
}

/**
 * @returns the args of IDENTITY_EVENTS as a batch, or `undefined` when they are none. An event of a kind we do not know
 *   makes every older session ask the server again: it may have been a revocation.
 */
export function readBatch(args: Readonly<Record<string, unknown>>): IdentityEventBatch | undefined {
  const { epoch, snapshot, n, events } = args;
  if (typeof epoch !== 'string' || epoch === '' || typeof n !== 'number' || !Array.isArray(events)) return undefined;
  const read = events.map(readEvent);
  if (!read.every((event) => event !== undefined)) return undefined;
  return { epoch, snapshot: snapshot === true, n, events: read };
}

function readEvent(value: unknown): IdentityEvent | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const event = value as Record<string, unknown>;
  const { n, until } = event;
  if (typeof n !== 'number' || typeof until !== 'number') return undefined;
  return isKnown(event) ? event : { n, until, kind: 'everybody', effect: 'refresh' };
}

function isKnown(event: Record<string, unknown>): event is IdentityEvent {
  const effect = event['effect'] === 'deny' || event['effect'] === 'refresh';
  switch (event['kind']) {
    case 'session-ended':
      return typeof event['sid'] === 'string';
    case 'application-ended':
      return typeof event['sid'] === 'string' && typeof event['provider'] === 'number';
    case 'credential-ended':
      return typeof event['credential'] === 'string';
    case 'user-changed':
      return typeof event['uid'] === 'string' && effect;
    case 'provider-changed':
      return typeof event['provider'] === 'number';
    case 'everybody':
      return effect;
    default:
      return false;
  }
}
