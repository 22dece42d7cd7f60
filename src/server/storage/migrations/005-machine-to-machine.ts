/** Tokens made from credentials instead of logins. */
export const MACHINE_TO_MACHINE = `
-- handle of what a token was made from: it dies with it
ALTER TABLE oidc_artefact ADD COLUMN credential TEXT;
CREATE INDEX oidc_artefact_by_credential ON oidc_artefact (credential);
-- the account machines act as that show the client secret
ALTER TABLE proxy_provider ADD COLUMN machine_account INTEGER REFERENCES user (id) ON DELETE SET NULL;
-- whose access tokens a provider accepts besides its own
CREATE TABLE provider_federation (
  provider_id INTEGER NOT NULL REFERENCES proxy_provider (id) ON DELETE CASCADE,
  trusted_id INTEGER NOT NULL REFERENCES proxy_provider (id) ON DELETE CASCADE,
  PRIMARY KEY (provider_id, trusted_id)
) STRICT;
CREATE INDEX provider_federation_by_trusted ON provider_federation (trusted_id)
`;
