/** What a provider's settings say about clients that cannot be led through a login. */
import { DEFAULT_PROVIDER_SETTINGS } from '../../contract/provider-settings.ts';
import type { ProviderSettings } from '../../contract/provider-settings.ts';

export interface ClientPolicy {
  readonly loginAnswer: ProviderSettings['login_answer'];
  readonly preflight: ProviderSettings['preflight'];
  readonly preflightOrigins: ReadonlySet<string>;
  /** path below which the application lives, without trailing slash */
  readonly basePath: string;
}

/** @param settings undefined with a server that is not ours */
export function clientPolicy(settings: ProviderSettings | undefined, basePath: string): ClientPolicy {
  const { login_answer, preflight, preflight_origins } = settings ?? DEFAULT_PROVIDER_SETTINGS;
  return {
    loginAnswer: login_answer,
    preflight,
    preflightOrigins: new Set(preflight_origins),
    basePath,
  };
}

/** Whether a preflight of nobody may pass, by the page it comes from. */
export function allowsPreflight(policy: ClientPolicy, origin: string): boolean {
  return policy.preflight === 'pass' || (policy.preflight === 'answer' && policy.preflightOrigins.has(origin));
}
