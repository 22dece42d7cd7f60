import { readSync, writeSync } from 'node:fs';

/** Messages over a pipe: four bytes of length, little endian, one that says what follows, JSON in UTF-8 or bytes. */

/** Largest message from Python, bytes: a result, a question. The parent ends a process that announces more. */
const MAX_TEXT = 1024 * 1024;
/** The image it sends once. */
const MAX_BYTES = 64 * 1024 * 1024;

const HEAD = 5;
const TEXT = 0;
const BYTES = 1;

/** One message as it goes over the pipe. */
export function frame(message: object): Buffer {
  const text = !(message instanceof Uint8Array);
  const body = text ? Buffer.from(JSON.stringify(message)) : message;
  const whole = Buffer.allocUnsafe(HEAD + body.length);
  whole.writeUInt32LE(body.length, 0);
  whole.writeUInt8(text ? TEXT : BYTES, 4);
  whole.set(body, HEAD);
  return whole;
}

/** Takes chunks as they come and tells whole messages. */
export class FrameReader {
  #pending: Buffer[] = [];
  #length = 0;

  /**
   * @returns the messages that are complete with this chunk, parsed, or as a Buffer
   * @throws RangeError when one is announced that is too large, SyntaxError when one is not JSON
   */
  take(chunk: Buffer): unknown[] {
    this.#pending.push(chunk);
    this.#length += chunk.length;
    const messages: unknown[] = [];
    while (this.#length >= HEAD) {
      const head = this.#first(HEAD);
      const length = head.readUInt32LE(0);
      const text = head.readUInt8(4) === TEXT;
      if (length > (text ? MAX_TEXT : MAX_BYTES)) throw new RangeError(`a message of ${String(length)} bytes`);
      if (this.#length < HEAD + length) break;
      const body = this.#first(HEAD + length).subarray(HEAD, HEAD + length);
      messages.push(text ? JSON.parse(body.toString('utf8')) : Buffer.from(body));
      this.#pending = [this.#first(this.#length).subarray(HEAD + length)];
      this.#length -= HEAD + length;
    }
    return messages;
  }

  /** A piece that has at least so many bytes. */
  #first(length: number): Buffer {
    const [first = Buffer.alloc(0)] = this.#pending;
    if (first.length >= length) return first;
    const whole = Buffer.concat(this.#pending);
    this.#pending = [whole];
    return whole;
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
    return head === undefined ? undefined : this.#exactly(head.readUInt32LE(0)); // what kind it is follows from the order
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
