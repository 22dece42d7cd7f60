/** Version 1: the tables of schema.ts. Never edited once released; changes are later versions. */
export const FIRST_TABLES = `
CREATE TABLE installation (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE data_key (id TEXT PRIMARY KEY, sealed TEXT NOT NULL, created INTEGER NOT NULL) STRICT;
CREATE TABLE signing_key (
  kid TEXT PRIMARY KEY, alg TEXT NOT NULL, private_jwk TEXT NOT NULL, public_jwk TEXT NOT NULL,
  created INTEGER NOT NULL, retired INTEGER, publish_until INTEGER
) STRICT;

CREATE TABLE user (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  uid TEXT NOT NULL UNIQUE,
  username TEXT NOT NULL CHECK (username <> ''),
  username_folded TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  password TEXT NOT NULL,
  password_change_date INTEGER NOT NULL,
  is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
  type TEXT NOT NULL,
  path TEXT NOT NULL,
  attributes TEXT NOT NULL CHECK (json_type(attributes) = 'object'),
  last_login INTEGER,
  date_joined INTEGER NOT NULL,
  last_updated INTEGER NOT NULL
) STRICT;
CREATE TABLE group_ (
  uuid TEXT PRIMARY KEY,
  num_pk INTEGER NOT NULL,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  is_superuser INTEGER NOT NULL CHECK (is_superuser IN (0, 1)),
  attributes TEXT NOT NULL CHECK (json_type(attributes) = 'object')
) STRICT;
CREATE TABLE group_parent (
  group_uuid TEXT NOT NULL REFERENCES group_ (uuid) ON DELETE CASCADE,
  parent_uuid TEXT NOT NULL REFERENCES group_ (uuid) ON DELETE CASCADE,
  PRIMARY KEY (group_uuid, parent_uuid),
  CHECK (group_uuid <> parent_uuid)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_parent_by_parent ON group_parent (parent_uuid);
CREATE TABLE group_member (
  group_uuid TEXT NOT NULL REFERENCES group_ (uuid) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  PRIMARY KEY (group_uuid, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_member_by_user ON group_member (user_id);

CREATE TABLE flow (
  uuid TEXT PRIMARY KEY, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL, title TEXT NOT NULL,
  designation TEXT NOT NULL, authentication TEXT NOT NULL
) STRICT;
CREATE TABLE scope_mapping (
  uuid TEXT PRIMARY KEY, managed TEXT UNIQUE, name TEXT NOT NULL UNIQUE, scope_name TEXT NOT NULL,
  description TEXT NOT NULL, expression TEXT NOT NULL
) STRICT;
CREATE TABLE proxy_provider (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  authentication_flow TEXT REFERENCES flow (uuid),
  authorization_flow TEXT NOT NULL REFERENCES flow (uuid),
  invalidation_flow TEXT NOT NULL REFERENCES flow (uuid),
  mode TEXT NOT NULL CHECK (mode IN ('proxy', 'forward_single', 'forward_domain')),
  external_host TEXT NOT NULL,
  internal_host TEXT NOT NULL,
  internal_host_ssl_validation INTEGER NOT NULL,
  certificate TEXT,
  skip_path_regex TEXT NOT NULL,
  intercept_header_auth INTEGER NOT NULL,
  basic_auth_enabled INTEGER NOT NULL,
  basic_auth_user_attribute TEXT NOT NULL,
  basic_auth_password_attribute TEXT NOT NULL,
  cookie_domain TEXT NOT NULL,
  access_token_validity TEXT NOT NULL,
  refresh_token_validity TEXT NOT NULL,
  client_id TEXT NOT NULL UNIQUE,
  client_secret TEXT NOT NULL,
  cookie_secret TEXT NOT NULL,
  host TEXT NOT NULL CHECK (host IN ('backend', 'original')),
  sign_out TEXT NOT NULL CHECK (sign_out IN ('application', 'everything')),
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE provider_scope_mapping (
  provider_id INTEGER NOT NULL REFERENCES proxy_provider (id) ON DELETE CASCADE,
  mapping_uuid TEXT NOT NULL REFERENCES scope_mapping (uuid) ON DELETE CASCADE,
  PRIMARY KEY (provider_id, mapping_uuid)
) STRICT, WITHOUT ROWID;

CREATE TABLE application (
  uuid TEXT PRIMARY KEY,
  name TEXT NOT NULL CHECK (name <> ''),
  slug TEXT NOT NULL UNIQUE,
  group_name TEXT NOT NULL,
  provider_id INTEGER UNIQUE REFERENCES proxy_provider (id) ON DELETE SET NULL,
  policy_engine_mode TEXT NOT NULL CHECK (policy_engine_mode IN ('any', 'all')),
  meta_launch_url TEXT NOT NULL,
  open_in_new_tab INTEGER NOT NULL,
  meta_icon TEXT NOT NULL,
  meta_description TEXT NOT NULL,
  meta_publisher TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE application_entitlement (
  uuid TEXT PRIMARY KEY,
  application_uuid TEXT NOT NULL REFERENCES application (uuid) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (name <> ''),
  attributes TEXT NOT NULL CHECK (json_type(attributes) = 'object'),
  UNIQUE (application_uuid, name)
) STRICT;
CREATE TABLE policy_binding (
  uuid TEXT PRIMARY KEY,
  target TEXT NOT NULL,
  -- A rule must never vanish silently with the group or person it names: their deletion takes bindings away in code,
  -- which also tells the outposts.
  group_uuid TEXT REFERENCES group_ (uuid) ON DELETE RESTRICT,
  user_id INTEGER REFERENCES user (id) ON DELETE RESTRICT,
  enabled INTEGER NOT NULL,
  negate INTEGER NOT NULL,
  order_ INTEGER NOT NULL,
  timeout INTEGER NOT NULL,
  failure_result INTEGER NOT NULL,
  CHECK ((group_uuid IS NULL) <> (user_id IS NULL))
) STRICT;
CREATE INDEX policy_binding_by_target ON policy_binding (target, order_);

CREATE TABLE outpost (
  uuid TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  type TEXT NOT NULL,
  config TEXT NOT NULL CHECK (json_type(config) = 'object'),
  refresh_interval_s INTEGER NOT NULL,
  managed TEXT UNIQUE,
  service_connection TEXT,
  user_id INTEGER NOT NULL UNIQUE REFERENCES user (id),
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE outpost_provider (
  outpost_uuid TEXT NOT NULL REFERENCES outpost (uuid) ON DELETE CASCADE,
  provider_id INTEGER NOT NULL REFERENCES proxy_provider (id) ON DELETE CASCADE,
  PRIMARY KEY (outpost_uuid, provider_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outpost_provider_by_provider ON outpost_provider (provider_id);

CREATE TABLE token (
  uuid TEXT PRIMARY KEY,
  identifier TEXT NOT NULL UNIQUE CHECK (identifier <> ''),
  key_hash TEXT NOT NULL UNIQUE,
  key TEXT NOT NULL,
  intent TEXT NOT NULL,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  description TEXT NOT NULL,
  expires INTEGER,
  expiring INTEGER NOT NULL,
  managed TEXT UNIQUE,
  created INTEGER NOT NULL
) STRICT;
CREATE INDEX token_by_user ON token (user_id);

CREATE TABLE session (
  sid TEXT PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  created INTEGER NOT NULL,
  last_used INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  last_ip TEXT NOT NULL,
  last_user_agent TEXT NOT NULL,
  auth TEXT NOT NULL,
  authorizations TEXT NOT NULL
) STRICT;
CREATE INDEX session_by_user ON session (user_id);
CREATE INDEX session_by_expires ON session (expires);
CREATE TABLE oidc_artefact (
  model TEXT NOT NULL,
  id TEXT NOT NULL,
  payload TEXT NOT NULL,
  grant_id TEXT,
  session_sid TEXT,
  client_id TEXT,
  user_id INTEGER,
  consumed INTEGER,
  expires INTEGER,
  PRIMARY KEY (model, id)
) STRICT;
CREATE INDEX oidc_artefact_by_grant ON oidc_artefact (grant_id);
CREATE INDEX oidc_artefact_by_session ON oidc_artefact (session_sid);
CREATE INDEX oidc_artefact_by_user ON oidc_artefact (user_id);
CREATE INDEX oidc_artefact_by_expires ON oidc_artefact (expires);

CREATE TABLE event (
  uuid TEXT PRIMARY KEY,
  user_json TEXT NOT NULL,
  action TEXT NOT NULL,
  app TEXT NOT NULL,
  context TEXT NOT NULL,
  client_ip TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX event_by_created ON event (created);
CREATE INDEX event_by_expires ON event (expires);
-- AUTOINCREMENT: a number is never given twice, also after pruning
CREATE TABLE identity_event (
  n INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, until INTEGER NOT NULL, created INTEGER NOT NULL
) STRICT;
`;
