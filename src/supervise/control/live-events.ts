import { goesOn } from '../../contract/extension.ts';
import type { Cursor, IdentityEvent, IdentityEventBatch } from '../../contract/extension.ts';

/**
 * The identity events that can still concern a session: what a worker that starts late must know, and what survives a
 * restart without the server.
 */
export class LiveEvents {
  #epoch = '';
  #former: readonly Cursor[] = [];
  #n = 0;
  #events = new Map<number, IdentityEvent>();

  get cursor(): Cursor {
    return { epoch: this.#epoch, n: this.#n };
  }

  /** @param now epoch ms: entries that may be forgotten are */
  apply(batch: IdentityEventBatch, now: number): void {
    if (batch.snapshot || !goesOn(batch, this.#epoch)) this.#events = new Map();
    if (batch.former !== undefined || batch.epoch !== this.#epoch) this.#former = batch.former ?? [];
    this.#epoch = batch.epoch;
    this.#n = batch.n;
    for (const event of batch.events) this.#events.set(event.n, event);
    for (const [n, event] of this.#events) if (event.until <= now) this.#events.delete(n);
  }

  /** Everything at once; `undefined` while no server told of any log. */
  snapshot(): IdentityEventBatch | undefined {
    if (this.#epoch === '') return undefined;
    const events = [...this.#events.values()];
    return { epoch: this.#epoch, snapshot: true, former: [...this.#former], n: this.#n, events };
  }
}

/**
 * @returns the args of IDENTITY_EVENTS as a batch, or `undefined` when they are none. An event of a kind we do not know
 *   makes every older session ask the server again: it may have been a revocation.
 */
export function readBatch(args: Readonly<Record<string, unknown>>): IdentityEventBatch | undefined {
  const { epoch, snapshot, former, n, events } = args;
  if (typeof epoch !== 'string' || epoch === '' || typeof n !== 'number' || !Array.isArray(events)) return undefined;
  const read = events.map(readEvent);
  if (!read.every((event) => event !== undefined)) return undefined;
  const ends = Array.isArray(former) ? { former: former.filter(isCursor) } : {};
  return { epoch, snapshot: snapshot === true, ...ends, n, events: read };
}

function isCursor(value: unknown): value is Cursor {
  if (typeof value !== 'object' || value === null || !('epoch' in value) || !('n' in value)) return false;
  return typeof value.epoch === 'string' && typeof value.n === 'number';
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
