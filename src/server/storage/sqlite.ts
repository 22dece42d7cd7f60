/**
 * node:sqlite behind the structural database type kysely asks for, with SQLite's failures translated into sentences.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { SqliteDatabase, SqliteStatement } from 'kysely';
import { CodedError } from '../../contract/errors.ts';

// Primary result codes, https://sqlite.org/rescode.html
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const CONSTRAINT = 19;
const NOTADB = 26;

/**
 * Wraps an open database for kysely's SqliteDialect. Errors of the storage itself become CodedErrors; violated
 * constraints and SQL mistakes pass through unchanged.
 * @param diskFull whether there is no space left
 */
export function kyselyDatabase(sqlite: DatabaseSync, diskFull: () => boolean): SqliteDatabase {
  const translating: Translate = (action) => {
    try {
      return action();
    } catch (error) {
      throw storageError(error, diskFull);
    }
  };
  return {
    close: () => sqlite.close(),
    prepare(sql) {
      // A commit that failed for want of space has rolled back by itself; kysely's own rollback is then one too many.
      if (sql === 'rollback' && !sqlite.isTransaction) return NOTHING;
      return translating(() => statement(sqlite.prepare(sql), translating));
    },
  };
}

const NOTHING: SqliteStatement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [].values(),
};

function statement(prepared: StatementSync, translating: Translate): SqliteStatement {
  return {
    reader: prepared.columns().length > 0,
    all: (parameters) => translating(() => prepared.all(...(parameters as SQLInputValue[]))),
    run: (parameters) => translating(() => prepared.run(...(parameters as SQLInputValue[]))),
    iterate: (parameters) => prepared.iterate(...(parameters as SQLInputValue[])),
  };
}

type Translate = <T>(action: () => T) => T;

/**
 * Turns an error of node:sqlite into what a person can act on.
 * @param diskFull asked about input/output errors: SQLite reports a full disk under many names, depending on the file
 * @returns a CodedError for full disks, failing disks, damaged files and the like; otherwise the error itself
 */
export function storageError(error: unknown, diskFull: () => boolean): unknown {
  const detail = error instanceof Error ? error.message : String(error);
  const code = primaryCode(error);
  if (code === FULL || (code === IOERR && diskFull())) {
    const sentence = 'The disk that holds the data folder is full, nothing was changed. Free some space and try again.';
    return new CodedError('disk-full', 507, sentence, detail);
  }
  switch (code) {
    case IOERR:
      return new CodedError(
        'storage-failed',
        503,
        'The data folder cannot be read or written just now, nothing was changed. Check its disk: free space, mount, permissions.',
        detail,
      );
    case READONLY:
    case CANTOPEN:
      return new CodedError(
        'data-folder-unwritable',
        503,
        'The data folder cannot be written. Give the user that runs Gatehouse write permission on it.',
        detail,
      );
    case CORRUPT:
    case NOTADB:
      return new CodedError(
        'database-damaged',
        503,
        'The database file is damaged or is no Gatehouse database. Restore gatehouse.db from a backup; the file was left as it is.',
        detail,
      );
    case BUSY:
    case LOCKED:
      return new CodedError(
        'database-busy',
        503,
        'Another program holds the database. Stop it (a second Gatehouse, a backup, a database browser) and try again.',
        detail,
      );
    default:
      return error;
  }
}

/**
 * Tells whether a write failed because a value must be unique.
 * @param column e.g. `application.slug`
 */
export function isUniqueViolation(error: unknown, column: string): boolean {
  return (
    primaryCode(error) === CONSTRAINT &&
    error instanceof Error &&
    error.message.startsWith('UNIQUE') &&
    error.message.split(/[\s,]+/).includes(column)
  );
}

function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff; // extended codes keep the primary one in the low byte
}
