/** Certificates and keys as PEM text (RFC 7468): what people paste, checked before it is stored. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
/** No chain is longer. */
const MAX_CHAIN = 20;
const KEY_TYPES = ['rsa', 'ec', 'dsa', 'ed25519', 'ed448'] as const;
export type KeyType = (typeof KEY_TYPES)[number];

/** What is wrong with a certificate and, if there is one, its key, by published field; nothing = both fit. */
export function pairProblems(certificate: string, key: string): Record<string, string[]> {
  const problems: Record<string, string[]> = {};
  const chain = readChain(certificate);
  if (typeof chain === 'string') problems['certificate_data'] = [chain];
  if (key === '') return problems;
  const opened = readKey(key);
  if (typeof opened === 'string') problems['key_data'] = [opened];
  else if (typeof chain !== 'string' && !chain[0]!.checkPrivateKey(opened)) {
    problems['key_data'] = ['This key does not belong to the certificate (to the first one, if there are several).'];
  }
  return problems;
}

/** @returns the certificates, the server's own first, or what is wrong with the text */
export function readChain(text: string): X509Certificate[] | string {
  const blocks = text.match(BLOCK) ?? [];
  if (blocks.length === 0) return 'Give PEM text, beginning with -----BEGIN CERTIFICATE-----.';
  if (blocks.length > MAX_CHAIN) return `Give at most ${MAX_CHAIN} certificates.`;
  if (/PRIVATE KEY-----/.test(text)) return 'This holds a private key, which belongs into key_data.';
  const chain: X509Certificate[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      chain.push(new X509Certificate(block));
    } catch {
      return `Certificate ${index + 1} cannot be read. Copy the whole block, from BEGIN to END.`;
    }
  }
  return chain;
}

function readKey(text: string): KeyObject | string {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text)) {
    return 'The key is encrypted. Remove its passphrase first, for example with "openssl pkey".';
  }
  try {
    return createPrivateKey(text);
  } catch {
    return 'The key cannot be read. Give PEM text, beginning with -----BEGIN PRIVATE KEY-----.';
  }
}

export function keyType(certificate: X509Certificate): KeyType | null {
  const type = certificate.publicKey.asymmetricKeyType ?? '';
  return KEY_TYPES.find((known) => type === known || (known === 'rsa' && type === 'rsa-pss')) ?? null;
}

/** Subject as RFC 4514 writes it: most general part last in the certificate, first in the text. */
export const subject = (certificate: X509Certificate): string => certificate.subject.split('\n').toReversed().join(',');

/** Why a pair cannot serve TLS to browsers; undefined = it can. */
export function tlsProblem(certificate: string, key: string): string | undefined {
  if (key === '') return 'This certificate has no private key here, so that it cannot be served.';
  const type = createPrivateKey(key).asymmetricKeyType;
  if (type !== 'rsa' && type !== 'ec') return 'Browsers take certificates with RSA and elliptic curve keys only.';
  try {
    createSecureContext({ cert: certificate, key });
    return undefined;
  } catch {
    return 'This certificate cannot be used for TLS, perhaps because its key is too short.';
  }
}
