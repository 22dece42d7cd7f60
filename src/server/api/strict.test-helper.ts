/**
 * Strict decoders for tests: each key set is spelled out from the published contract (spec/server.md 3.2, 7, 8.1,
 * 10.2 and the models of the published 2026.5 client), independent of the schemas of the API. A missing key, an unknown
 * key or a value of another type fails.
 */
import {
  fail,
  is,
  text,
  int,
  bool,
  uuid,
  time,
  json,
  nothing,
  one,
  nullable,
  list,
  object,
  having,
} from './checks.test-helper.ts';
import type { Check } from './checks.test-helper.ts';

const propertyMapping = {
  pk: uuid,
  managed: nullable(text),
  name: text,
  expression: text,
  component: one('ak-property-mapping-provider-scope-form'),
  verbose_name: one('Scope Mapping'),
  verbose_name_plural: text,
  meta_model_name: text,
};

/** Args of each instruction a server sends; of any other there is none (spec/server.md 9). */
const ARGS: Readonly<Record<number, Check>> = {
  0: object({}),
  2: object({}),
  3: object({
    type: one('event.provider.specific'),
    sub_type: one('logout'),
    session_id: is('a SHA-256', (v) => /^[0-9a-f]{64}$/.test(String(v))),
  }),
  4: object({ type: one('event.session.end'), session_id: is('a SHA-256', (v) => /^[0-9a-f]{64}$/.test(String(v))) }),
};

const page = (item: Check): Check =>
  object({
    pagination: object({
      next: int,
      previous: int,
      count: int,
      current: int,
      total_pages: int,
      start_index: int,
      end_index: int,
    }),
    results: list(item),
    autocomplete: object({}),
  });

const partialGroup = object({ pk: uuid, num_pk: int, name: text, is_superuser: bool, attributes: json });
const relatedGroup = object({ pk: uuid, name: text, is_superuser: bool, attributes: json, group_uuid: uuid });

const partialUser = object({
  pk: int,
  username: text,
  name: text,
  is_active: bool,
  last_login: nullable(time),
  email: text,
  attributes: json,
  uid: text,
});

const userType = one('internal', 'external', 'service_account', 'internal_service_account');

const user = object({
  pk: int,
  username: text,
  name: text,
  is_active: bool,
  last_login: nullable(time),
  date_joined: time,
  is_superuser: bool,
  groups: list(uuid),
  groups_obj: nullable(list(partialGroup)),
  roles: list(uuid),
  roles_obj: nullable(list(json)),
  email: text,
  avatar: text,
  attributes: json,
  uid: text,
  path: text,
  type: userType,
  uuid,
  password_change_date: time,
  last_updated: time,
});

const named = object({ name: text, pk: text });

const provider = {
  pk: int,
  name: text,
  authentication_flow: nullable(uuid),
  authorization_flow: uuid,
  invalidation_flow: uuid,
  property_mappings: list(uuid),
  component: one('ak-provider-proxy-form'),
  assigned_application_slug: nullable(text),
  assigned_application_name: nullable(text),
  assigned_backchannel_application_slug: nullable(text),
  assigned_backchannel_application_name: nullable(text),
  verbose_name: one('Proxy Provider'),
  verbose_name_plural: one('Proxy Providers'),
  meta_model_name: one('authentik_providers_proxy.proxyprovider'),
};

const mode = one('proxy', 'forward_single', 'forward_domain');

const openIdConfiguration = object({
  issuer: text,
  authorization_endpoint: text,
  token_endpoint: text,
  userinfo_endpoint: text,
  end_session_endpoint: text,
  introspection_endpoint: text,
  jwks_uri: text,
  response_types_supported: list(text),
  id_token_signing_alg_values_supported: list(text),
  subject_types_supported: list(text),
  token_endpoint_auth_methods_supported: list(text),
});

const proxyOutpostConfig = {
  pk: int,
  name: text,
  internal_host: text,
  external_host: text,
  internal_host_ssl_validation: bool,
  client_id: text,
  client_secret: text,
  oidc_configuration: openIdConfiguration,
  cookie_secret: text,
  certificate: nullable(uuid),
  skip_path_regex: text,
  basic_auth_enabled: bool,
  basic_auth_password_attribute: text,
  basic_auth_user_attribute: text,
  mode,
  cookie_domain: text,
  access_token_validity: is('a number or null', (v) => v === null || typeof v === 'number'),
  intercept_header_auth: bool,
  scopes_to_request: list(text),
  assigned_application_slug: text,
  assigned_application_name: text,
};

/** One decoder per published object. */
export const strict = {
  certificate: object({
    pk: uuid,
    name: text,
    fingerprint_sha256: nullable(text),
    fingerprint_sha1: nullable(text),
    cert_expiry: nullable(time),
    cert_subject: nullable(text),
    private_key_available: bool,
    key_type: nullable(one('rsa', 'ec', 'dsa', 'ed25519', 'ed448')),
    certificate_download_url: text,
    private_key_download_url: text,
    managed: nullable(text),
  }),
  user,
  userSelf: object({
    user: object({
      pk: int,
      username: text,
      name: text,
      is_active: bool,
      is_superuser: bool,
      groups: list(named),
      roles: list(named),
      email: text,
      avatar: text,
      uid: text,
      settings: json,
      type: userType,
      system_permissions: list(text),
    }),
  }),
  group: object({
    pk: uuid,
    num_pk: int,
    name: text,
    is_superuser: bool,
    parents: list(uuid),
    parents_obj: nullable(list(relatedGroup)),
    users: list(int),
    users_obj: nullable(list(partialUser)),
    attributes: json,
    roles: list(uuid),
    roles_obj: list(json),
    inherited_roles_obj: nullable(list(json)),
    children: list(uuid),
    children_obj: nullable(list(relatedGroup)),
  }),
  application: object({
    pk: uuid,
    name: text,
    slug: text,
    provider: nullable(int),
    provider_obj: nullable(object(provider)),
    backchannel_providers: list(int),
    backchannel_providers_obj: list(object(provider)),
    launch_url: nullable(text),
    open_in_new_tab: bool,
    meta_launch_url: text,
    meta_icon: text,
    meta_icon_url: nullable(text),
    meta_icon_themed_urls: nullable(json),
    meta_description: text,
    meta_publisher: text,
    policy_engine_mode: one('all', 'any'),
    group: text,
  }),
  accessResult: object({
    passing: bool,
    messages: list(text),
    log_messages: list(object({ timestamp: time, log_level: text, logger: text, event: text, attributes: json })),
  }),
  token: object({
    pk: uuid,
    managed: nullable(text),
    identifier: text,
    intent: one('verification', 'api', 'recovery', 'app_password'),
    user: int,
    user_obj: user,
    description: text,
    expires: time,
    expiring: bool,
  }),
  session: object({
    uuid,
    current: bool,
    user_agent: object({
      device: object({ brand: nullable(text), family: text, model: nullable(text) }),
      os: object({
        family: text,
        major: nullable(text),
        minor: nullable(text),
        patch: nullable(text),
        patch_minor: nullable(text),
      }),
      user_agent: object({ family: text, major: text, minor: text, patch: text }),
      string: text,
    }),
    geo_ip: nothing,
    asn: nothing,
    user: int,
    last_ip: text,
    last_user_agent: text,
    last_used: time,
    expires: time,
  }),
  proxyProvider: object({
    ...provider,
    client_id: text,
    internal_host: text,
    external_host: text,
    internal_host_ssl_validation: bool,
    certificate: nullable(uuid),
    skip_path_regex: text,
    basic_auth_enabled: bool,
    basic_auth_password_attribute: text,
    basic_auth_user_attribute: text,
    mode,
    intercept_header_auth: bool,
    redirect_uris: list(object({ matching_mode: one('strict'), url: text })),
    cookie_domain: text,
    jwt_federation_sources: list(uuid),
    jwt_federation_providers: list(int),
    access_token_validity: text,
    refresh_token_validity: text,
    outpost_set: list(text),
  }),
  outpost: object({
    pk: uuid,
    name: text,
    type: one('proxy'),
    providers: list(int),
    providers_obj: list(object(provider)),
    service_connection: nullable(uuid),
    service_connection_obj: object({
      pk: uuid,
      name: text,
      component: text,
      verbose_name: text,
      verbose_name_plural: text,
      meta_model_name: text,
    }),
    refresh_interval_s: int,
    token_identifier: text,
    config: json,
    managed: nullable(text),
  }),
  health: list(
    object({
      uid: text,
      last_seen: time,
      version: text,
      golang_version: text,
      openssl_enabled: bool,
      openssl_version: text,
      fips_enabled: nullable(bool),
      version_should: text,
      version_outdated: bool,
      build_hash: text,
      build_hash_should: text,
      hostname: text,
    }),
  ),
  proxyOutpostConfig: object(proxyOutpostConfig),
  ourProxyOutpostConfig: object({
    ...proxyOutpostConfig,
    gatehouse: object({
      host: one('backend', 'original'),
      sign_out: one('application', 'everything'),
      access_rules: list(
        object({
          match: one('glob', 'regex'),
          pattern: text,
          methods: list(text),
          effect: one('public', 'signed_in', 'groups', 'deny'),
          groups: list(text),
        }),
      ),
      access_default: one('signed_in', 'public', 'deny'),
      login_answer: one('by_client', 'published'),
      preflight: one('login', 'pass', 'answer'),
      preflight_origins: list(text),
      public_assets: bool,
      websocket_origins: list(text),
      upstream_ca: text,
      header_presets: list(one('remote', 'x_forwarded', 'x_auth_request')),
      header_claims: list(object({ name: text, claim: text })),
      backend_hosts: list(text),
      managed_headers: list(text),
      previous_cookie_secret: text,
      applications: list(object({ slug: text, name: text, host: text, path: text })),
    }),
  }),
  domainApplication: object({
    pk: uuid,
    application: uuid,
    application_slug: text,
    application_name: text,
    provider: int,
    provider_name: text,
    host: text,
    path: text,
  }),
  binding: object({
    pk: uuid,
    policy: nullable(uuid),
    group: nullable(uuid),
    user: nullable(int),
    policy_obj: nullable(json),
    group_obj: nullable(partialGroup),
    user_obj: nullable(partialUser),
    target: uuid,
    negate: bool,
    enabled: bool,
    order: int,
    timeout: int,
    failure_result: bool,
  }),
  flow: object({
    pk: uuid,
    policybindingmodel_ptr_id: uuid,
    name: text,
    slug: text,
    title: text,
    designation: one('authentication', 'authorization', 'invalidation', 'stage_configuration'),
    background: text,
    background_url: text,
    background_themed_urls: nullable(json),
    stages: list(uuid),
    policies: list(uuid),
    cache_count: int,
    policy_engine_mode: one('all', 'any'),
    compatibility_mode: bool,
    export_url: text,
    layout: one('stacked'),
    denied_action: one('message_continue'),
    authentication: one('none', 'require_authenticated', 'require_unauthenticated', 'require_superuser'),
  }),
  propertyMapping: object(propertyMapping),
  scopeMapping: object({ ...propertyMapping, scope_name: text, description: text }),
  /** beside the published `result` and `successful` what only we say */
  propertyMappingTest: object({
    result: text,
    successful: bool,
    line: nullable(int),
    milliseconds: is('a number', (v) => typeof v === 'number'),
    log: list(object({ level: text, event: text, fields: json })),
    messages: list(text),
  }),
  event: object({
    pk: uuid,
    user: json,
    action: text,
    app: text,
    context: json,
    client_ip: nullable(text),
    created: time,
    expires: time,
    brand: json,
  }),
  /** a frame of the control link, from the server */
  frame: (value, at) => {
    object({ instruction: int, args: json })(value, at);
    const { instruction, args } = value as { instruction: number; args: unknown };
    (ARGS[instruction] ?? fail(at, 'a published instruction', instruction))(args, `${at}.args`);
  },
  /** of `view_certificate/` and `view_private_key/` */
  data: object({ data: text }),
  /** of the token endpoint, for a code without `offline_access` */
  tokenAnswer: object({
    access_token: text,
    id_token: text,
    token_type: one('Bearer'),
    scope: text,
    expires_in: int,
  }),
  /** claims outposts read, as they must be there (spec/server.md 5.7, spec/outpost.md 12) */
  proxyClaims: having(
    {
      iss: text,
      sub: text,
      aud: text,
      exp: int,
      iat: int,
      auth_time: int,
      acr: one('goauthentik.io/providers/oauth2/default'),
      email: text,
      email_verified: bool,
      name: text,
      given_name: text,
      preferred_username: text,
      nickname: text,
      groups: list(text),
      entitlements: list(text),
      roles: list(text),
      ak_proxy: having({ user_attributes: json, is_superuser: bool }, { backend_override: text, host_header: text }),
    },
    { sid: text, amr: list(text), nonce: text, at_hash: text, c_hash: text, azp: text, uid: text, scope: text },
  ),
  rootConfig: object({
    error_reporting: object({
      enabled: bool,
      sentry_dsn: text,
      environment: text,
      send_pii: bool,
      traces_sample_rate: is('a number', (v) => typeof v === 'number'),
    }),
    capabilities: list(text),
    cache_timeout: int,
    cache_timeout_flows: int,
    cache_timeout_policies: int,
  }),
} satisfies Record<string, Check>;

/** Fails unless the body is exactly this object. */
export function decode<T = Record<string, unknown>>(check: Check, body: unknown): T {
  check(body, 'body');
  return body as T;
}

/** As {@link decode}, for a list. @returns its entries */
export function decodePage<T = Record<string, unknown>>(check: Check, body: unknown): T[] {
  page(check)(body, 'body');
  return (body as { results: T[] }).results;
}
