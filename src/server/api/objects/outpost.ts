/** Published objects of outposts: Outpost, OutpostHealth, ProxyOutpostConfig (spec/server.md 7.2, 7.4, 7.7). */
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import { PROVIDER_MODES } from '../../../contract/api.ts';
import type { Database } from '../../storage/schema.ts';
import { jsonObject, timestamp, uuidOut } from '../fields.ts';
import { ProviderSettings } from './provider-settings.ts';
import { Provider, providers } from './provider.ts';

export const ServiceConnection = z.strictObject({
  pk: uuidOut,
  name: z.string(),
  component: z.string(),
  verbose_name: z.string(),
  verbose_name_plural: z.string(),
  meta_model_name: z.string(),
});

export const Outpost = z.strictObject({
  pk: uuidOut,
  name: z.string(),
  type: z.literal('proxy'),
  providers: z.array(z.int()),
  providers_obj: z.array(Provider),
  service_connection: uuidOut.nullable(),
  service_connection_obj: ServiceConnection,
  refresh_interval_s: z.int(),
  token_identifier: z.string(),
  config: jsonObject,
  managed: z.string().nullable(),
});

/** What an outpost needs of it: without the list of its providers, which may be thousands. */
export const OutpostInstance = Outpost.pick({
  pk: true,
  name: true,
  refresh_interval_s: true,
  config: true,
  managed: true,
});

export const outpostInstance = (row: Selectable<Database['outpost']>): z.output<typeof OutpostInstance> => ({
  pk: row.uuid,
  name: row.name,
  refresh_interval_s: row.refresh_interval_s,
  config: JSON.parse(row.config) as Record<string, unknown>,
  managed: row.managed,
});

export const OutpostHealth = z.strictObject({
  uid: z.string(),
  last_seen: timestamp,
  version: z.string(),
  golang_version: z.string(),
  openssl_enabled: z.boolean(),
  openssl_version: z.string(),
  fips_enabled: z.boolean().nullable(),
  version_should: z.string(),
  version_outdated: z.boolean(),
  build_hash: z.string(),
  build_hash_should: z.string(),
  hostname: z.string(),
});

const OpenIDConnectConfiguration = z.strictObject({
  issuer: z.string(),
  authorization_endpoint: z.string(),
  token_endpoint: z.string(),
  userinfo_endpoint: z.string(),
  end_session_endpoint: z.string(),
  introspection_endpoint: z.string(),
  jwks_uri: z.string(),
  response_types_supported: z.array(z.string()),
  id_token_signing_alg_values_supported: z.array(z.string()),
  subject_types_supported: z.array(z.string()),
  token_endpoint_auth_methods_supported: z.array(z.string()),
});

export const ProxyOutpostConfig = z.strictObject({
  pk: z.int(),
  name: z.string(),
  internal_host: z.string(),
  external_host: z.string(),
  internal_host_ssl_validation: z.boolean(),
  client_id: z.string(),
  client_secret: z.string(),
  oidc_configuration: OpenIDConnectConfiguration,
  cookie_secret: z.string(),
  certificate: uuidOut.nullable(),
  skip_path_regex: z.string(),
  basic_auth_enabled: z.boolean(),
  basic_auth_password_attribute: z.string(),
  basic_auth_user_attribute: z.string(),
  mode: z.enum(PROVIDER_MODES),
  cookie_domain: z.string(),
  access_token_validity: z.number().nullable(),
  intercept_header_auth: z.boolean(),
  scopes_to_request: z.array(z.string()),
  assigned_application_slug: z.string(),
  assigned_application_name: z.string(),
  gatehouse: z
    .strictObject({
      ...ProviderSettings.shape,
      managed_headers: z.array(z.string()),
      previous_cookie_secret: z.string(),
      applications: z.array(z.strictObject({ slug: z.string(), name: z.string(), host: z.string(), path: z.string() })),
    })
    .optional()
    .meta({ description: 'Only in answers to outposts that ask for the extension.' }),
});

/** Stands where a null would break clients of before 2026 (spec/server.md 7.2). */
const NO_CONNECTION: z.output<typeof ServiceConnection> = {
  pk: '00000000-0000-0000-0000-000000000000',
  name: '',
  component: '',
  verbose_name: '',
  verbose_name_plural: '',
  meta_model_name: '',
};

export async function outposts(
  db: Kysely<Database>,
  rows: readonly Selectable<Database['outpost']>[],
): Promise<z.output<typeof Outpost>[]> {
  if (rows.length === 0) return [];
  const links = await db
    .selectFrom('outpost_provider')
    .where(
      'outpost_uuid',
      'in',
      rows.map((row) => row.uuid),
    )
    .selectAll()
    .orderBy('provider_id')
    .execute();
  const byOutpost = Map.groupBy(links, (link) => link.outpost_uuid);
  const bases = await providers(db, [...new Set(links.map((link) => link.provider_id))]);
  return rows.map((row) => {
    const ids = (byOutpost.get(row.uuid) ?? []).map((link) => link.provider_id);
    return {
      pk: row.uuid,
      name: row.name,
      type: 'proxy',
      providers: ids,
      providers_obj: ids.flatMap((id) => bases.get(id) ?? []),
      service_connection: row.service_connection,
      service_connection_obj: NO_CONNECTION,
      refresh_interval_s: row.refresh_interval_s,
      token_identifier: `ak-outpost-${row.uuid}-api`,
      config: JSON.parse(row.config) as Record<string, unknown>,
      managed: row.managed,
    };
  });
}
