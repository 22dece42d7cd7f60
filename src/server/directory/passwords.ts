/** Passwords: argon2id (RFC 9106) as PHC text. */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { InvalidInput } from '../../contract/errors.ts';
import type { ServerContext } from '../context.ts';
import type { UserRow } from '../storage/rows.ts';

const argon2Async = promisify(argon2);

/** OWASP's smallest recommended setting; about 32 ms on the thread pool (design/libraries.md 4). */
const PARAMETERS = { memory: 19_456, passes: 2, parallelism: 1 };
const TAG_BYTES = 32;
const SALT_BYTES = 16;
/** Longer input is no password but an attempt to keep the server busy. */
const MAX_LENGTH = 1024;

interface Phc {
  memory: number;
  passes: number;
  parallelism: number;
  salt: Buffer;
  tag: Buffer;
}

/**
 * @param plain the password as typed; compared in Unicode NFC (RFC 8265 4.2.2): keyboards compose differently
 * @returns `$argon2id$v=19$m=…,t=…,p=…$salt$hash`
 * @throws InvalidInput when empty or longer than 1024 characters
 */
export async function hashPassword(plain: string): Promise<string> {
  if (plain === '') throw new InvalidInput({ password: ['Type a password.'] });
  if (plain.length > MAX_LENGTH) throw new InvalidInput({ password: [`Use at most ${MAX_LENGTH} characters.`] });
  const salt = randomBytes(SALT_BYTES);
  const tag = await derive(plain, { ...PARAMETERS, salt, tag: Buffer.alloc(TAG_BYTES) });
  const { memory, passes, parallelism } = PARAMETERS;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
}

/**
 * Compares a typed password with a person's. For nobody, inactive people and accounts without a password the same
 * work is done, so that time tells nothing (spec/security.md L).
 * @returns the hash this person has now, when the password is right: another one by the time it is used means that the
 *   password was changed meanwhile
 */
export async function matchingHash(
  ctx: ServerContext,
  user: UserRow | undefined,
  plain: string,
): Promise<string | undefined> {
  const stored = user === undefined ? undefined : parse(user.password);
  const typed = plain.slice(0, MAX_LENGTH);
  const tag = await derive(typed, stored ?? NOBODY);
  const same = timingSafeEqual(tag, (stored ?? NOBODY).tag) && plain.length <= MAX_LENGTH && plain !== '';
  if (user === undefined || stored === undefined || !same || user.is_active === 0) return undefined;
  if (outdated(stored)) {
    const password = await hashPassword(plain);
    // Only if it is still the one just checked: somebody may have set another meanwhile. No change date: same password.
    await ctx.change((tx) =>
      tx.db
        .updateTable('user')
        .set({ password })
        .where('id', '=', user.id)
        .where('password', '=', user.password)
        .execute(),
    );
    return password;
  }
  return user.password;
}

const NOBODY: Phc = { ...PARAMETERS, salt: randomBytes(SALT_BYTES), tag: randomBytes(TAG_BYTES) };

function derive(plain: string, phc: Phc): Promise<Buffer> {
  return argon2Async('argon2id', {
    message: Buffer.from(plain.normalize('NFC')),
    nonce: phc.salt,
    memory: phc.memory,
    passes: phc.passes,
    parallelism: phc.parallelism,
    tagLength: phc.tag.length,
  });
}

function parse(text: string): Phc | undefined {
  const found = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text);
  if (found === null) return undefined;
  const [, memory = '', passes = '', parallelism = '', salt = '', tag = ''] = found;
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  };
}

const outdated = (phc: Phc) =>
  phc.memory !== PARAMETERS.memory ||
  phc.passes !== PARAMETERS.passes ||
  phc.parallelism !== PARAMETERS.parallelism ||
  phc.tag.length !== TAG_BYTES;

const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
