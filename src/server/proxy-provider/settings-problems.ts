/** Checks settings of a provider beyond the published ones before they are saved. */
import { X509Certificate } from 'node:crypto';
import { accessRuleProblems } from '../../rules/access-rules.ts';
import { claimHeaderProblems } from '../../contract/header-presets.ts';
import type { ProviderSettings } from '../../contract/provider-settings.ts';
import { readBackendHost } from '../../rules/backend-hosts.ts';

type Problems = Record<string, string[]>;

/** Rules about single settings, where given. Empty = fine. */
export function settingsProblems(patch: Partial<ProviderSettings>): Problems {
  const problems: Problems = {};
  const origins = [...(patch.preflight_origins ?? [])].filter((origin) => !isOrigin(origin));
  if (origins.length > 0) problems['preflight_origins'] = origins.map(originSentence);
  const sockets = (patch.websocket_origins ?? []).filter((origin) => origin !== '*' && !isOrigin(origin));
  if (sockets.length > 0) problems['websocket_origins'] = sockets.map(originSentence);
  const rules = accessRuleProblems(patch.access_rules ?? []);
  if (rules.length > 0) problems['access_rules'] = rules;
  if (patch.upstream_ca !== undefined && patch.upstream_ca !== '' && !isCertificate(patch.upstream_ca)) {
    problems['upstream_ca'] = [
      'Give the certificate of the authority as PEM text, beginning with -----BEGIN CERTIFICATE-----.',
    ];
  }
  const headers = claimHeaderProblems(patch.header_claims ?? []);
  if (headers.length > 0) problems['header_claims'] = headers;
  const backends = (patch.backend_hosts ?? []).filter((host) => readBackendHost(host) === undefined);
  if (backends.length > 0) problems['backend_hosts'] = backends.map(backendSentence);
  return problems;
}

const backendSentence = (text: string) =>
  `${JSON.stringify(text)} is no host: give a name, with its port where it is not the usual one, such as app.internal:8080 or *.apps.internal.`;

const originSentence = (text: string) =>
  `${JSON.stringify(text)} is no origin: give scheme and host only, such as https://app.example.com.`;

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.origin === text;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
