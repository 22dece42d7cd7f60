/** Tokens for the API and app passwords (spec/server.md 2.5). Keys are found by their hash; expiry is checked at use. */
import { createHash, randomInt, randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { TokenRow, UserRow } from '../storage/rows.ts';
import { endCredential } from './credentials.ts';
import { userById } from './users.ts';

export const TOKEN_INTENTS = ['verification', 'api', 'recovery', 'app_password'] as const;
export type TokenIntent = (typeof TOKEN_INTENTS)[number];

export interface TokenInput {
  identifier: string;
  intent: TokenIntent;
  user: number;
  description?: string;
  /** epoch ms; ignored unless `expiring` */
  expires?: number | null;
  expiring?: boolean;
  managed?: string | null;
  /** a key chosen elsewhere (bootstrap); otherwise one is made */
  key?: string;
}

const KEY_LENGTH = 60;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Published default life of a token. */
export const DEFAULT_LIFE_MS = 86_400_000;
/** Marks (`managed`) the tokens of outposts. */
export const OUTPOST_TOKENS = 'goauthentik.io/outpost/';

/** @returns random letters and digits, about 5.95 bits each */
export function randomKey(length: number = KEY_LENGTH): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

export function tokenByIdentifier(db: Db, identifier: string): Promise<TokenRow | undefined> {
  return db.selectFrom('token').selectAll().where('identifier', '=', identifier).executeTakeFirst();
}

/**
 * Finds the token somebody presented.
 * @returns it with its owner, if it has one of these intents, is not expired and its owner is active
 */
export async function findToken(
  db: Db,
  key: string,
  intents: readonly TokenIntent[],
): Promise<{ token: TokenRow; user: UserRow } | undefined> {
  const token = await db.selectFrom('token').selectAll().where('key_hash', '=', hash(key)).executeTakeFirst();
  if (token === undefined || !intents.some((intent) => intent === token.intent) || expired(token)) return undefined;
  const user = await userById(db, token.user_id);
  return user === undefined || user.is_active === 0 ? undefined : { token, user };
}

export async function createToken(tx: Change, input: TokenInput): Promise<{ token: TokenRow; key: string }> {
  await check(tx.db, input, undefined);
  const uuid = randomUUID();
  const key = input.key ?? randomKey();
  const expiring = input.expiring ?? true;
  const token = await tx.db
    .insertInto('token')
    .values({
      uuid,
      identifier: input.identifier,
      ...keyColumns(tx, uuid, key),
      intent: input.intent,
      user_id: input.user,
      description: input.description ?? '',
      expires: input.expires ?? tx.now + DEFAULT_LIFE_MS,
      expiring: Number(expiring),
      managed: input.managed ?? null,
      created: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await tx.audit('model_created', { context: { model: modelRef('token', uuid, token.identifier) } });
  return { token, key };
}

/** Changes what the patch names; the key stays. What an app password had opened for longer is over. */
export async function updateToken(
  tx: Change,
  identifier: string,
  patch: Partial<Omit<TokenInput, 'key' | 'managed'>>,
): Promise<TokenRow> {
  const before = await tokenByIdentifier(tx.db, identifier);
  if (before === undefined) throw notFound('token');
  await check(tx.db, patch, before);
  const token = await tx.db
    .updateTable('token')
    .set({
      identifier: patch.identifier ?? before.identifier,
      intent: patch.intent ?? before.intent,
      user_id: patch.user ?? before.user_id,
      description: patch.description ?? before.description,
      expires: patch.expires ?? before.expires,
      expiring: Number(patch.expiring ?? before.expiring),
    })
    .where('uuid', '=', before.uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (token.intent !== before.intent || token.user_id !== before.user_id || endOf(token) < endOf(before)) {
    await endUses(tx, before);
  }
  await tx.audit('model_updated', { context: { model: modelRef('token', token.uuid, token.identifier) } });
  return token;
}

export async function deleteToken(tx: Change, identifier: string): Promise<void> {
  const token = await tokenByIdentifier(tx.db, identifier);
  if (token === undefined) throw notFound('token');
  await tx.db.deleteFrom('token').where('uuid', '=', token.uuid).execute();
  await endUses(tx, token);
  await tx.audit('model_deleted', { context: { model: modelRef('token', token.uuid, identifier) } });
}

/** Replaces the key; the former one is worthless at once, and so is what it opened. */
export async function setTokenKey(tx: Change, identifier: string, key: string): Promise<void> {
  const token = await tokenByIdentifier(tx.db, identifier);
  if (token === undefined) throw notFound('token');
  await tx.db
    .updateTable('token')
    .set(keyColumns(tx, token.uuid, key))
    .where('uuid', '=', token.uuid)
    .execute();
  await endUses(tx, token);
  await tx.audit('model_updated', { context: { model: modelRef('token', token.uuid, identifier) } });
}

/** Shows the key, which the audit log notes. */
export async function viewTokenKey(tx: Change, identifier: string): Promise<string> {
  const token = await tokenByIdentifier(tx.db, identifier);
  if (token === undefined) throw notFound('token');
  const model = modelRef('token', token.uuid, identifier);
  await tx.audit('secret_view', { context: { model } });
  return tx.keyring.open(token.key, aad(token.uuid));
}

/** Removes what expired; API tokens get another key instead: {@link rotateTokens}. */
export async function pruneTokens(db: Db, now: number): Promise<void> {
  await db
    .deleteFrom('token')
    .where('expiring', '=', 1)
    .where('expires', '<=', now)
    .where('intent', '!=', 'api')
    .execute();
}

/**
 * Gives expired API tokens a new key and a new expiry (spec/server.md 2.5): whoever may see the token can fetch the
 * key, whoever only had the former one is out. Tokens of outposts are left alone: nobody would tell the outpost.
 */
export async function rotateTokens(tx: Change): Promise<void> {
  const over = await tx.db
    .selectFrom('token')
    .select(['uuid', 'identifier'])
    .where('intent', '=', 'api')
    .where('expiring', '=', 1)
    .where('expires', '<=', tx.now)
    .where((eb) => eb.or([eb('managed', 'is', null), eb('managed', 'not like', `${OUTPOST_TOKENS}%`)]))
    .execute();
  for (const { uuid, identifier } of over) {
    const values = { ...keyColumns(tx, uuid, randomKey()), expires: tx.now + DEFAULT_LIFE_MS };
    await tx.db.updateTable('token').set(values).where('uuid', '=', uuid).execute();
    const message = `The secret of the token ${identifier} was rotated.`;
    await tx.audit('secret_rotate', { context: { model: modelRef('token', uuid, identifier), message } });
  }
}

export const expired = (token: TokenRow) =>
  token.expiring === 1 && token.expires !== null && token.expires <= Date.now();

/** epoch ms */
const endOf = ({ expiring, expires }: TokenRow) => (expiring === 1 ? (expires ?? Infinity) : Infinity);

/** Tokens of other kinds are looked at with every use, links of outposts after the change; what was made from an app password lives on without it. */
async function endUses(tx: Change, token: TokenRow): Promise<void> {
  tx.credentialsEnded();
  if (token.intent === 'app_password') await endCredential(tx, token.uuid);
}

const hash = (key: string) => createHash('sha256').update(key).digest('hex');
const aad = (uuid: string) => `token.key:${uuid}`;

/** How a key is stored: to be found by, and sealed. */
const keyColumns = (tx: Change, uuid: string, key: string) => ({
  key_hash: hash(key),
  key: tx.keyring.seal(key, aad(uuid)),
});

async function check(db: Db, input: Partial<TokenInput>, before: TokenRow | undefined): Promise<void> {
  const problems: Record<string, string[]> = {};
  const { identifier, user, key } = input;
  if (identifier !== undefined) {
    const other = await tokenByIdentifier(db, identifier);
    if (!/^[-a-zA-Z0-9_]{1,255}$/.test(identifier)) {
      problems['identifier'] = ['Use 1 to 255 letters, digits, hyphens and underscores.'];
    } else if (other !== undefined && other.uuid !== before?.uuid) {
      problems['identifier'] = ['There is a token with this identifier.'];
    }
  }
  if (user !== undefined && (await userById(db, user)) === undefined) problems['user'] = [`There is no user ${user}.`];
  if (key !== undefined) {
    const other = await db.selectFrom('token').select('uuid').where('key_hash', '=', hash(key)).executeTakeFirst();
    if (key === '' || (other !== undefined && other.uuid !== before?.uuid)) problems['key'] = ['Choose another key.'];
  }
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}
