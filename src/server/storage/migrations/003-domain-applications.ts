/** Applications bound to hosts and paths below a domain-level provider. */
export const DOMAIN_APPLICATIONS = `
CREATE TABLE domain_application (
  uuid TEXT PRIMARY KEY,
  -- Its rules must not vanish silently with the application: the place would be open to whoever may use the domain.
  application_uuid TEXT NOT NULL REFERENCES application (uuid) ON DELETE RESTRICT,
  provider_id INTEGER NOT NULL REFERENCES proxy_provider (id) ON DELETE CASCADE,
  host TEXT NOT NULL CHECK (host <> ''),
  path TEXT NOT NULL CHECK (path LIKE '/%'),
  UNIQUE (provider_id, host, path)
) STRICT;
CREATE INDEX domain_application_by_application ON domain_application (application_uuid)
`;
