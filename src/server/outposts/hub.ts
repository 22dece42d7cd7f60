/** All connected outposts: pushes changes to them and knows which are alive. */
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { IdentityEvent } from '../../contract/extension.ts';
import { HELLO_TIMEOUT_S } from '../../contract/messages.ts';
import { eventsSince } from '../events/identity-log.ts';
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
      log: { since: (cursor) => eventsSince(this.#db, cursor, Date.now()) },
      onHello: () => check(),
    });
    const check = oneAtATime(async () => {
      try {
        if (!(await options.stillAllowed())) connection.close(1008, 'token no longer valid');
      } catch (error) {
        this.#log.warn({ err: error }, 'the token of a connected outpost could not be checked');
        connection.drop();
      }
    });
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

  /**
   * Instances of an outpost that said HELLO within the last 15 seconds (spec/server.md 6.5), each once: while a cut line is
   * still open here, its instance is back on another.
   */
  health(outpostUuid: string): InstanceHealth[] {
    const alive = Date.now() - HELLO_TIMEOUT_S * 1000;
    const latest = new Map<string, OutpostConnection>();
    for (const connection of this.#connections.keys()) {
      if (connection.outpostUuid !== outpostUuid || connection.helloAt <= alive) continue;
      const other = latest.get(connection.instance);
      if (other === undefined || other.helloAt <= connection.helloAt) latest.set(connection.instance, connection);
    }
    return [...latest.values()].map(({ instance, helloAt, hello }) => instanceHealth(instance, helloAt, hello));
  }

  close(): Promise<void> {
    clearInterval(this.#pings);
    for (const connection of this.#connections.keys()) connection.drop();
    this.#connections.clear();
    return Promise.resolve();
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

/** @returns runs the work, and once more at its end when it was asked for meanwhile, however often */
function oneAtATime(work: () => Promise<void>): () => void {
  let running = false;
  let again = false;
  const run = async (): Promise<void> => {
    running = true;
    do {
      again = false;
      await work();
    } while (again);
    running = false;
  };
  return () => {
    if (running) again = true;
    else void run();
  };
}
