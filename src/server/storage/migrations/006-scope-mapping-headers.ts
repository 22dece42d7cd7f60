/** Headers that scope mappings add for single people: clients may never send them. */
export const SCOPE_MAPPING_HEADERS = `
-- kept as long as the mapping: people for whom it does not give the header must not be able to send it themselves
CREATE TABLE scope_mapping_header (
  mapping_uuid TEXT NOT NULL REFERENCES scope_mapping (uuid) ON DELETE CASCADE,
  name TEXT NOT NULL, -- folded
  PRIMARY KEY (mapping_uuid, name)
) STRICT, WITHOUT ROWID
`;
