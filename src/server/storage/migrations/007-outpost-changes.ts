/** What changed in the configuration of an outpost, so that it need not fetch all of it anew. */
export const OUTPOST_CHANGES = `
CREATE TABLE outpost_change (
  outpost_uuid TEXT NOT NULL REFERENCES outpost (uuid) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  -- NULL: everything
  provider_id INTEGER,
  -- random: a restored database gives the same numbers again
  mark TEXT NOT NULL,
  PRIMARY KEY (outpost_uuid, n)
) STRICT;
INSERT INTO outpost_change SELECT uuid, 1, NULL, lower(hex(randomblob(8))) FROM outpost
`;
