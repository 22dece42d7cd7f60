/** Opening the database of the data folder: one SQLite file, migrated to the version this program knows. */
import { chmodSync, closeSync, mkdirSync, openSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, SqliteDialect } from 'kysely';
import type { Transaction } from 'kysely';
import { CodedError } from '../../contract/errors.ts';
import { migrate } from './migrations.ts';
import type { Database } from './schema.ts';
import { kyselyDatabase, storageError } from './sqlite.ts';

/** What read functions take: the database, or the transaction of a change. */
export type Db = Kysely<Database>;
export type Tx = Transaction<Database>;

export const DATABASE_FILE = 'gatehouse.db';

/**
 * Opens `<folder>/gatehouse.db`, makes it when absent (mode 0600), and brings it to the current version.
 * @param folder the data folder; made when absent
 * @throws CodedError `data-folder-unwritable`, `database-newer`, `database-damaged`, `database-busy`, `disk-full` or
 *   `storage-failed`, each with a sentence for the terminal
 */
export async function openDatabase(folder: string): Promise<Kysely<Database>> {
  const file = join(folder, DATABASE_FILE);
  prepareFile(folder, file);
  const full = () => statfsSync(folder).bavail === 0;
  let sqlite: DatabaseSync | undefined;
  try {
    sqlite = new DatabaseSync(file, { timeout: 5000 });
    migrate(sqlite);
    // After the version check: a newer database must stay byte for byte as it was.
    // FULL: a committed revocation must survive a power cut.
    sqlite.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
  } catch (error) {
    sqlite?.close();
    throw storageError(error, full);
  }
  return new Kysely<Database>({ dialect: new SqliteDialect({ database: kyselyDatabase(sqlite, full) }) });
}

function prepareFile(folder: string, file: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    closeSync(openSync(file, 'a', 0o600));
    chmodSync(file, 0o600); // -wal and -shm take the mode of the main file
  } catch (error) {
    throw folderError(folder, error instanceof Error && 'code' in error ? String(error.code) : '');
  }
}

/** @param code of the system call that failed */
export function folderError(folder: string, code: string): CodedError {
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const sentence = `The disk that holds ${folder} is full. Free some space and start again; nothing was lost.`;
    return new CodedError('disk-full', 507, sentence);
  }
  return new CodedError(
    'data-folder-unwritable',
    503,
    `The data folder ${folder} cannot be written (${code}). Give the user that runs Gatehouse write permission on it, or name another folder in GATEHOUSE_DATA.`,
  );
}
