/** Published object of a certificate with its key (spec/server.md 10.1, spec/outpost.md 16.5); the key is never in it. */
import { z } from 'zod';
import { keyType, readChain, subject } from '../../certificates/pem.ts';
import type { KeypairRow } from '../../storage/rows.ts';
import { iso, timestamp, uuidOut } from '../fields.ts';

export const Certificate = z.strictObject({
  pk: uuidOut,
  name: z.string(),
  fingerprint_sha256: z.string().nullable(),
  fingerprint_sha1: z.string().nullable(),
  cert_expiry: timestamp.nullable(),
  cert_subject: z.string().nullable(),
  private_key_available: z.boolean(),
  key_type: z.enum(['rsa', 'ec', 'dsa', 'ed25519', 'ed448']).nullable(),
  certificate_download_url: z.string(),
  private_key_download_url: z.string(),
  managed: z.string().nullable(),
});

/**
 * @param base path of this API, ends with `/`
 * @param details whether to read the certificate; without them a long list is quicker
 */
export function certificateObject(row: KeypairRow, base: string, details: boolean): z.output<typeof Certificate> {
  const chain = details ? readChain(row.certificate) : [];
  const certificate = typeof chain === 'string' ? undefined : chain[0];
  const place = `${base}crypto/certificatekeypairs/${row.uuid}/`;
  return {
    pk: row.uuid,
    name: row.name,
    fingerprint_sha256: certificate ? certificate.fingerprint256.toLowerCase() : null,
    fingerprint_sha1: certificate ? certificate.fingerprint.toLowerCase() : null,
    cert_expiry: certificate ? iso(Date.parse(certificate.validTo)) : null,
    cert_subject: certificate ? subject(certificate) : null,
    private_key_available: row.key !== '',
    key_type: certificate ? keyType(certificate) : null,
    certificate_download_url: `${place}view_certificate/?download`,
    private_key_download_url: `${place}view_private_key/?download`,
    managed: row.managed,
  };
}
