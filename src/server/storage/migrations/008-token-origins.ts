/** Everything a token was made from, over any number of steps: it ends with each. */
export const TOKEN_ORIGINS = `
CREATE TABLE oidc_artefact_origin (
  model TEXT NOT NULL,
  artefact_id TEXT NOT NULL,
  -- the uuid of an app password, the uid of an access token, the id of a grant
  handle TEXT NOT NULL,
  PRIMARY KEY (handle, model, artefact_id),
  FOREIGN KEY (model, artefact_id) REFERENCES oidc_artefact (model, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX oidc_artefact_origin_by_artefact ON oidc_artefact_origin (model, artefact_id);
INSERT INTO oidc_artefact_origin
  SELECT model, id, credential FROM oidc_artefact WHERE credential IS NOT NULL
  UNION SELECT model, id, grant_id FROM oidc_artefact WHERE credential IS NOT NULL AND grant_id IS NOT NULL;
UPDATE oidc_artefact SET grant_id = NULL WHERE credential IS NOT NULL;
DROP INDEX oidc_artefact_by_credential;
ALTER TABLE oidc_artefact DROP COLUMN credential;
-- handle of what may be made from this row: the uid of an access token
ALTER TABLE oidc_artefact ADD COLUMN handle TEXT;
CREATE INDEX oidc_artefact_by_handle ON oidc_artefact (handle)
`;
