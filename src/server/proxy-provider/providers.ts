/** Proxy providers: how an application is protected (spec/server.md 3). */
import { parseDuration } from '../../contract/durations.ts';
import { InvalidInput } from '../../contract/errors.ts';
import type { ProviderMode } from '../../contract/api.ts';
import { readProviderSettings } from '../../contract/provider-settings.ts';
import type { AccessRule, ProviderSettings } from '../../contract/provider-settings.ts';
import { providerChanged, providerConfigurationChanged } from '../access/changed.ts';
import type { Change } from '../context.ts';
import { endTokensOf } from '../directory/credentials.ts';
import { randomKey } from '../directory/tokens.ts';
import { modelRef } from '../events/audit.ts';
import { rememberHorizon } from '../events/identity-log.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { Keyring } from '../storage/keyring.ts';
import type { ProviderRow, ScopeMappingRow } from '../storage/rows.ts';
import { setTrusted } from './federation.ts';
import { attachForced } from './scope-mappings.ts';
import { settingsProblems } from './settings-problems.ts';
import { fieldProblems, placeProblems, submittedProblems } from './validate.ts';

export interface ProviderInput {
  name: string;
  authentication_flow?: string | null;
  authorization_flow: string;
  invalidation_flow: string;
  /** uuids; the built-in ones every proxy provider needs are added on each save */
  property_mappings?: readonly string[];
  mode?: ProviderMode;
  external_host: string;
  internal_host?: string;
  internal_host_ssl_validation?: boolean;
  certificate?: string | null;
  /** one RE2 expression per line */
  skip_path_regex?: string;
  intercept_header_auth?: boolean;
  basic_auth_enabled?: boolean;
  basic_auth_user_attribute?: string;
  basic_auth_password_attribute?: string;
  cookie_domain?: string;
  access_token_validity?: string;
  refresh_token_validity?: string;
  /** ids of the providers whose access tokens are accepted besides its own */
  jwt_federation_providers?: readonly number[];
}

const COOKIE_SECRET_ALPHABET = /[^A-Z0-9]/g;

export function providerById(db: Db, id: number): Promise<ProviderRow | undefined> {
  return db.selectFrom('proxy_provider').selectAll().where('id', '=', id).executeTakeFirst();
}

export function providerByClientId(db: Db, clientId: string): Promise<ProviderRow | undefined> {
  return db.selectFrom('proxy_provider').selectAll().where('client_id', '=', clientId).executeTakeFirst();
}

/** As outposts read it. */
export const modeOf = (provider: Pick<ProviderRow, 'mode'>): ProviderMode =>
  provider.mode === 'forward_single' || provider.mode === 'forward_domain' ? provider.mode : 'proxy';

/** Attached scope mappings, by scope name and name. */
export function mappingsOf(db: Db, providerId: number): Promise<ScopeMappingRow[]> {
  return db
    .selectFrom('scope_mapping')
    .innerJoin('provider_scope_mapping', 'provider_scope_mapping.mapping_uuid', 'scope_mapping.uuid')
    .where('provider_id', '=', providerId)
    .selectAll('scope_mapping')
    .orderBy('scope_name')
    .orderBy('name')
    .execute();
}

/** The secrets an outpost needs; never part of an admin answer. */
export function providerSecrets(
  keyring: Keyring,
  provider: ProviderRow,
): { client_secret: string; cookie_secret: string } {
  const open = (field: 'client_secret' | 'cookie_secret') =>
    keyring.open(provider[field], aad(field, provider.client_id));
  return { client_secret: open('client_secret'), cookie_secret: open('cookie_secret') };
}

/** Whole seconds an access token, and with it an outpost's session, lives. */
export const accessTokenSeconds = (provider: ProviderRow) => seconds(provider.access_token_validity);
export const refreshTokenSeconds = (provider: ProviderRow) => seconds(provider.refresh_token_validity);

/** @throws InvalidInput with every problem by field */
export async function createProvider(tx: Change, input: ProviderInput): Promise<ProviderRow> {
  await check(tx, input, undefined);
  const client_id = randomKey(40);
  const provider = await tx.db
    .insertInto('proxy_provider')
    .values({
      ...columns(input),
      client_id,
      client_secret: tx.keyring.seal(randomKey(128), aad('client_secret', client_id)),
      cookie_secret: tx.keyring.seal(newCookieSecret(), aad('cookie_secret', client_id)),
      created: tx.now,
      settings: '{}',
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await setMappings(tx.db, provider.id, input.property_mappings ?? []);
  await setTrusted(tx, provider.id, input.jwt_federation_providers);
  await tx.audit('model_created', { context: { model: ref(provider) } });
  return provider;
}

/** PUT and PATCH: changes what the patch names; credentials stay. */
export async function updateProvider(tx: Change, id: number, patch: Partial<ProviderInput>): Promise<ProviderRow> {
  const before = await providerById(tx.db, id);
  if (before === undefined) throw notFound('provider');
  await check(tx, patch, before);
  await setTrusted(tx, id, patch.jwt_federation_providers);
  return save(tx, before, columns({ ...inputOf(before), ...patch }), patch.property_mappings);
}

/**
 * Changes settings beyond the published ones.
 * @throws InvalidInput with every problem by field
 */
export async function configureProvider(
  tx: Change,
  id: number,
  patch: Partial<ProviderSettings>,
): Promise<ProviderRow> {
  const before = await providerById(tx.db, id);
  if (before === undefined) throw notFound('provider');
  const settings: ProviderSettings = { ...settingsOf(before), ...patch };
  const problems = settingsProblems(patch);
  const unknown = await unknownGroups(tx.db, patch.access_rules ?? []);
  if (unknown.length > 0) problems['access_rules'] = [...(problems['access_rules'] ?? []), ...unknown];
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
  return save(tx, before, { settings: JSON.stringify(settings) }, undefined);
}

/** A misspelt group would lock everybody out. */
async function unknownGroups(db: Db, rules: readonly AccessRule[]): Promise<string[]> {
  const named = [...new Set(rules.flatMap((rule) => rule.groups))];
  if (named.length === 0) return [];
  const rows = await db.selectFrom('group_').select('name').where('name', 'in', named).execute();
  const known = new Set(rows.map((row) => row.name));
  return named.filter((name) => !known.has(name)).map((name) => `There is no group called ${JSON.stringify(name)}.`);
}

/** Settings beyond the published ones, as stored. */
export const settingsOf = (provider: Pick<ProviderRow, 'settings'>): ProviderSettings =>
  readProviderSettings(JSON.parse(provider.settings)).settings;

export async function deleteProvider(tx: Change, id: number): Promise<void> {
  const provider = await providerById(tx.db, id);
  if (provider === undefined) throw notFound('provider');
  await rememberHorizon(tx.db, provider.access_token_validity, tx.now);
  await providerConfigurationChanged(tx, id);
  await endTokensOf(tx, provider.client_id);
  await tx.db.deleteFrom('proxy_provider').where('id', '=', id).execute();
  await providerChanged(tx, id);
  await tx.audit('model_deleted', { context: { model: ref(provider) } });
}

async function save(
  tx: Change,
  before: ProviderRow,
  values: Partial<ReturnType<typeof columns>> & { settings?: string },
  mappings: readonly string[] | undefined,
): Promise<ProviderRow> {
  if (values.access_token_validity !== undefined && values.access_token_validity !== before.access_token_validity) {
    await rememberHorizon(tx.db, before.access_token_validity, tx.now);
  }
  const provider = await tx.db
    .updateTable('proxy_provider')
    .set(values)
    .where('id', '=', before.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await setMappings(tx.db, provider.id, mappings);
  await providerConfigurationChanged(tx, provider.id);
  await providerChanged(tx, provider.id);
  await tx.audit('model_updated', { context: { model: ref(provider) } });
  return provider;
}

async function check(tx: Change, input: Partial<ProviderInput>, before: ProviderRow | undefined): Promise<void> {
  const whole = {
    id: before?.id ?? 0,
    mode: input.mode ?? before?.mode ?? 'proxy',
    external_host: input.external_host ?? before?.external_host ?? '',
    cookie_domain: input.cookie_domain ?? before?.cookie_domain ?? '',
  };
  const found = [submittedProblems(input), await placeProblems(tx, input, whole), fieldProblems(input)];
  const problems: Record<string, string[]> = Object.assign({}, ...found);
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}

async function setMappings(db: Db, id: number, mappings: readonly string[] | undefined): Promise<void> {
  if (mappings !== undefined) {
    await db.deleteFrom('provider_scope_mapping').where('provider_id', '=', id).execute();
    for (const mapping_uuid of new Set(mappings)) {
      await db.insertInto('provider_scope_mapping').values({ provider_id: id, mapping_uuid }).execute();
    }
  }
  await attachForced(db, id);
}

function columns(input: ProviderInput) {
  return {
    name: input.name,
    authentication_flow: input.authentication_flow ?? null,
    authorization_flow: input.authorization_flow,
    invalidation_flow: input.invalidation_flow,
    mode: input.mode ?? 'proxy',
    external_host: input.external_host,
    internal_host: input.internal_host ?? '',
    internal_host_ssl_validation: Number(input.internal_host_ssl_validation ?? true),
    certificate: input.certificate ?? null,
    skip_path_regex: input.skip_path_regex ?? '',
    intercept_header_auth: Number(input.intercept_header_auth ?? true),
    basic_auth_enabled: Number(input.basic_auth_enabled ?? false),
    basic_auth_user_attribute: input.basic_auth_user_attribute ?? '',
    basic_auth_password_attribute: input.basic_auth_password_attribute ?? '',
    cookie_domain: input.cookie_domain ?? '',
    access_token_validity: input.access_token_validity ?? 'hours=1',
    refresh_token_validity: input.refresh_token_validity ?? 'days=30',
  };
}

function inputOf(row: ProviderRow): ProviderInput {
  return {
    ...row,
    mode: modeOf(row),
    internal_host_ssl_validation: row.internal_host_ssl_validation === 1,
    intercept_header_auth: row.intercept_header_auth === 1,
    basic_auth_enabled: row.basic_auth_enabled === 1,
  };
}

/** 32 characters of A-Z0-9, as published. */
function newCookieSecret(): string {
  let secret = '';
  while (secret.length < 32) secret += randomKey().replace(COOKIE_SECRET_ALPHABET, '');
  return secret.slice(0, 32);
}

const aad = (field: string, clientId: string) => `proxy_provider.${field}:${clientId}`;
const seconds = (validity: string) => Math.max(1, Math.floor((parseDuration(validity) ?? 3_600_000) / 1000));
const ref = (provider: ProviderRow) => modelRef('proxyprovider', provider.id, provider.name);
