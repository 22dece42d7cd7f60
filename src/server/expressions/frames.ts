import { readSync, writeSync } from 'node:fs';

/** Messages over a pipe: four bytes of length, little endian, then JSON in UTF-8. */

/** Largest message from Python, bytes: a result, a question. The parent ends a process that announces more. */
export const MAX_FROM_PYTHON = 1024 * 1024;

const HEAD = 4;

/** One message as it goes over the pipe. */
export function frame(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const whole = Buffer.allocUnsafe(HEAD + body.length);
  whole.writeUInt32LE(body.length, 0);
  body.copy(whole, HEAD);
  return whole;
}

/** Takes chunks as they come and tells whole messages. */
export class FrameReader {
  #pending = Buffer.alloc(0);
  readonly #largest: number;

  constructor(largest: number) {
    this.#largest = largest;
  }

  /**
   * @returns the messages that are complete with this chunk, parsed
   * @throws RangeError when one is announced that is too large, SyntaxError when one is not JSON
   */
  take(chunk: Buffer): unknown[] {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const messages: unknown[] = [];
    while (this.#pending.length >= HEAD) {
      const length = this.#pending.readUInt32LE(0);
      if (length > this.#largest) throw new RangeError(`a message of ${String(length)} bytes`);
      if (this.#pending.length < HEAD + length) break;
      messages.push(JSON.parse(this.#pending.toString('utf8', HEAD, HEAD + length)));
      this.#pending = this.#pending.subarray(HEAD + length);
    }
    return messages;
  }
}

/** The other end, which waits: nothing else happens in Python's process meanwhile. */
export class BlockingPipe {
  readonly #file: number;

  constructor(file: number) {
    this.#file = file;
  }

  /** @returns the body of the next message, undefined when the other side is gone */
  read(): Buffer | undefined {
    const head = this.#exactly(HEAD);
    return head === undefined ? undefined : this.#exactly(head.readUInt32LE(0));
  }

  write(message: object): void {
    const whole = frame(message);
    for (let sent = 0; sent < whole.length;) sent += writeSync(this.#file, whole, sent);
  }

  #exactly(length: number): Buffer | undefined {
    const whole = Buffer.allocUnsafe(length);
    for (let got = 0; got < length;) {
      const read = readSync(this.#file, whole, got, length - got, null);
      if (read === 0) return undefined;
      got += read;
    }
    return whole;
  }
}
