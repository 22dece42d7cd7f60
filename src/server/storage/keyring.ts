/**
 * Envelope encryption of secrets in the database (design/architecture.md 5, decision 12): a data key seals the values,
 * a key derived from the secret key seals the data key. Changing the secret key later means sealing one row anew.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CodedError } from '../../contract/errors.ts';
import { folderError } from './database.ts';
import type { Db } from './database.ts';

const SECRET_KEY_FILE = 'secret.key';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Seals and opens text with the data key of this installation. */
export class Keyring {
  readonly #keyId: string;
  /** an object: from bytes, each use would make one, at several times the cost of the rest (measured) */
  readonly #key: KeyObject;

  constructor(keyId: string, key: Buffer) {
    if (key.length !== 32) throw new TypeError('a data key has 32 bytes');
    this.#keyId = keyId;
    this.#key = createSecretKey(key);
  }

  /**
   * @param plain the secret
   * @param aad where it belongs, e.g. `token.key:<uuid>`: sealed text moved to another row does not open
   * @returns `v1.<key id>.<base64url>`
   */
  seal(plain: string, aad: string): string {
    return `v1.${this.#keyId}.${encrypt(this.#key, plain, aad)}`;
  }

  /** @throws CodedError `sealed-value-unreadable` when the text was altered, moved or sealed with another key */
  open(sealed: string, aad: string): string {
    const [version, keyId, body] = sealed.split('.');
    const plain =
      version === 'v1' && keyId === this.#keyId && body !== undefined ? decrypt(this.#key, body, aad) : undefined;
    if (plain === undefined) {
      throw new CodedError(
        'sealed-value-unreadable',
        500,
        'A stored secret cannot be read. Restore the database from a backup, or set the secret anew.',
        `aad ${aad}`,
      );
    }
    return plain;
  }
}

/**
 * Opens the keyring of a database, making the data key at the first start.
 * @param folder the data folder, where `secret.key` lies when no secret key is set
 * @param secretKey AUTHENTIK_SECRET_KEY, if set
 * @throws CodedError `secret-key-mismatch`, `data-folder-unwritable`
 */
export async function openKeyring(db: Db, folder: string, secretKey: string | undefined): Promise<Keyring> {
  const row = await db.selectFrom('data_key').selectAll().orderBy('created', 'desc').executeTakeFirst();
  const file = join(folder, SECRET_KEY_FILE);
  if (row !== undefined && secretKey === undefined && !existsSync(file)) throw mismatch(file, 'is missing');
  const secret = secretKey ?? secretFromFile(file);
  const wrapping = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse data key v1', 32)));
  if (row !== undefined) {
    const key = decrypt(wrapping, row.sealed, `data_key:${row.id}`);
    if (key === undefined) throw mismatch(file, 'does not fit');
    return new Keyring(row.id, Buffer.from(key, 'base64url'));
  }
  const id = randomBytes(4).toString('hex');
  const key = randomBytes(32);
  const sealed = encrypt(wrapping, key.toString('base64url'), `data_key:${id}`);
  await db.insertInto('data_key').values({ id, sealed, created: Date.now() }).execute();
  return new Keyring(id, key);
}

function mismatch(file: string, what: string): CodedError {
  return new CodedError(
    'secret-key-mismatch',
    503,
    `The secret key ${what}: the secrets in the database were sealed with another one. Set AUTHENTIK_SECRET_KEY to the value used before, or put the former ${file} back. Nothing was changed.`,
  );
}

function secretFromFile(file: string): string {
  if (!existsSync(file)) {
    // Written whole under another name first: a crash or a full disk must not leave half a key behind.
    const temporary = `${file}.${randomBytes(4).toString('hex')}`;
    try {
      const handle = openSync(temporary, 'wx', 0o600);
      try {
        writeSync(handle, `${randomBytes(48).toString('base64url')}\n`);
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
      linkSync(temporary, file);
    } catch (error) {
      throw folderError(dirname(file), error instanceof Error && 'code' in error ? String(error.code) : '');
    } finally {
      rmSync(temporary, { force: true });
    }
  }
  const secret = readFileSync(file, 'utf8').trim();
  if (secret.length < 32) throw mismatch(file, 'is damaged');
  return secret;
}

function encrypt(key: KeyObject, plain: string, aad: string): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(Buffer.from(aad));
  return Buffer.concat([iv, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

function decrypt(key: KeyObject, body: string, aad: string): string | undefined {
  const bytes = Buffer.from(body, 'base64url');
  if (bytes.length < IV_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(aad));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const plain = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}
