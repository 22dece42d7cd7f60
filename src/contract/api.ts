/**
 * Objects of the published outpost API (spec/server.md 7). Types only: the server builds exactly these key sets,
 * {@link file://./decode.ts} reads them on the outpost's side.
 */
import type { DomainApplication } from './domain-applications.ts';
import type { ProviderSettings } from './provider-settings.ts';

/** Page envelope of every list (spec/server.md 7.1). */
export interface Page<T> {
  pagination: {
    next: number;
    previous: number;
    count: number;
    current: number;
    total_pages: number;
    start_index: number;
    end_index: number;
  };
  results: T[];
  autocomplete: Record<string, never>;
}

export const EMBEDDED_OUTPOST_MANAGED = 'goauthentik.io/outposts/embedded';
export const EMBEDDED_OUTPOST_NAME = 'authentik Embedded Outpost';

export const PROVIDER_MODES = ['proxy', 'forward_single', 'forward_domain'] as const;
export type ProviderMode = (typeof PROVIDER_MODES)[number];

/** The parts of `GET /outposts/instances/` an outpost uses (spec/server.md 7.2). */
export interface OutpostInstance {
  pk: string;
  name: string;
  refresh_interval_s: number;
  config: OutpostConfig;
  managed: string | null;
}

/** The parts of an outpost's `config` an outpost uses (spec/server.md 6.1). */
export interface OutpostConfig {
  authentik_host: string;
  authentik_host_browser: string;
  authentik_host_insecure: boolean;
  log_level: string;
}

/** Eleven keys, exactly (spec/server.md 7.5). */
export interface OpenIDConnectConfiguration {
  issuer: string;
  authorization_endpoint: string;
  token_endpoint: string;
  userinfo_endpoint: string;
  end_session_endpoint: string;
  introspection_endpoint: string;
  jwks_uri: string;
  response_types_supported: string[];
  id_token_signing_alg_values_supported: string[];
  subject_types_supported: string[];
  token_endpoint_auth_methods_supported: string[];
}

/** Published default of `access_token_validity`, seconds. */
export const DEFAULT_ACCESS_TOKEN_VALIDITY = 3600;

/** Items of `GET /outposts/proxy/` (spec/server.md 7.4), and our extension field. */
export interface ProxyOutpostConfig {
  pk: number;
  name: string;
  internal_host: string;
  external_host: string;
  internal_host_ssl_validation: boolean;
  client_id: string;
  client_secret: string;
  oidc_configuration: OpenIDConnectConfiguration;
  cookie_secret: string;
  certificate: string | null;
  skip_path_regex: string;
  basic_auth_enabled: boolean;
  basic_auth_password_attribute: string;
  basic_auth_user_attribute: string;
  mode: ProviderMode;
  cookie_domain: string;
  /** seconds; null means {@link DEFAULT_ACCESS_TOKEN_VALIDITY} */
  access_token_validity: number | null;
  intercept_header_auth: boolean;
  scopes_to_request: string[];
  assigned_application_slug: string;
  assigned_application_name: string;
  /** only in answers to our own outposts (extension.ts) */
  gatehouse?: ProviderExtension;
}

/** What our server tells our outposts about a provider beyond the published keys. */
export interface ProviderExtension extends ProviderSettings {
  /** folded names of headers operators add for people of this provider: clients may never send them */
  managed_headers: string[];
  /** earlier cookie secret, accepted while its sessions live; empty if none */
  previous_cookie_secret: string;
  /** applications below a domain-level provider, with access rules of their own */
  applications: DomainApplication[];
}
