/** The certificate that is shown where no other fits: made once, kept, made anew before it runs out. */
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { CodedError } from '../contract/errors.ts';
import type { CertificatePair } from '../outpost/listen/certificates.ts';

/** Makes a self-signed certificate; the command line gives it, so that outposts need no library for it. */
export type MakeCertificate = (wish: {
  commonName: string;
  organization: string;
  names: readonly { type: 'dns'; value: string }[];
  validDays: number;
  alg: 'rsa';
}) => Promise<CertificatePair>;

const FILE = 'fallback-certificate.pem';
const VALID_DAYS = 365;
/** Made anew when it is valid for less than this, ms. */
const RENEW_BEFORE_MS = 30 * 86_400_000;
const CHECK_MS = 12 * 3_600_000;

/**
 * Reads the certificate of a data folder, or makes it (contents: spec/outpost.md 14).
 * @param dataFolder undefined = it is not kept
 * @param now epoch ms
 * @returns the pair, and whether it is new
 * @throws CodedError `data-folder-unwritable`
 */
export async function fallbackCertificate(
  dataFolder: string | undefined,
  make: MakeCertificate,
  now: number = Date.now(),
): Promise<{ pair: CertificatePair; made: boolean }> {
  const folder = dataFolder === undefined ? undefined : path.join(dataFolder, 'outpost');
  const kept = folder === undefined ? undefined : read(path.join(folder, FILE), now);
  if (kept) return { pair: kept, made: false };
  const pair = await make({
    commonName: 'authentik default certificate',
    organization: 'authentik',
    names: [{ type: 'dns', value: '*' }],
    validDays: VALID_DAYS,
    alg: 'rsa',
  });
  if (folder !== undefined) keep(folder, pair);
  return { pair, made: true };
}

function keep(folder: string, pair: CertificatePair): void {
  const file = path.join(folder, FILE);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, pair.certificate + pair.key, { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  } catch (error) {
    const sentence = `The folder ${folder} cannot be written by this user. Correct its permissions or its disk.`;
    throw new CodedError('data-folder-unwritable', 500, sentence, (error as Error).message);
  }
}

/**
 * Looks now and then whether the certificate has to be made anew.
 * @param pair the one in use
 * @returns ends that
 */
export function watchFallback(
  dataFolder: string | undefined,
  pair: CertificatePair,
  make: MakeCertificate,
  onNew: (pair: CertificatePair) => void,
  onFailure: (error: Error) => void,
): () => void {
  let inUse = pair;
  const look = async () => {
    if (isLasting(inUse, Date.now())) return;
    inUse = (await fallbackCertificate(dataFolder, make)).pair;
    onNew(inUse);
  };
  const timer = setInterval(() => void look().catch(onFailure), CHECK_MS).unref();
  return () => clearInterval(timer);
}

/** @returns `undefined` when there is none, it is damaged, or it runs out soon */
function read(file: string, now: number): CertificatePair | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    const end = text.lastIndexOf('-----BEGIN ');
    const pair = { certificate: text.slice(0, end), key: text.slice(end) };
    createSecureContext({ cert: pair.certificate, key: pair.key }); // throws when the two do not belong together
    return isLasting(pair, now) ? pair : undefined;
  } catch {
    return undefined;
  }
}

const isLasting = ({ certificate }: CertificatePair, now: number) =>
  Date.parse(new X509Certificate(certificate).validTo) - now > RENEW_BEFORE_MS;
