import { createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { BackChannelOptions } from './messages.ts';

/**
 * Whom an outpost believes about its server's certificate: the authorities Node brings along, those of the machine
 * (`SSL_CERT_FILE` and `SSL_CERT_DIR` count), and those of `NODE_EXTRA_CA_CERTS`. Official outposts take the machine's.
 * @returns options for `tls.connect`; empty where no certificate is met
 */
export function serverTrust({ base, verifyTls, socket }: BackChannelOptions): {
  secureContext?: SecureContext;
  rejectUnauthorized?: boolean;
} {
  if (socket || !base.startsWith('https:')) return {};
  if (!verifyTls) return { rejectUnauthorized: false };
  known ??= createSecureContext({
    ca: [...new Set([...getCACertificates('default'), ...getCACertificates('system')])],
  });
  return { secureContext: known, rejectUnauthorized: true };
}

/** made once for a process: it takes some milliseconds, and megabytes */
let known: SecureContext | undefined;
