/** Which certificate a visitor is shown: chosen by the name asked for (SNI), from what the configuration holds now. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import type { ProxyOutpostConfig } from '../../contract/api.ts';

/** PEM: a certificate with its chain, and its key. */
export interface CertificatePair {
  certificate: string;
  key: string;
}

/** By the uuid providers name. */
export type Certificates = Readonly<Record<string, CertificatePair>>;

/**
 * TLS 1.2 and newer with forward secrecy and authenticated encryption only; curves and suites of TLS 1.2 as published
 * (spec/outpost.md 14).
 */
export const TLS_RULES: Readonly<SecureContextOptions> = {
  minVersion: 'TLSv1.2',
  ecdhCurve: 'X25519:P-256:P-384',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
  ].join(':'),
};

type Naming = Pick<ProxyOutpostConfig, 'pk' | 'name' | 'certificate' | 'external_host' | 'mode' | 'cookie_domain'>;

export interface CertificateProblem {
  provider: number;
  name: string;
  text: string;
}

/** The certificates of one configuration. Immutable: handshakes under way keep the one they began with. */
export class CertificateChoice {
  /** host of a provider -> the certificate it names */
  readonly #hosts = new Map<string, SecureContext>();
  /** names in certificates; a wildcard stands as `*.example.com` */
  readonly #names = new Map<string, SecureContext>();
  /** domain of a domain-level provider -> the certificate it names */
  readonly #domains = new Map<string, SecureContext>();
  readonly #opened = new Map<string, Opened | undefined>();
  readonly problems: CertificateProblem[] = [];

  /**
   * @param providers in any order; of two that claim a name, the one made first (smaller pk) counts
   * @param previous what it has opened is taken over
   */
  constructor(providers: readonly Naming[] = [], certificates: Certificates = {}, previous?: CertificateChoice) {
    for (const provider of providers.toSorted((a, b) => a.pk - b.pk)) {
      const pair = provider.certificate === null ? undefined : certificates[provider.certificate];
      if (pair === undefined) continue; // whoever fetched it told of the problem
      const found = this.#open(provider.certificate!, pair, previous);
      if (found === undefined) {
        const text = 'The certificate and its key cannot be used for TLS. Another certificate is shown instead.';
        this.problems.push({ provider: provider.pk, name: provider.name, text });
        continue;
      }
      const host = URL.parse(provider.external_host)?.hostname ?? '';
      add(this.#hosts, host, found.context);
      for (const name of found.names) add(this.#names, name, found.context);
      if (provider.mode !== 'forward_domain') continue;
      add(this.#domains, (provider.cookie_domain || host).replace(/^\./, '').toLowerCase(), found.context);
    }
  }

  /**
   * @param serverName as the client sent it
   * @returns of the provider whose host it is; else one made out for the name, or for `*.` and all but its first
   *   label; else of the domain-level provider whose domain it is below, the longest first; else undefined
   */
  find(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase().replace(/\.$/, '');
    const direct = this.#hosts.get(name) ?? this.#names.get(name);
    if (direct !== undefined) return direct;
    let dot = name.indexOf('.');
    const wildcard = dot < 0 ? undefined : this.#names.get(`*${name.slice(dot)}`);
    if (wildcard !== undefined) return wildcard;
    for (; dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const above = this.#domains.get(name.slice(dot + 1));
      if (above !== undefined) return above;
    }
    return undefined;
  }

  #open(uuid: string, pair: CertificatePair, previous: CertificateChoice | undefined): Opened | undefined {
    if (this.#opened.has(uuid)) return this.#opened.get(uuid);
    const before = previous === undefined ? undefined : previous.#opened.get(uuid);
    const same = before?.pair.certificate === pair.certificate && before.pair.key === pair.key;
    const opened = same ? before : open(pair);
    this.#opened.set(uuid, opened);
    return opened;
  }
}

interface Opened {
  pair: CertificatePair;
  context: SecureContext;
  /** DNS names it is made out for */
  names: string[];
}

function add(map: Map<string, SecureContext>, name: string, context: SecureContext): void {
  if (name !== '' && !map.has(name)) map.set(name, context);
}

/** @returns `undefined` when it cannot be used for TLS */
function open(pair: CertificatePair): Opened | undefined {
  const { certificate, key } = pair;
  try {
    const context = createSecureContext({ ...TLS_RULES, cert: certificate, key });
    return { pair, context, names: dnsNames(new X509Certificate(certificate)) };
  } catch {
    return undefined;
  }
}

/** DNS names a certificate is made out for, lower case. Wildcards count as the whole first label only (RFC 9525 6.3). */
export function dnsNames(certificate: X509Certificate): string[] {
  const entries = (certificate.subjectAltName ?? '').split(', ');
  return entries.flatMap((entry) => {
    const name = entry.startsWith('DNS:') ? entry.slice(4).toLowerCase() : '';
    return /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(name) ? [name] : [];
  });
}
