/**
 * The versions of the database, in order. `PRAGMA user_version` holds the number of the last one applied; each runs
 * in one transaction together with that number, so a crash or a full disk leaves the version before it.
 */
import type { DatabaseSync } from 'node:sqlite';
import { CodedError } from '../../contract/errors.ts';
import { FIRST_TABLES } from './migrations/001-first-tables.ts';
import { DOMAIN_APPLICATIONS } from './migrations/003-domain-applications.ts';
import { PROVIDER_SETTINGS } from './migrations/002-provider-settings.ts';
import { CERTIFICATES } from './migrations/004-certificates.ts';
import { MACHINE_TO_MACHINE } from './migrations/005-machine-to-machine.ts';
import { SCOPE_MAPPING_HEADERS } from './migrations/006-scope-mapping-headers.ts';
import { OUTPOST_CHANGES } from './migrations/007-outpost-changes.ts';
import { TOKEN_ORIGINS } from './migrations/008-token-origins.ts';

export const MIGRATIONS: readonly string[] = [
  FIRST_TABLES,
  PROVIDER_SETTINGS,
  DOMAIN_APPLICATIONS,
  CERTIFICATES,
  MACHINE_TO_MACHINE,
  SCOPE_MAPPING_HEADERS,
  OUTPOST_CHANGES,
  TOKEN_ORIGINS,
];

/** Version of databases this program writes. */
export const DATABASE_VERSION = MIGRATIONS.length;

/**
 * Applies what is missing.
 * @throws CodedError `database-newer` when a later program has written this database; it is left untouched
 */
export function migrate(sqlite: DatabaseSync): void {
  const found = Number(sqlite.prepare('PRAGMA user_version').get()?.['user_version']);
  if (found > DATABASE_VERSION) {
    throw new CodedError(
      'database-newer',
      503,
      `The database was written by a newer Gatehouse (its version is ${found}, this program knows ${DATABASE_VERSION}). Start the newer program, or restore a backup made before the upgrade. Nothing was changed.`,
    );
  }
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < found) continue;
    sqlite.exec('BEGIN IMMEDIATE');
    try {
      sqlite.exec(`${statements}; PRAGMA user_version = ${index + 1};`);
      sqlite.exec('COMMIT');
    } catch (error) {
      if (sqlite.isTransaction) sqlite.exec('ROLLBACK');
      throw error;
    }
  }
}
