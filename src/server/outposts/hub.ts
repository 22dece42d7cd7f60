/** All connected outposts: pushes changes to them and knows which are alive. */
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { Cursor, IdentityEvent, IdentityEventBatch } from '../../contract/extension.ts';
import { HELLO_TIMEOUT_S } from '../../contract/messages.ts';
import { eventsAfter, readCursor, renewEpoch } from '../events/identity-log.ts';
import type { Db } from '../storage/database.ts';
import { OutpostConnection } from './connection.ts';
import { instanceHealth } from './health.ts';
import type { InstanceHealth } from './health.ts';

const PING_MS = 10_000;
/** Three missed pings: the peer is gone, whatever TCP believes. */
const SILENCE_MS = 30_000;

export class OutpostHub {
  readonly #db: Db;
  readonly #log: Logger;
  /** with the check of each connection's token */
  readonly #connections = new Map<OutpostConnection, () => void>();
  readonly #pings: NodeJS.Timeout;

  constructor(db: Db, log: Logger) {
    this.#db = db;
    this.#log = log;
    this.#pings = setInterval(() => this.#ping(), PING_MS);
    this.#pings.unref();
  }

  /**
   * Takes over an accepted socket.
   * @param options.instance identifier from the query; a HELLO may bring another
   * @param options.stillAllowed asked after every change to tokens, at every HELLO and every ping: a revoked token ends the link
   */
  attach(
    socket: WebSocket,
    options: { outpostUuid: string; instance: string | undefined; stillAllowed: () => Promise<boolean> },
  ): void {
    const connection: OutpostConnection = new OutpostConnection(socket, {
      outpostUuid: options.outpostUuid,
      instance: options.instance,
      log: { since: (cursor) => this.#since(cursor) },
      onHello: () => check(),
    });
    const check = () => {
      options.stillAllowed().then(
        (allowed) => {
          if (!allowed) connection.close(1008, 'token no longer valid');
        },
        (error: unknown) => {
          this.#log.warn({ err: error }, 'the token of a connected outpost could not be checked');
          connection.drop();
        },
      );
    };
    this.#connections.set(connection, check);
    socket.on('close', () => this.#connections.delete(connection));
  }

  /** Passes committed identity events on, in their order. */
  publish(events: readonly IdentityEvent[]): void {
    for (const connection of this.#connections.keys()) connection.publish(events);
  }

  /** Tells outposts to fetch their configuration. */
  configurationChanged(outposts: ReadonlySet<string> | 'all'): void {
    for (const connection of this.#connections.keys()) {
      if (outposts === 'all' || outposts.has(connection.outpostUuid)) connection.triggerUpdate();
    }
  }

  /** Closes every link whose token is worth nothing any more. */
  recheck(): void {
    for (const check of this.#connections.values()) check();
  }

  /** Closes the links of an outpost that does not exist any more. */
  disconnect(outpostUuid: string): void {
    for (const connection of this.#connections.keys()) {
      if (connection.outpostUuid === outpostUuid) connection.close(1008, 'outpost deleted');
    }
  }

  /** Instances of an outpost that said HELLO within the last 15 seconds (spec/server.md 6.5). */
  health(outpostUuid: string): InstanceHealth[] {
    const alive = Date.now() - HELLO_TIMEOUT_S * 1000;
    return [...this.#connections.keys()]
      .filter((connection) => connection.outpostUuid === outpostUuid && connection.helloAt > alive)
      .map((connection) => instanceHealth(connection.instance, connection.helloAt, connection.hello));
  }

  close(): Promise<void> {
    clearInterval(this.#pings);
    for (const connection of this.#connections.keys()) connection.drop();
    this.#connections.clear();
    return Promise.resolve();
  }

  async #since(cursor: Cursor): Promise<IdentityEventBatch> {
    let current = await readCursor(this.#db);
    if (cursor.epoch === current.epoch && cursor.n > current.n) {
      // The outpost has seen numbers this database never gave: it was restored. They must not come a second time.
      await renewEpoch(this.#db);
      current = await readCursor(this.#db);
      this.#log.warn('the identity log went back (restored database): outposts take the whole log anew');
    }
    const known = cursor.epoch === current.epoch;
    const events = await eventsAfter(this.#db, known ? cursor.n : 0, Date.now());
    const n = Math.max(current.n, events.at(-1)?.n ?? 0);
    return { epoch: current.epoch, snapshot: !known, n, events };
  }

  #ping(): void {
    for (const [connection, check] of this.#connections) {
      if (Date.now() - connection.heardAt > SILENCE_MS) {
        connection.drop();
        continue;
      }
      check();
      connection.ping();
    }
  }
}
