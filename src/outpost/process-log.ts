/** The log of an outpost's process. */
import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { logFormat } from '../contract/log-format.ts';

/** Characters gathered before a write, and how long a line may wait. */
const BATCH_LENGTH = 128 * 1024;
const FLUSH_MS = 200;
/** Lines are dropped rather than kept beyond this when nobody reads the log. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/** What a process logs through, and how its last lines get out. */
export interface ProcessLog {
  log: Logger;
  /** writes what is still buffered, synchronously: the last thing before an exit */
  readonly flush: () => void;
}

/**
 * The log of a process: JSON lines with `timestamp`, `level`, `event` (spec/outpost.md 15.3), to stdout. Lines are
 * gathered and written asynchronously: a slow reader of our log never delays a request.
 * @param part which process speaks, e.g. `worker`
 * @param destination for tests
 */
export function processLog(level: string, part: string, destination?: DestinationStream): ProcessLog {
  if (destination !== undefined) return { log: pino(logFormat(level, part), destination), flush: () => undefined };
  const sink = new BatchedStdout();
  return { log: pino(logFormat(level, part), sink), flush: () => sink.flushSync() };
}

/** The stream as it is with `contentMode: 'buffer'`; its type knows strings only. */
interface BytesStream {
  write(bytes: Buffer): boolean;
  flushSync(): void;
}

/**
 * Lines in batches. The stream below measures and flattens everything it holds with each write, which for single
 * lines costs several times what the rest of a decision does; as bytes they are not encoded twice (measured).
 */
class BatchedStdout implements DestinationStream {
  readonly #stream = pino.destination({
    fd: 1,
    sync: false,
    minLength: 0,
    maxLength: MAX_PENDING_BYTES,
    contentMode: 'buffer',
  }) as unknown as BytesStream;
  #batch = '';

  constructor() {
    setInterval(() => this.#pass(), FLUSH_MS).unref();
  }

  write(line: string): void {
    this.#batch += line;
    if (this.#batch.length >= BATCH_LENGTH) this.#pass();
  }

  flushSync(): void {
    this.#pass();
    this.#stream.flushSync();
  }

  #pass(): void {
    if (this.#batch === '') return;
    this.#stream.write(Buffer.from(this.#batch));
    this.#batch = '';
  }
}
