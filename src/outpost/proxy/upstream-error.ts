/** What an error of the connection to an application means to a person; its own words stay in `detail`. */
import { CodedError } from '../../contract/errors.ts';

/** Codes of OpenSSL and Node, by what they mean. The texts are in the catalogue (look/texts-outpost.ts). */
const TLS_PROBLEMS: Readonly<Record<string, readonly string[]>> = {
  'upstream-certificate-expired': ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'],
  'upstream-certificate-name': ['ERR_TLS_CERT_ALTNAME_INVALID', 'HOSTNAME_MISMATCH'],
  'upstream-certificate-untrusted': [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'CERT_SIGNATURE_FAILURE',
    'CERT_UNTRUSTED',
    'CERT_REJECTED',
    'CERT_REVOKED',
    'CERT_CHAIN_TOO_LONG',
    'INVALID_CA',
    'INVALID_PURPOSE',
    'PATH_LENGTH_EXCEEDED',
  ],
  'upstream-not-https': ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST'],
};
const CODE_OF = new Map(
  Object.entries(TLS_PROBLEMS).flatMap(([code, causes]) => causes.map((cause) => [cause, code] as const)),
);

export function upstreamError(error: Error): CodedError {
  if (error instanceof CodedError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const detail = `${code} ${error.message}`.trim();
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return new CodedError('upstream-timeout', 504, 'The application did not answer in time. Try again later.', detail);
  }
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') {
    return new CodedError('request-not-sendable', 400, 'This request cannot be passed on as it is.', detail);
  }
  const tls = CODE_OF.get(code);
  if (tls !== undefined) {
    return new CodedError(tls, 502, 'The application could not show that it is the right one.', detail);
  }
  return new CodedError('upstream-unreachable', 502, 'The application cannot be reached. Try again later.', detail);
}
