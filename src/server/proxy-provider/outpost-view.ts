/** What an outpost is told about its providers: exactly the published keys (spec/server.md 7.4 and 7.5). */
import type { OpenIDConnectConfiguration, ProviderExtension, ProxyOutpostConfig } from '../../contract/api.ts';
import type { DomainApplication } from '../../contract/domain-applications.ts';
import type { Keyring } from '../storage/keyring.ts';
import type { ApplicationRow, ProviderRow } from '../storage/rows.ts';
import { accessTokenSeconds, modeOf, providerSecrets, settingsOf } from './providers.ts';

export interface OutpostViewInput {
  provider: ProviderRow;
  application: ApplicationRow;
  /** names of the attached scopes */
  scopes: string[];
  /** address of the server without a slash at the end, from ctx.baseAddress */
  base: string;
  /** names for ProviderExtension.managed_headers; undefined for an official outpost, which gets no extension */
  managedHeaders: string[] | undefined;
  /** bound to hosts of a domain-level provider */
  domainApplications: DomainApplication[];
}

/** One item of `/outposts/proxy/`. */
export function outpostView(keyring: Keyring, input: OutpostViewInput): ProxyOutpostConfig {
  const { provider, application, scopes, base, managedHeaders, domainApplications } = input;
  const view: ProxyOutpostConfig = {
    pk: provider.id,
    name: provider.name,
    internal_host: provider.internal_host,
    external_host: provider.external_host,
    internal_host_ssl_validation: provider.internal_host_ssl_validation === 1,
    client_id: provider.client_id,
    ...providerSecrets(keyring, provider),
    oidc_configuration: oidcConfiguration(base, application.slug),
    certificate: provider.certificate,
    skip_path_regex: provider.skip_path_regex,
    basic_auth_enabled: provider.basic_auth_enabled === 1,
    basic_auth_password_attribute: provider.basic_auth_password_attribute,
    basic_auth_user_attribute: provider.basic_auth_user_attribute,
    mode: modeOf(provider),
    cookie_domain: provider.cookie_domain,
    access_token_validity: accessTokenSeconds(provider),
    intercept_header_auth: provider.intercept_header_auth === 1,
    scopes_to_request: scopes,
    assigned_application_slug: application.slug,
    assigned_application_name: application.name,
  };
  if (managedHeaders === undefined) return view;
  const extension: ProviderExtension = {
    ...settingsOf(provider),
    managed_headers: managedHeaders,
    previous_cookie_secret: '',
    applications: domainApplications,
  };
  return { ...view, gatehouse: extension };
}

/** The eleven keys (spec/server.md 7.5); strict clients refuse any other. */
function oidcConfiguration(base: string, slug: string): OpenIDConnectConfiguration {
  return {
    issuer: `${base}/application/o/${slug}/`,
    authorization_endpoint: `${base}/application/o/authorize/`,
    token_endpoint: `${base}/application/o/token/`,
    userinfo_endpoint: `${base}/application/o/userinfo/`,
    end_session_endpoint: `${base}/application/o/${slug}/end-session/`,
    introspection_endpoint: `${base}/application/o/introspect/`,
    jwks_uri: `${base}/application/o/${slug}/jwks/`,
    response_types_supported: ['code'],
    id_token_signing_alg_values_supported: ['RS256'],
    subject_types_supported: ['public'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
  };
}
