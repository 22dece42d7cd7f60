/**
 * The one-time set-up link: whoever started the server, and only they, may set the first administrator's password.
 * Only the token's hash is kept. Once an administrator has a password the link is gone for good (spec/security.md L).
 */
import { createHash, randomBytes } from 'node:crypto';
import { CodedError } from '../../contract/errors.ts';
import { sameSecret } from '../link.ts';
import type { Change } from '../context.ts';
import { setPassword, userByUsername } from '../directory/users.ts';
import { isSuperuser } from '../directory/membership.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import { deleteFact, readFact, writeFact } from '../storage/installation.ts';
import type { UserRow } from '../storage/rows.ts';

export const ADMIN_USERNAME = 'akadmin';

const hash = (token: string) => createHash('sha256').update(token).digest('hex');

/**
 * Makes a token while no administrator can sign in; the one of an earlier start ends.
 * @returns the token for the link, or `undefined` when set-up is over
 */
export async function openSetup(tx: Change): Promise<string | undefined> {
  if (await adminHasPassword(tx.db)) {
    await deleteFact(tx.db, 'setup_token_hash');
    return undefined;
  }
  const token = randomBytes(24).toString('base64url');
  await writeFact(tx.db, 'setup_token_hash', hash(token));
  return token;
}

/** @returns whether this token may be used now */
export async function setupTokenValid(db: Db, token: string): Promise<boolean> {
  const expected = await readFact(db, 'setup_token_hash');
  return expected !== undefined && sameSecret(hash(token), expected) && !(await adminHasPassword(db));
}

/**
 * Sets the administrator's password and closes the set-up.
 * @param passwordHash from hashPassword()
 * @returns the administrator
 * @throws CodedError `setup-closed`
 */
export async function completeSetup(tx: Change, token: string, passwordHash: string): Promise<UserRow> {
  if (!(await setupTokenValid(tx.db, token))) {
    throw new CodedError(
      'setup-closed',
      403,
      'This set-up link is used up or out of date. Sign in, or restart the server to get a new link while no administrator has a password.',
    );
  }
  const admin = await userByUsername(tx.db, ADMIN_USERNAME);
  if (admin === undefined) throw notFound('user');
  await setPassword(tx, admin.id, passwordHash); // ends the link too
  return { ...admin, password: passwordHash };
}

/** Any active superuser with a password counts: then there is somebody who can sign in and help the others. */
async function adminHasPassword(db: Db): Promise<boolean> {
  const users = await db
    .selectFrom('user')
    .select('id')
    .where('password', '!=', '')
    .where('is_active', '=', 1)
    .execute();
  for (const { id } of users) if (await isSuperuser(db, id)) return true;
  return false;
}
