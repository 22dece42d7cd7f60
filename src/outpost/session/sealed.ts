/**
 * Sealed values: JWE compact, `dir` + A256GCM, some of them deflated (RFC 7516, RFC 7518 4.5 and 5.3). Made with jose; opened
 * with node:crypto, which is synchronous and five times as fast. The tests open each with the other.
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
  readonly deflateAbove: number;
  /** of values that are deflated, and of those that are not */
  readonly deflated: SealHeader;
  readonly plain: SealHeader;
}

/** A protected header: the same for every value of a key. */
interface SealHeader {
  readonly encoded: string;
  /** as it is authenticated */
  readonly authenticated: Uint8Array;
}

/**
 * Texts of more bytes are deflated. Most sessions have fewer: that would make a quarter less of their cookies, and is
 * half of what it takes to open them (measured).
 */
const DEFLATE_ABOVE: Readonly<Record<SealPurpose, number>> = { session: 1500, attempt: 0, state: 0 };

/** No value of ours is larger, opened. */
const MAX_PLAIN_BYTES = 256 * 1024;
const IV_CHARS = 16;
const TAG_CHARS = 22;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
/** Last characters whose bits beyond the last byte are zero, by how many characters the last group has. */
const LAST_OF_GROUP: readonly (string | undefined)[] = [undefined, '', 'AQgw', 'AEIMQUYcgkosw048'];

/**
 * Derives a key (HKDF-SHA-256, RFC 5869).
 * @param secret `cookie_secret` of the provider
 * @param clientId salt: two providers with the same secret do not open each other's values
 */
export function deriveSealKey(secret: string, clientId: string, purpose: SealPurpose): SealKey {
  const kid = createHash('sha256').update(secret).digest('hex').slice(0, 8);
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, clientId, `gatehouse ${purpose}`, 32)));
  const deflateAbove = DEFLATE_ABOVE[purpose];
  return { kid, key, deflateAbove, deflated: sealHeader(kid, true), plain: sealHeader(kid, false) };
}

function sealHeader(kid: string, deflated: boolean): SealHeader {
  const encoded = Buffer.from(JSON.stringify(protectedHeader(kid, deflated))).toString('base64url');
  return { encoded, authenticated: Buffer.from(encoded, 'latin1') };
}

/** @returns the sealed value, only characters that may stand in a cookie and in a query */
export async function seal(key: SealKey, plain: string): Promise<string> {
  const bytes = Buffer.from(plain);
  const header = protectedHeader(key.kid, bytes.length > key.deflateAbove);
  return new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(key.key);
}

/** @returns the text, or `undefined` for anything this key did not seal */
export function open(key: SealKey, sealed: string): string | undefined {
  // `header..iv.ciphertext.tag`: with `dir` there is no encrypted key
  const headerEnd = sealed.indexOf('..');
  const encoded = sealed.slice(0, Math.max(0, headerEnd));
  const header = [key.plain, key.deflated].find((one) => one.encoded === encoded);
  if (header === undefined) return undefined;
  const ivStart = headerEnd + 2;
  const textStart = ivStart + IV_CHARS + 1;
  const tagStart = sealed.length - TAG_CHARS;
  if (tagStart - 1 <= textStart || sealed[textStart - 1] !== '.' || sealed[tagStart - 1] !== '.') return undefined;
  const iv = sealed.slice(ivStart, textStart - 1);
  const body = sealed.slice(textStart, tagStart - 1);
  const tag = sealed.slice(tagStart);
  if (!BASE64URL.test(iv) || !BASE64URL.test(body) || !BASE64URL.test(tag)) return undefined;
  // the 16 characters of the iv have no bits to spare
  if (!isCanonical(body) || !isCanonical(tag)) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.key, Buffer.from(iv, 'base64url'), { authTagLength: 16 });
    decipher.setAAD(header.authenticated);
    decipher.setAuthTag(Buffer.from(tag, 'base64url'));
    const plain = decipher.update(body, 'base64url');
    decipher.final(); // throws unless the tag is right; with GCM it holds no text
    const text = header === key.plain ? plain : inflateRawSync(plain, { maxOutputLength: MAX_PLAIN_BYTES });
    return text.toString('utf8');
  } catch {
    return undefined;
  }
}

/**
 * Whether the bits the last character has beyond the last byte are zero (RFC 4648 3.5): other spellings decode to the
 * same bytes, and one session would have many names. Only the last group can differ.
 */
function isCanonical(text: string): boolean {
  return LAST_OF_GROUP[text.length % 4]?.includes(text.at(-1) ?? '') ?? true;
}

const protectedHeader = (kid: string, deflated: boolean) => ({
  alg: 'dir',
  enc: 'A256GCM',
  ...(deflated ? { zip: 'DEF' } : {}),
  kid,
});
