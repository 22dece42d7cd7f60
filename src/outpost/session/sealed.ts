/**
 * Sealed values: JWE compact, `dir` + A256GCM, deflated (RFC 7516, RFC 7518 4.5 and 5.3). Made with jose; opened with
 * node:crypto, which is synchronous and five times as fast. The tests open each with the other.
 */
import { createDecipheriv, createHash, createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { CompactEncrypt } from 'jose';

/** What a value is for. A value made for one purpose does not open for another. */
export type SealPurpose = 'session' | 'attempt' | 'state';

export interface SealKey {
  readonly kid: string;
  /** not its bytes: making an object of them for each value costs three times what opening it does (measured) */
  readonly key: KeyObject;
  /** encoded protected header: the same for every value of this key */
  readonly header: string;
  /** `header` as it is authenticated */
  readonly authenticated: Uint8Array;
}

/** No value of ours is larger, opened. */
const MAX_PLAIN_BYTES = 256 * 1024;
const IV_CHARS = 16;
const TAG_CHARS = 22;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/**
 * Derives a key (HKDF-SHA-256, RFC 5869).
 * @param secret `cookie_secret` of the provider
 * @param clientId salt: two providers with the same secret do not open each other's values
 */
export function deriveSealKey(secret: string, clientId: string, purpose: SealPurpose): SealKey {
  const kid = createHash('sha256').update(secret).digest('hex').slice(0, 8);
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, clientId, `gatehouse ${purpose}`, 32)));
  const header = Buffer.from(JSON.stringify(protectedHeader(kid))).toString('base64url');
  return { kid, key, header, authenticated: Buffer.from(header, 'latin1') };
}

/** @returns the sealed value, only characters that may stand in a cookie and in a query */
export async function seal(key: SealKey, plain: string): Promise<string> {
  return new CompactEncrypt(Buffer.from(plain)).setProtectedHeader(protectedHeader(key.kid)).encrypt(key.key);
}

/** @returns the text, or `undefined` for anything this key did not seal */
export function open(key: SealKey, sealed: string): string | undefined {
  const { header } = key;
  // `header..iv.ciphertext.tag`: with `dir` there is no encrypted key
  if (!sealed.startsWith(header) || !sealed.startsWith('..', header.length)) return undefined;
  const ivStart = header.length + 2;
  const textStart = ivStart + IV_CHARS + 1;
  const tagStart = sealed.length - TAG_CHARS;
  if (tagStart - 1 <= textStart || sealed[textStart - 1] !== '.' || sealed[tagStart - 1] !== '.') return undefined;
  const iv = sealed.slice(ivStart, textStart - 1);
  const text = sealed.slice(textStart, tagStart - 1);
  const tag = sealed.slice(tagStart);
  if (!BASE64URL.test(iv) || !BASE64URL.test(text) || !BASE64URL.test(tag)) return undefined;
  // the 16 characters of the iv have no bits to spare
  if (!isCanonical(text) || !isCanonical(tag)) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.key, Buffer.from(iv, 'base64url'), { authTagLength: 16 });
    decipher.setAAD(key.authenticated);
    decipher.setAuthTag(Buffer.from(tag, 'base64url'));
    const plain = decipher.update(text, 'base64url');
    decipher.final(); // throws unless the tag is right; with GCM it holds no text
    return inflateRawSync(plain, { maxOutputLength: MAX_PLAIN_BYTES }).toString('utf8');
  } catch {
    return undefined;
  }
}

/**
 * Whether the bits the last character has beyond the last byte are zero (RFC 4648 3.5): other spellings decode to the
 * same bytes, and one session would have many names. Only the last group can differ.
 */
function isCanonical(text: string): boolean {
  const last = text.slice(text.length - (text.length % 4 || 4));
  return Buffer.from(last, 'base64url').toString('base64url') === last;
}

const protectedHeader = (kid: string) => ({ alg: 'dir', enc: 'A256GCM', zip: 'DEF', kid });
