/** Checks settings of a provider beyond the published ones before they are saved. */
import { X509Certificate } from 'node:crypto';
import { accessRuleProblems } from '../../rules/access-rules.ts';
import type { ProviderSettings } from '../../contract/provider-settings.ts';

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
  return problems;
}

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
