/** Checks a proxy provider before it is saved (spec/server.md 3.1). */
import { parseDuration } from '../../contract/durations.ts';
import { skipLineProblems } from '../../rules/skip-lines.ts';
import { servingProblem } from '../certificates/keypairs.ts';
import type { Change } from '../context.ts';
import { isBelow } from '../../rules/cookie-domain.ts';
import { cookieDomainProblem, plainDomain } from './cookie-domain.ts';
import { unknownProviders } from './federation.ts';
import type { ProviderRow } from '../storage/rows.ts';
import type { ProviderInput } from './providers.ts';

type Problems = Record<string, string[]>;
/** White space, controls and what else RFC 3986 leaves out of an address. */
const NO_ADDRESS = /[\s\u0000-\u001f\u007f"<>\\^`{|}]/;
/** As the URL parser writes it: lower case, other scripts as punycode. */
const HOST_NAME = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?)$/;
/** What the provider will be, the rest filled in. */
type Whole = Pick<ProviderRow, 'id' | 'mode' | 'external_host' | 'cookie_domain'>;

/**
 * Rules about the body as it was sent. As published they hold for PATCH too: a change that leaves `mode` away is
 * one of a proxy and must name `internal_host`; switching Basic on must name both attributes.
 */
export function submittedProblems(body: Partial<ProviderInput>): Problems {
  const problems: Problems = {};
  if ((body.mode ?? 'proxy') === 'proxy' && (body.internal_host ?? '') === '') {
    problems['internal_host'] = ['Internal host cannot be empty when forward auth is disabled.'];
  }
  if (body.basic_auth_enabled === true && !(body.basic_auth_user_attribute && body.basic_auth_password_attribute)) {
    problems['basic_auth_enabled'] = ['User and password attributes must be set when basic auth is enabled.'];
  }
  return problems;
}

/** Rules about single fields, where given. */
export function fieldProblems(input: Partial<ProviderInput>): Problems {
  const problems: Problems = {};
  if (input.name?.trim() === '') problems['name'] = ['Give a name.'];
  for (const field of ['external_host', 'internal_host'] as const) {
    const value = input[field];
    if (value === undefined || (field === 'internal_host' && value === '')) continue;
    const problem = addressProblem(value);
    if (problem !== undefined) problems[field] = [problem];
  }
  for (const field of ['access_token_validity', 'refresh_token_validity'] as const) {
    const value = input[field];
    if (value !== undefined && !((parseDuration(value) ?? 0) >= 1000)) {
      problems[field] = ['Give a duration of at least a second, such as hours=1;minutes=30.'];
    }
  }
  const rules = skipLineProblems(input.skip_path_regex ?? '');
  if (rules.length > 0) problems['skip_path_regex'] = rules;
  return problems;
}

/** Rules that need the rest of the system. */
export async function placeProblems(tx: Change, input: Partial<ProviderInput>, whole: Whole): Promise<Problems> {
  const problems: Problems = {};
  if (input.name !== undefined) {
    const other = await tx.db
      .selectFrom('proxy_provider')
      .select('id')
      .where('name', '=', input.name)
      .executeTakeFirst();
    if (other !== undefined && other.id !== whole.id) problems['name'] = ['There is a provider with this name.'];
  }
  for (const field of ['authentication_flow', 'authorization_flow', 'invalidation_flow'] as const) {
    const uuid = input[field];
    if (uuid === undefined || uuid === null) continue;
    const flow = await tx.db.selectFrom('flow').select('uuid').where('uuid', '=', uuid).executeTakeFirst();
    if (flow === undefined) problems[field] = [`There is no flow ${uuid}.`];
  }
  if (input.certificate) {
    const problem = await servingProblem(tx, input.certificate);
    if (problem !== undefined) problems['certificate'] = [problem];
  }
  const mappings = [...new Set(input.property_mappings ?? [])];
  if (mappings.length > 0) {
    const rows = await tx.db.selectFrom('scope_mapping').select('uuid').where('uuid', 'in', mappings).execute();
    const known = new Set(rows.map((row) => row.uuid));
    const missing = mappings.filter((uuid) => !known.has(uuid));
    if (missing.length > 0) problems['property_mappings'] = missing.map((uuid) => `There is no scope mapping ${uuid}.`);
  }
  const strangers = await unknownProviders(tx.db, input.jwt_federation_providers ?? []);
  if (strangers.length > 0) problems['jwt_federation_providers'] = strangers;
  if (addressProblem(whole.external_host) !== undefined) return problems;
  const { host, hostname } = new URL(whole.external_host);
  const taken = await hostProblem(tx, whole, host);
  if (taken !== undefined) problems['external_host'] = [taken];
  const domain = whole.mode === 'forward_domain' ? cookieDomainProblem(whole.cookie_domain, hostname) : undefined;
  if (domain !== undefined) problems['cookie_domain'] = [domain];
  return { ...problems, ...(await boundProblems(tx, whole)) };
}

/** Applications bound to hosts of the domain must stay below it: without them, more people could open the hosts. */
async function boundProblems(tx: Change, whole: Whole): Promise<Problems> {
  const rows = await tx.db
    .selectFrom('domain_application')
    .select('host')
    .where('provider_id', '=', whole.id)
    .orderBy('host')
    .execute();
  if (rows.length > 0 && whole.mode !== 'forward_domain') {
    return { mode: [`Applications are bound to hosts of this domain, such as ${rows[0]?.host}. Remove these first.`] };
  }
  const outside = rows.find((row) => !isBelow(row.host, plainDomain(whole.cookie_domain)));
  if (outside === undefined) return {};
  return { cookie_domain: [`An application is bound to ${outside.host}, which is not below it. Remove that first.`] };
}

async function hostProblem(tx: Change, whole: Whole, host: string): Promise<string | undefined> {
  const own = tx.baseAddress.allowed().map((address) => new URL(address).host);
  if (whole.mode === 'proxy' && own.includes(host)) {
    return 'This is the address of the identity server itself, which could not be reached any more. Use another host.';
  }
  const others = await tx.db
    .selectFrom('proxy_provider')
    .select(['name', 'external_host'])
    .where('id', '!=', whole.id)
    .execute();
  const other = others.find((row) => new URL(row.external_host).host === host);
  return other === undefined ? undefined : `The provider ${other.name} has this host already.`;
}

function addressProblem(value: string): string | undefined {
  if (!/^https?:\/\/[^\s/]/i.test(value) || NO_ADDRESS.test(value) || !URL.canParse(value)) {
    return 'Give an address such as https://app.example.com.';
  }
  const url = new URL(value);
  // The URL parser lets quotes, braces and more into a host; they would end up in configuration files.
  if (!HOST_NAME.test(url.hostname)) return 'The host may consist of letters, digits, dots, hyphens and underscores.';
  if (url.username !== '' || url.password !== '') return 'Leave out user name and password.';
  if (url.search !== '' || url.hash !== '') return 'Leave out what follows ? and #.';
  return undefined;
}
