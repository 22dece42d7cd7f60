/** Certificates that outposts serve. */
export const CERTIFICATES = `
CREATE TABLE certificate_keypair (
  uuid TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  certificate TEXT NOT NULL,
  key TEXT NOT NULL,
  managed TEXT UNIQUE,
  created INTEGER NOT NULL
) STRICT
`;
