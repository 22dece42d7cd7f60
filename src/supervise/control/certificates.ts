/** Fetches the certificates providers name (spec/outpost.md 14 and 16.5). */
import { createSecureContext } from 'node:tls';
import type { ProxyOutpostConfig } from '../../contract/api.ts';
import { CodedError } from '../../contract/errors.ts';
import { certificateTag } from '../../contract/extension.ts';
import { TLS_RULES } from '../../outpost/listen/certificates.ts';
import type { CertificatePair, Certificates } from '../../outpost/listen/certificates.ts';
import { UnexpectedAnswer } from '../back-channel.ts';
import { getJson } from './rest.ts';

/** Calls at the same time. */
const PARALLEL = 8;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The certificates of a configuration. Each look at a certificate or a key is an entry in the server's audit log: of a
 * certificate that is known we ask whether it is still the same, and look at its key only when it is not.
 * @param fetch of a back channel
 * @param known of the last configuration: one that cannot be fetched or used stays as it was
 * @param onProblem hears of each such certificate: its uuid, and a sentence
 */
export async function fetchCertificates(
  fetch: typeof globalThis.fetch,
  providers: readonly Pick<ProxyOutpostConfig, 'certificate'>[],
  known: Certificates,
  onProblem: (uuid: string, problem: string) => void,
): Promise<Certificates> {
  const wanted = [...new Set(providers.map(({ certificate }) => certificate).filter((uuid) => uuid !== null))];
  const found: Record<string, CertificatePair> = {};
  const queue = wanted.values();
  const work = async () => {
    for (const uuid of queue) {
      const before = known[uuid];
      try {
        found[uuid] = await fetchOne(fetch, uuid, before);
      } catch (error) {
        const kept = before ? 'The last one stays in use.' : 'The self-signed certificate is shown instead.';
        onProblem(uuid, `The certificate cannot be had: ${(error as Error).message} ${kept}`);
        if (before) found[uuid] = before;
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return found;
}

async function fetchOne(
  fetch: typeof globalThis.fetch,
  uuid: string,
  known: CertificatePair | undefined,
): Promise<CertificatePair> {
  if (!UUID.test(uuid)) throw unusable('Its id is none.');
  const address = `api/v3/crypto/certificatekeypairs/${uuid}/`;
  const certificate = await fetchChain(fetch, `${address}view_certificate/`, known);
  if (known?.certificate === certificate) return known;
  const pair = { certificate, key: dataOf(await getJson(fetch, `${address}view_private_key/`)) };
  if (pair.key === '') throw unusable('It has no private key.');
  try {
    createSecureContext({ ...TLS_RULES, cert: pair.certificate, key: pair.key });
  } catch {
    throw unusable('It and its key cannot be used for TLS.');
  }
  return pair;
}

/** The whole chain: the fingerprint the server tells is that of its first certificate only. */
async function fetchChain(
  fetch: typeof globalThis.fetch,
  address: string,
  known: CertificatePair | undefined,
): Promise<string> {
  if (known === undefined) return dataOf(await getJson(fetch, address));
  const answer = await fetch(address, { headers: { 'if-none-match': certificateTag(known.certificate) } });
  if (answer.ok) return dataOf(await answer.json());
  await answer.body?.cancel();
  if (answer.status === 304) return known.certificate;
  throw new UnexpectedAnswer(address, answer.status);
}

const dataOf = (answer: unknown): string => {
  const { data } = (answer ?? {}) as { data?: unknown };
  if (typeof data !== 'string') throw unusable('The identity server answered something else.');
  return data;
};

const unusable = (sentence: string) => new CodedError('certificate-unusable', 502, sentence);
