import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, it } from 'node:test';
import { CodedError } from '../../contract/errors.ts';
import { DATABASE_FILE, openDatabase } from './database.ts';
import { readFact, writeFact } from './installation.ts';
import { openKeyring } from './keyring.ts';
import { migrate, MIGRATIONS } from './migrations.ts';
import { TOKEN_ORIGINS } from './migrations/008-token-origins.ts';
import { isUniqueViolation } from './sqlite.ts';

const root = mkdtempSync(join(tmpdir(), 'gatehouse-storage-'));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = (name: string) => join(root, name);
const code = (expected: string) => (error: unknown) => error instanceof CodedError && error.code === expected;

describe('openDatabase', () => {
  it('makes a private file, keeps what was written, and opens again', async () => {
    const db = await openDatabase(folder('a'));
    await writeFact(db, 'installation_id', 'x');
    await db.destroy();
    assert.equal(statSync(join(folder('a'), DATABASE_FILE)).mode & 0o777, 0o600);
    const again = await openDatabase(folder('a'));
    assert.equal(await readFact(again, 'installation_id'), 'x');
    await again.destroy();
  });

  it('refuses a newer database and leaves its bytes alone', async () => {
    await (await openDatabase(folder('newer'))).destroy();
    const file = join(folder('newer'), DATABASE_FILE);
    const sqlite = new DatabaseSync(file);
    sqlite.exec('PRAGMA user_version = 99');
    sqlite.close();
    const before = readFileSync(file);
    await assert.rejects(openDatabase(folder('newer')), code('database-newer'));
    assert.deepEqual(readFileSync(file), before);
  });

  it('brings what tokens were made from along', () => {
    const sqlite = new DatabaseSync(':memory:');
    const before = MIGRATIONS.indexOf(TOKEN_ORIGINS);
    for (const statements of MIGRATIONS.slice(0, before)) sqlite.exec(statements);
    sqlite.exec(`PRAGMA user_version = ${before};
      INSERT INTO oidc_artefact (model, id, payload, grant_id, credential) VALUES
        ('AccessToken', 'login', '', 'grant', NULL),
        ('AccessToken', 'once', '', NULL, 'password'),
        ('AccessToken', 'twice', '', 'token', 'password'),
        ('AccessToken', 'same', '', 'token', 'token')`);
    migrate(sqlite);
    const rows = (statement: string) =>
      sqlite
        .prepare(statement)
        .all()
        .map((row) => Object.values(row).join(' '));
    assert.deepEqual(rows('SELECT artefact_id, handle FROM oidc_artefact_origin ORDER BY 1, 2'), [
      'once password',
      'same token',
      'twice password',
      'twice token',
    ]);
    assert.deepEqual(rows('SELECT id FROM oidc_artefact WHERE grant_id IS NOT NULL'), ['login']);
    sqlite.exec("DELETE FROM oidc_artefact WHERE id = 'twice'");
    assert.equal(rows('SELECT handle FROM oidc_artefact_origin').length, 2);
    sqlite.close();
  });

  it('says a sentence for a file that is no database and for a folder that cannot be', async () => {
    await (await openDatabase(folder('damaged'))).destroy();
    writeFileSync(join(folder('damaged'), DATABASE_FILE), 'this is no database at all'.repeat(100));
    await assert.rejects(openDatabase(folder('damaged')), code('database-damaged'));
    writeFileSync(folder('file'), '');
    await assert.rejects(openDatabase(join(folder('file'), 'below')), code('data-folder-unwritable'));
  });

  it('answers a full database with a coded error and stays whole', async () => {
    const db = await openDatabase(folder('full'));
    const pages = new DatabaseSync(join(folder('full'), DATABASE_FILE));
    const count = Number(pages.prepare('PRAGMA page_count').get()?.['page_count']);
    pages.close();
    const { sql } = await import('kysely');
    await sql.raw(`PRAGMA max_page_count = ${count + 4}`).execute(db); // SQLite's own way to meet SQLITE_FULL
    await writeFact(db, 'installation_id', 'before');
    const write = db.transaction().execute(async (tx) => {
      await writeFact(tx, 'installation_id', 'during');
      await writeFact(tx, 'learnt_host', 'x'.repeat(200_000));
    });
    await assert.rejects(write, (e) => code('disk-full')(e) && (e as CodedError).status === 507);
    assert.equal(await readFact(db, 'installation_id'), 'before');
    const check = await sql<{ integrity_check: string }>`PRAGMA integrity_check`.execute(db);
    assert.deepEqual(
      check.rows.map((r) => r.integrity_check),
      ['ok'],
    );
    await db.destroy();
  });

  it('names the column of a unique violation', async () => {
    const db = await openDatabase(folder('unique'));
    const flow = { slug: 's', name: '', title: '', designation: '', authentication: '' };
    await db
      .insertInto('flow')
      .values({ uuid: 'a', ...flow })
      .execute();
    await assert.rejects(
      db
        .insertInto('flow')
        .values({ uuid: 'b', ...flow })
        .execute(),
      (e) => isUniqueViolation(e, 'flow.slug') && !isUniqueViolation(e, 'flow.uuid'),
    );
    await db.destroy();
  });
});

describe('Keyring', () => {
  it('opens what it sealed, only in its place, also after a restart', async () => {
    const db = await openDatabase(folder('keys'));
    const ring = await openKeyring(db, folder('keys'), undefined);
    const sealed = ring.seal('s3cret', 'token.key:1');
    assert.ok(!sealed.includes('s3cret'));
    const again = await openKeyring(db, folder('keys'), undefined);
    assert.equal(again.open(sealed, 'token.key:1'), 's3cret');
    assert.throws(() => again.open(sealed, 'token.key:2'), code('sealed-value-unreadable'));
    assert.throws(() => again.open(`${sealed.slice(0, -2)}AA`, 'token.key:1'), code('sealed-value-unreadable'));
    assert.equal(statSync(join(folder('keys'), 'secret.key')).mode & 0o777, 0o600);
    await db.destroy();
  });

  it('refuses another secret key, and a lost one', async () => {
    const db = await openDatabase(folder('other'));
    await openKeyring(db, folder('other'), 'the right key');
    await assert.rejects(openKeyring(db, folder('other'), 'a wrong key'), code('secret-key-mismatch'));
    await assert.rejects(openKeyring(db, folder('other'), undefined), code('secret-key-mismatch'));
    await openKeyring(db, folder('other'), 'the right key');
    await db.destroy();
  });
});
