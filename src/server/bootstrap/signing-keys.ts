/** RS256 keys of the OpenID Provider. The private half is sealed in the database. */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import type { Change, ServerContext } from '../context.ts';
import type { Db } from '../storage/database.ts';

export interface SigningKey {
  kid: string;
  alg: 'RS256';
  privateKey: CryptoKey;
  /** for libraries that take keys as JSON; as secret as the key */
  privateJwk: JWK;
  publicJwk: JWK;
}

/** A new key, not yet stored: making it takes up to seconds and is no work for inside a change. */
export async function makeSigningKey(): Promise<{ privateJwk: JWK; publicJwk: JWK; kid: string }> {
  const pair = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    kid,
    privateJwk: await exportJWK(pair.privateKey),
    publicJwk: { ...publicJwk, kid, alg: 'RS256', use: 'sig' },
  };
}

export async function storeSigningKey(
  tx: Change,
  key: { privateJwk: JWK; publicJwk: JWK; kid: string },
): Promise<void> {
  await tx.db
    .insertInto('signing_key')
    .values({
      kid: key.kid,
      alg: 'RS256',
      private_jwk: tx.keyring.seal(JSON.stringify(key.privateJwk), `signing_key.private_jwk:${key.kid}`),
      public_jwk: JSON.stringify(key.publicJwk),
      created: tx.now,
      retired: null,
      publish_until: null,
    })
    .execute();
}

export async function hasSigningKey(db: Db): Promise<boolean> {
  const row = await db.selectFrom('signing_key').select('kid').where('retired', 'is', null).executeTakeFirst();
  return row !== undefined;
}

/**
 * @returns keys to publish, the one to sign with first. Retired keys stay while tokens they signed can live.
 */
export async function signingKeys(ctx: Pick<ServerContext, 'db' | 'keyring'>): Promise<SigningKey[]> {
  const rows = await ctx.db
    .selectFrom('signing_key')
    .selectAll()
    .where((e) => e.or([e('retired', 'is', null), e('publish_until', '>', Date.now())]))
    .orderBy((e) => e('retired', 'is not', null))
    .orderBy('created', 'desc')
    .execute();
  return Promise.all(
    rows.map(async (row) => {
      const privateJwk = JSON.parse(ctx.keyring.open(row.private_jwk, `signing_key.private_jwk:${row.kid}`)) as JWK;
      const privateKey = await importJWK(privateJwk, 'RS256');
      if (privateKey instanceof Uint8Array) throw new TypeError('an RS256 key is never symmetric');
      const publicJwk = JSON.parse(row.public_jwk) as JWK;
      return {
        kid: row.kid,
        alg: 'RS256',
        privateKey,
        privateJwk: { ...privateJwk, kid: row.kid, alg: 'RS256', use: 'sig' },
        publicJwk,
      };
    }),
  );
}
