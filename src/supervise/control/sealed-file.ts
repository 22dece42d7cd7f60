import { hkdfSync, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compactDecrypt, CompactEncrypt } from 'jose';
import { CodedError } from '../../contract/errors.ts';

const KEY_BYTES = 32;

/**
 * A JSON value kept in a file, sealed: JWE compact, `dir` + A256GCM (RFC 7516). The key comes from a key file beside
 * it, not from the outpost's token, so that a rotated token does not make the copy unreadable.
 */
export class SealedFile<T> {
  /** undefined = nothing is kept */
  readonly #file: string | undefined;
  readonly #key: Uint8Array;
  #writing: Promise<void> = Promise.resolve();
  #next: T | undefined;
  #damaged = false;

  /**
   * @param folder is made if need be (0700); undefined = there is none: nothing is kept, and nothing found
   * @param name file name; values of one name do not open under another
   * @throws CodedError `data-folder-unwritable` when the key can be neither read nor made
   */
  constructor(folder: string | undefined, name: string) {
    this.#file = folder === undefined ? undefined : path.join(folder, name);
    const key = folder === undefined ? randomBytes(KEY_BYTES) : folderKey(folder);
    this.#key = new Uint8Array(hkdfSync('sha256', key, '', `gatehouse file ${name}`, 32));
  }

  /** Whether there was a file at the last {@link read} that did not open. */
  get damaged(): boolean {
    return this.#damaged;
  }

  /** @returns the value, or `undefined` when there is none that this key opens */
  async read(): Promise<T | undefined> {
    this.#damaged = false;
    if (this.#file === undefined) return undefined;
    try {
      const { plaintext } = await compactDecrypt(readFileSync(this.#file, 'utf8'), this.#key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
      return JSON.parse(Buffer.from(plaintext).toString('utf8')) as T;
    } catch (error) {
      this.#damaged = (error as NodeJS.ErrnoException).code !== 'ENOENT';
      return undefined;
    }
  }

  /**
   * Writes the value, whole or not at all. Values that come while one is being written wait; only the last is written.
   * @returns when this value, or a later one, is in the file
   */
  write(value: T): Promise<void> {
    this.#next = value;
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#flush());
    return this.#writing;
  }

  /** Takes the file away, after what is being written; what waits is not written. */
  remove(): Promise<void> {
    this.#next = undefined;
    const file = this.#file;
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(() => (file === undefined ? undefined : rm(file, { force: true })));
    return this.#writing;
  }

  async #flush(): Promise<void> {
    const value = this.#next;
    if (value === undefined || this.#file === undefined) return;
    this.#next = undefined;
    const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify(value)))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(this.#key);
    const temporary = `${this.#file}.new`;
    try {
      await writeFile(temporary, sealed, { mode: 0o600, flush: true });
      await rename(temporary, this.#file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      this.#next ??= value; // whoever waits behind was promised that it is written
      throw error;
    }
  }
}

/** The key of a folder: read, or made once (0600). */
function folderKey(folder: string): Buffer {
  const file = path.join(folder, 'files.key');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const known = readIfThere(file);
    if (known?.length === KEY_BYTES) return known;
    const key = randomBytes(KEY_BYTES);
    writeFileSync(file, key, { mode: 0o600, flush: true });
    chmodSync(file, 0o600);
    return key;
  } catch (error) {
    const sentence = `The folder ${folder} cannot be written by this user. Correct its permissions or its disk.`;
    throw new CodedError('data-folder-unwritable', 500, sentence, (error as Error).message);
  }
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
