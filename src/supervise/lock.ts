import { accessSync, chmodSync, constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CodedError } from '../contract/errors.ts';

/** A data folder held by this process. */
export interface FolderLock {
  release(): void;
}

/**
 * Makes the data folder if need be, checks that it can be written, and takes it for this process alone. The lock is an
 * exclusive SQLite transaction: the kernel drops it with the process, however that ends, so no stale lock is possible.
 * @throws CodedError `data-folder-unwritable`, `disk-full` or `data-folder-in-use`
 */
export function lockDataFolder(folder: string): FolderLock {
  makeWritable(folder);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path.join(folder, 'lock.db'));
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    throw explain(folder, error as NodeJS.ErrnoException & { errcode?: number });
  }
  const held = database;
  HELD.add(held);
  return {
    release: () => {
      HELD.delete(held);
      held.close();
    },
  };
}

/** Databases of the locks: one that nobody refers to any more would be collected, and its lock with it. */
const HELD = new Set<DatabaseSync>();

function makeWritable(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    // access() says yes to root on a read-only file system, a write does not
    const probe = path.join(folder, `.probe-${process.pid}`);
    writeFileSync(probe, 'x', { mode: 0o600 });
    rmSync(probe);
    chmodSync(folder, 0o700);
  } catch (error) {
    throw explain(folder, error as NodeJS.ErrnoException);
  }
}

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_FULL = 13;

function explain(folder: string, error: NodeJS.ErrnoException & { errcode?: number }): CodedError {
  if (error.errcode === SQLITE_BUSY || error.errcode === SQLITE_LOCKED) {
    const sentence = `Another Gatehouse already works with the data folder ${folder}. Stop it, or set GATEHOUSE_DATA to another folder.`;
    return new CodedError('data-folder-in-use', 503, sentence, error.message);
  }
  if (error.code === 'ENOSPC' || error.errcode === SQLITE_FULL) {
    const sentence = `The disk of the data folder ${folder} is full. Free some space and start again.`;
    return new CodedError('disk-full', 507, sentence, error.message);
  }
  const why =
    error.code === 'ENOTDIR' || error.code === 'EEXIST' ? 'is not a folder' : 'cannot be written by this user';
  const sentence = `The data folder ${folder} ${why}. Set GATEHOUSE_DATA to a folder this user owns, or correct its permissions.`;
  return new CodedError('data-folder-unwritable', 500, sentence, `${error.code ?? ''} ${error.message}`);
}
