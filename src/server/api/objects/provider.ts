/**
 * Published objects of proxy providers: Provider (the base, also nested in others) and ProxyProvider
 * (spec/server.md 3.1, 3.2, 10.2). Client secret and cookie secret are never in either.
 */
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import { PROVIDER_MODES } from '../../../contract/api.ts';
import { trustedProviders } from '../../proxy-provider/federation.ts';
import { redirectUris } from '../../proxy-provider/redirect-uris.ts';
import type { Database } from '../../storage/schema.ts';
import { uuidOut } from '../fields.ts';

type ProviderRow = Selectable<Database['proxy_provider']>;
type Db = Kysely<Database>;

const base = {
  pk: z.int(),
  name: z.string(),
  authentication_flow: uuidOut.nullable(),
  authorization_flow: uuidOut,
  invalidation_flow: uuidOut,
  property_mappings: z.array(uuidOut),
  component: z.literal('ak-provider-proxy-form'),
  assigned_application_slug: z.string().nullable(),
  assigned_application_name: z.string().nullable(),
  assigned_backchannel_application_slug: z.string().nullable(),
  assigned_backchannel_application_name: z.string().nullable(),
  verbose_name: z.string(),
  verbose_name_plural: z.string(),
  meta_model_name: z.string(),
};

export const Provider = z.strictObject(base);

const RedirectUri = z.strictObject({ matching_mode: z.literal('strict'), url: z.string() });

export const ProxyProvider = z.strictObject({
  ...base,
  client_id: z.string(),
  internal_host: z.string(),
  external_host: z.string(),
  internal_host_ssl_validation: z.boolean(),
  certificate: uuidOut.nullable(),
  skip_path_regex: z.string(),
  basic_auth_enabled: z.boolean(),
  basic_auth_password_attribute: z.string(),
  basic_auth_user_attribute: z.string(),
  mode: z.enum(PROVIDER_MODES),
  intercept_header_auth: z.boolean(),
  redirect_uris: z.array(RedirectUri),
  cookie_domain: z.string(),
  jwt_federation_sources: z.array(uuidOut),
  jwt_federation_providers: z.array(z.int()),
  access_token_validity: z.string(),
  refresh_token_validity: z.string(),
  outpost_set: z.array(z.string()),
});

/** What belongs to a set of providers: mappings, application, outposts. */
async function relations(db: Db, ids: readonly number[]) {
  const list = [...ids];
  const mappings = await db
    .selectFrom('provider_scope_mapping')
    .innerJoin('scope_mapping', 'scope_mapping.uuid', 'provider_scope_mapping.mapping_uuid')
    .where('provider_id', 'in', list)
    .select(['provider_id', 'mapping_uuid'])
    .orderBy('scope_mapping.scope_name')
    .orderBy('scope_mapping.name')
    .execute();
  const applications = await db
    .selectFrom('application')
    .where('provider_id', 'in', list)
    .select(['provider_id', 'slug', 'name'])
    .execute();
  const outposts = await db
    .selectFrom('outpost_provider')
    .innerJoin('outpost', 'outpost.uuid', 'outpost_provider.outpost_uuid')
    .where('provider_id', 'in', list)
    .select(['provider_id', 'outpost.name'])
    .orderBy('outpost.name')
    .execute();
  return {
    mappings: Map.groupBy(mappings, (row) => row.provider_id),
    trusted: await trustedProviders(db, list),
    applications: new Map(applications.map((row) => [row.provider_id, row])),
    outposts: Map.groupBy(outposts, (row) => row.provider_id),
  };
}

type Relations = Awaited<ReturnType<typeof relations>>;

const baseObject = (row: ProviderRow, related: Relations): z.output<typeof Provider> => {
  const application = related.applications.get(row.id);
  return {
    pk: row.id,
    name: row.name,
    authentication_flow: row.authentication_flow,
    authorization_flow: row.authorization_flow,
    invalidation_flow: row.invalidation_flow,
    property_mappings: (related.mappings.get(row.id) ?? []).map((mapping) => mapping.mapping_uuid),
    component: 'ak-provider-proxy-form',
    assigned_application_slug: application?.slug ?? null,
    assigned_application_name: application?.name ?? null,
    assigned_backchannel_application_slug: null,
    assigned_backchannel_application_name: null,
    verbose_name: 'Proxy Provider',
    verbose_name_plural: 'Proxy Providers',
    meta_model_name: 'authentik_providers_proxy.proxyprovider',
  };
};

/** Base objects of the providers with these ids, in no order. */
export async function providers(db: Db, ids: readonly number[]): Promise<Map<number, z.output<typeof Provider>>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('proxy_provider')
    .where('id', 'in', [...ids])
    .selectAll()
    .execute();
  const related = await relations(db, ids);
  return new Map(rows.map((row) => [row.id, baseObject(row, related)]));
}

export async function proxyProviders(db: Db, rows: readonly ProviderRow[]): Promise<z.output<typeof ProxyProvider>[]> {
  if (rows.length === 0) return [];
  const related = await relations(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => ({
    ...baseObject(row, related),
    client_id: row.client_id,
    internal_host: row.internal_host,
    external_host: row.external_host,
    internal_host_ssl_validation: row.internal_host_ssl_validation === 1,
    certificate: row.certificate,
    skip_path_regex: row.skip_path_regex,
    basic_auth_enabled: row.basic_auth_enabled === 1,
    basic_auth_password_attribute: row.basic_auth_password_attribute,
    basic_auth_user_attribute: row.basic_auth_user_attribute,
    mode: z.enum(PROVIDER_MODES).parse(row.mode),
    intercept_header_auth: row.intercept_header_auth === 1,
    redirect_uris: redirectUris(row.external_host).map((url) => ({ matching_mode: 'strict', url })),
    cookie_domain: row.cookie_domain,
    jwt_federation_sources: [],
    jwt_federation_providers: [...(related.trusted.get(row.id) ?? [])],
    access_token_validity: row.access_token_validity,
    refresh_token_validity: row.refresh_token_validity,
    outpost_set: (related.outposts.get(row.id) ?? []).map((outpost) => `Outpost ${outpost.name}`),
  }));
}
