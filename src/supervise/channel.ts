import type { ChildProcess } from 'node:child_process';

/** One end of a two-way line of messages. */
export interface Channel<Out, In> {
  /** Queues a message. After the other end is gone this does nothing. */
  send(message: Out): void;
  onMessage(listener: (message: In) => void): void;
  /** The other end is gone; called once. */
  onClose(listener: () => void): void;
}

/** How long a process may live on after it closed its line, ms. */
const EXIT_MS = 2000;

/** The supervisor's end of the line to a forked process. */
export function toChild<Out extends object, In>(child: ChildProcess): Channel<Out, In> {
  return {
    send: (message) => {
      // the callback keeps a child that is just dying from becoming an 'error' event
      if (child.connected) child.send(message, () => undefined);
    },
    onMessage: (listener) => void child.on('message', (message) => listener(message as In)),
    onClose: (listener) => {
      // after 'disconnect' every message it sent has been read; after 'exit' it holds nothing any more
      let open = 2;
      const one = () => --open === 0 && listener();
      child.once('disconnect', one).once('exit', one);
      child.once('disconnect', () => setTimeout(() => child.kill('SIGKILL'), EXIT_MS).unref());
      child.once('error', () => child.pid === undefined && listener()); // it could not be started at all
    },
  };
}

/**
 * A forked process's end of the line. When the supervisor is gone, however it went, the listener runs: that is how no
 * process is left behind holding a port.
 */
export function toParent<Out extends object, In>(): Channel<Out, In> {
  if (!process.send) throw new TypeError('toParent() works in a forked process only');
  return {
    send: (message) => {
      if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
    },
    onMessage: (listener) => void process.on('message', (message) => listener(message as In)),
    onClose: (listener) => void process.once('disconnect', listener),
  };
}

/** Both ends of a line inside one process, with the same habits: messages are copied and arrive later. */
export function localPair<Down, Up>(): { outer: Channel<Down, Up>; inner: Channel<Up, Down>; close(): void } {
  const down = new Line<Down>();
  const up = new Line<Up>();
  const closed: (() => void)[] = [];
  let open = true;
  const onClose = (listener: () => void) => void closed.push(listener);
  return {
    outer: { send: (m) => open && down.send(m), onMessage: (l) => up.listen(l), onClose },
    inner: { send: (m) => open && up.send(m), onMessage: (l) => down.listen(l), onClose },
    close: () => {
      if (!open) return;
      open = false;
      for (const listener of closed) listener();
    },
  };
}

/** One direction. Messages sent before anybody listens wait. */
class Line<T> {
  readonly #waiting: T[] = [];
  #listener: ((message: T) => void) | undefined;

  send(message: T): void {
    this.#waiting.push(structuredClone(message));
    setImmediate(() => this.#deliver());
  }

  listen(listener: (message: T) => void): void {
    this.#listener = listener;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    while (this.#listener && this.#waiting.length > 0) this.#listener(this.#waiting.shift()!);
  }
}
