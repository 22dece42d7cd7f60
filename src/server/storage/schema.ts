/**
 * Tables of the identity server. One schema for SQLite and PostgreSQL: flags are 0/1 integers, times are epoch
 * milliseconds, JSON is text, UUIDs are lower-case text, secrets are sealed text (keyring.ts).
 */
import type { Generated } from 'kysely';

export interface Database {
  /** key/value facts of this installation: `installation_id`, `identity_epoch`, `identity_former`, `learnt_host`, `setup_token_hash`, … */
  installation: { key: string; value: string };
  /** data keys, each sealed by the key derived from the secret key */
  data_key: { id: string; sealed: string; created: number };
  /** RS256 keys of the OpenID Provider; `retired` ones stay published until `publish_until` */
  signing_key: {
    kid: string;
    alg: string;
    private_jwk: string; // sealed
    public_jwk: string;
    created: number;
    retired: number | null;
    publish_until: number | null;
  };

  user: {
    id: Generated<number>;
    uuid: string;
    /** stable public identifier: hex SHA-256 of `<id>-<installation id>`, the default `sub` */
    uid: string;
    username: string;
    /** case-folded, unique: the limiter and the login look accounts up by it */
    username_folded: string;
    name: string;
    email: string;
    /** PHC string, or empty = no usable password */
    password: string;
    password_change_date: number;
    is_active: number;
    type: string;
    path: string;
    attributes: string; // JSON object
    last_login: number | null;
    date_joined: number;
    last_updated: number;
  };
  /** named `group_` because `group` is a reserved word */
  group_: {
    uuid: string;
    num_pk: number;
    name: string;
    is_superuser: number;
    attributes: string; // JSON object
  };
  group_parent: { group_uuid: string; parent_uuid: string };
  group_member: { group_uuid: string; user_id: number };

  application: {
    uuid: string;
    name: string;
    slug: string;
    group_name: string;
    provider_id: number | null; // unique
    policy_engine_mode: string;
    meta_launch_url: string;
    open_in_new_tab: number;
    meta_icon: string;
    meta_description: string;
    meta_publisher: string;
    created: number;
  };
  /** applications without provider of their own, on hosts below a domain-level provider */
  domain_application: {
    uuid: string;
    application_uuid: string;
    provider_id: number;
    /** lower case, without port; unique with provider and path */
    host: string;
    /** decoded, without slash at the end; `/` = the whole host */
    path: string;
  };
  application_entitlement: { uuid: string; application_uuid: string; name: string; attributes: string };
  policy_binding: {
    uuid: string;
    /** uuid of an application or an entitlement */
    target: string;
    group_uuid: string | null;
    user_id: number | null;
    enabled: number;
    negate: number;
    order_: number;
    timeout: number;
    failure_result: number;
  };

  proxy_provider: {
    id: Generated<number>;
    name: string;
    authentication_flow: string | null;
    authorization_flow: string;
    invalidation_flow: string;
    mode: string;
    external_host: string;
    internal_host: string;
    internal_host_ssl_validation: number;
    certificate: string | null;
    skip_path_regex: string;
    intercept_header_auth: number;
    basic_auth_enabled: number;
    basic_auth_user_attribute: string;
    basic_auth_password_attribute: string;
    cookie_domain: string;
    access_token_validity: string;
    refresh_token_validity: string;
    client_id: string; // unique
    client_secret: string; // sealed
    cookie_secret: string; // sealed
    created: number;
    /** ours: JSON object, contract/provider-settings.ts; what is missing has its default */
    settings: string;
    /** the account machines act as that show the client secret; made at its first use */
    machine_account: number | null;
  };
  /** whose access tokens a provider accepts besides its own */
  provider_federation: { provider_id: number; trusted_id: number };
  /** certificates that outposts serve; `proxy_provider.certificate` names them */
  certificate_keypair: {
    uuid: string;
    name: string; // unique
    /** PEM, the chain as it was given */
    certificate: string;
    /** sealed PEM, or empty = only the certificate */
    key: string;
    managed: string | null; // unique
    created: number;
  };
  /** mappings attached to a provider beyond none; built-in ones are rows of scope_mapping too */
  provider_scope_mapping: { provider_id: number; mapping_uuid: string };
  scope_mapping: {
    uuid: string;
    managed: string | null; // unique
    name: string;
    scope_name: string;
    description: string;
    expression: string;
  };
  /** folded names of headers that a mapping adds (`ak_proxy.user_attributes.additionalHeaders`), as far as known */
  scope_mapping_header: { mapping_uuid: string; name: string };
  /** the built-in flows: stable uuids that providers refer to */
  flow: { uuid: string; slug: string; name: string; title: string; designation: string; authentication: string };

  outpost: {
    uuid: string;
    name: string;
    type: string;
    config: string; // JSON object, returned unchanged
    refresh_interval_s: number;
    managed: string | null; // unique
    service_connection: string | null;
    user_id: number;
    created: number;
  };
  outpost_provider: { outpost_uuid: string; provider_id: number };
  /** what changed in the configuration of an outpost (outposts/changes.ts) */
  outpost_change: {
    outpost_uuid: string;
    /** 1, 2, 3 … for each outpost */
    n: number;
    /** null = everything */
    provider_id: number | null;
    /** random: a restored database gives the same numbers again */
    mark: string;
  };

  token: {
    uuid: string;
    identifier: string; // unique
    /** hex SHA-256 of the key: how a presented key is found */
    key_hash: string; // unique
    key: string; // sealed
    intent: string;
    user_id: number;
    description: string;
    expires: number | null;
    expiring: number;
    managed: string | null;
    created: number;
  };

  /** a signed-in browser. The key itself is never stored. */
  session: {
    /** hex SHA-256 of the session key = the `sid` claim */
    sid: string;
    /** public id in the API */
    uuid: string;
    user_id: number;
    created: number;
    last_used: number;
    /** end at the latest, whatever the use */
    expires: number;
    last_ip: string;
    last_user_agent: string;
    /** how the person proved who they are: JSON of auth_method, amr */
    auth: string;
    /** clients this session has grants for, as oidc-provider keeps them: JSON */
    authorizations: string;
  };
  /** artefacts of the OpenID Provider: codes, grants, refresh and access tokens, interactions */
  oidc_artefact: {
    model: string;
    id: string; // primary key with model
    payload: string; // sealed JSON
    grant_id: string | null;
    session_sid: string | null;
    client_id: string | null;
    user_id: number | null;
    /** of what may be made from it: the uid of an access token */
    handle: string | null;
    consumed: number | null;
    expires: number | null;
  };

  /** what a token was made from when that was no login, over all steps: it ends with each */
  oidc_artefact_origin: {
    model: string;
    artefact_id: string;
    /** the uuid of an app password, the uid of a token, the id of a grant; primary key with the others */
    handle: string;
  };

  /** audit log */
  event: {
    uuid: string;
    user_json: string; // {pk, username, email}
    action: string;
    app: string;
    context: string; // JSON, cleansed
    client_ip: string;
    created: number;
    expires: number;
  };
  /** what outposts must act on (contract/extension.ts) */
  identity_event: { n: Generated<number>; body: string; until: number; created: number };
}
