/** Settings of providers beyond the published ones become one JSON object. */
export const PROVIDER_SETTINGS = `
ALTER TABLE proxy_provider ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
UPDATE proxy_provider SET settings = json_object('host', host, 'sign_out', sign_out);
ALTER TABLE proxy_provider DROP COLUMN host;
ALTER TABLE proxy_provider DROP COLUMN sign_out
`;
