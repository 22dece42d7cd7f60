/**
 * Makes self-signed certificates: for the server's REST interface, and, lent by the command line, for the supervisor, where
 * no other certificate fits. Imports nothing of the project, and is loaded only when a certificate is to be made.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

export interface CertificateWish {
  commonName: string;
  organization?: string;
  /** DNS names, `*.example.com` among them, and IP addresses */
  names: readonly { type: 'dns' | 'ip'; value: string }[];
  validDays: number;
  alg: 'rsa' | 'ecdsa';
  /** epoch ms */
  now?: number;
}

const DAY_MS = 86_400_000;

const ALGORITHMS = {
  rsa: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
  ecdsa: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
} as const;

/**
 * A new key (RSA 2048 or P-256) and a certificate it signs for itself: for servers, random serial of 128 bits
 * (spec/outpost.md 14).
 * @returns PEM, the key as PKCS #8
 */
export async function makeCertificate(wish: CertificateWish): Promise<{ certificate: string; key: string }> {
  const algorithm = ALGORITHMS[wish.alg];
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = wish.now ?? Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: [{ CN: [wish.commonName] }, ...(wish.organization === undefined ? [] : [{ O: [wish.organization] }])],
      notBefore: new Date(now - 60_000), // clocks differ
      notAfter: new Date(now + wish.validDays * DAY_MS),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        ...(wish.names.length > 0 ? [new SubjectAlternativeNameExtension([...wish.names])] : []),
      ],
    },
    webcrypto,
  );
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { certificate: `${certificate.toString('pem')}\n`, key: `${key}\n` };
}

/** 128 random bits as hexadecimal text; the first bit stays 0, so that the number is positive in 16 bytes. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}
