/** What a provider's settings say about clients that cannot be led through a login. */
import { DEFAULT_PROVIDER_SETTINGS } from '../../contract/provider-settings.ts';
import type { ProviderSettings } from '../../contract/provider-settings.ts';

export interface ClientPolicy {
  readonly loginAnswer: ProviderSettings['login_answer'];
  readonly preflight: ProviderSettings['preflight'];
  readonly preflightOrigins: ReadonlySet<string>;
  /** whether an Authorization header that does not count is answered 401, instead of with a login (`intercept_header_auth`) */
  readonly interceptsCredentials: boolean;
  /** path below which the application lives, without trailing slash */
  readonly basePath: string;
}

/**
 * @param settings undefined with a server that is not ours
 * @param interceptsCredentials `intercept_header_auth`
 */
export function clientPolicy(
  settings: ProviderSettings | undefined,
  basePath: string,
  interceptsCredentials: boolean,
): ClientPolicy {
  const { login_answer, preflight, preflight_origins } = settings ?? DEFAULT_PROVIDER_SETTINGS;
  return {
    loginAnswer: login_answer,
    preflight,
    preflightOrigins: new Set(preflight_origins),
    interceptsCredentials,
    basePath,
  };
}

/** Whether a preflight of nobody may pass, by the page it comes from. */
export function allowsPreflight(policy: ClientPolicy, origin: string): boolean {
  return policy.preflight === 'pass' || (policy.preflight === 'answer' && policy.preflightOrigins.has(origin));
}
