/**
 * What expressions see (docs/reference/expressions.md). Facts only: no password, no key, no token is among them. Attributes
 * are, since mappings are written by people who may read and change them anyway, and need them.
 */
import { heldEntitlements } from '../access/entitlements.ts';
import { mergedAttributes } from '../directory/attributes.ts';
import { allGroups, directGroups } from '../directory/membership.ts';
import type { ExpressionContext, ExpressionQuestion, GroupFacts, Json, UserFacts } from '../expressions/types.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, GroupRow, ProviderRow, ScopeMappingRow, UserRow } from '../storage/rows.ts';

type JsonObject = { readonly [name: string]: Json };

/** Who asks, as far as it is known: what a login and each refresh of its claims have in common. */
export interface Asker {
  /** path at this server of the call that needs the claims */
  path: string;
  /** of the browser that signed in, or of the machine; empty = not known */
  clientIp: string;
  userAgent: string;
}

export interface Subject {
  user: UserRow;
  scopes: readonly string[];
  provider?: ProviderRow | undefined;
  application?: ApplicationRow | undefined;
  asker?: Asker | undefined;
}

/** The context of every mapping of one evaluation; each gets its own `obj` from {@link objFacts}. */
export async function contextOf(db: Db, subject: Subject): Promise<ExpressionContext> {
  const { provider, application, asker, scopes } = subject;
  return {
    user: { ...(await userFacts(db, subject.user)), ...(await entitlementFacts(db, subject)) },
    ...(asker === undefined ? {} : { http_request: httpFacts(asker) }),
    ...(asker === undefined || asker.clientIp === '' ? {} : { client_ip: asker.clientIp }),
    context: {},
    ...(provider === undefined ? {} : { provider: providerFacts(provider, application) }),
    ...(application === undefined ? {} : { application: applicationFacts(application) }),
    token: { scope: [...scopes].sort() },
  };
}

export const objFacts = (mapping: ScopeMappingRow): JsonObject => ({
  pk: mapping.uuid,
  name: mapping.name,
  scope_name: mapping.scope_name,
});

export async function userFacts(db: Db, user: UserRow): Promise<UserFacts> {
  const groups = await allGroups(db, user.id);
  return {
    pk: user.id,
    uuid: user.uuid,
    uid: user.uid,
    username: user.username,
    name: user.name,
    email: user.email,
    is_active: user.is_active === 1,
    is_superuser: groups.some((group) => group.is_superuser === 1),
    type: user.type,
    path: user.path,
    attributes: parsed(user.attributes),
    group_attributes: (await mergedAttributes(db, user)) as JsonObject,
    groups: (await directGroups(db, user.id)).map(groupFacts),
    all_groups: groups.map(groupFacts),
  };
}

async function entitlementFacts(db: Db, { user, application }: Subject): Promise<Pick<UserFacts, 'entitlements'>> {
  if (application === undefined) return {};
  const held = await heldEntitlements(db, user, application);
  return { entitlements: [...held].map(([name, attributes]) => ({ name, attributes: parsed(attributes) })) };
}

/** Columns `ak_user_by` can look for; numbers and flags compare as such. */
const USER_FIELDS = {
  pk: 'id',
  id: 'id',
  uuid: 'uuid',
  uid: 'uid',
  username: 'username',
  name: 'name',
  email: 'email',
  is_active: 'is_active',
  type: 'type',
  path: 'path',
} as const satisfies Record<string, keyof UserRow>;

/** @returns the first person all filters fit; nobody for a filter that is not known, as published, and for none at all */
export async function findUser(db: Db, { filters }: ExpressionQuestion): Promise<UserFacts | undefined> {
  const entries = Object.entries(filters);
  let rows = db.selectFrom('user').selectAll().orderBy('id');
  for (const [key, value] of entries) {
    const [, field = '', lookup = 'exact'] = /^([a-z]+(?:_[a-z]+)?)(?:__(exact|iexact))?$/.exec(key) ?? [];
    const column = Object.hasOwn(USER_FIELDS, field) ? USER_FIELDS[field as keyof typeof USER_FIELDS] : undefined;
    if (column === undefined || value === null || typeof value === 'object') return undefined;
    if (lookup === 'iexact') {
      if (typeof value !== 'string' || column === 'id' || column === 'is_active') return undefined;
      rows = rows.where((e) => e(e.fn<string>('lower', [column]), '=', value.toLowerCase()));
    } else {
      rows = rows.where(column, '=', typeof value === 'boolean' ? Number(value) : value);
    }
  }
  const user = entries.length === 0 ? undefined : await rows.limit(1).executeTakeFirst();
  return user && userFacts(db, user);
}

function httpFacts({ path, userAgent }: Asker): NonNullable<ExpressionContext['http_request']> {
  // Made from what is remembered of the sign-in and not from a request: nothing a client sends can get in by accident,
  // and fresh claims of a session see what its first ones saw.
  return { method: 'POST', path, query: {}, headers: userAgent === '' ? {} : { 'User-Agent': userAgent } };
}

const groupFacts = (group: GroupRow): GroupFacts => ({
  pk: group.uuid,
  name: group.name,
  is_superuser: group.is_superuser === 1,
  attributes: parsed(group.attributes),
});

const providerFacts = (provider: ProviderRow, application: ApplicationRow | undefined): JsonObject => ({
  pk: provider.id,
  name: provider.name,
  client_id: provider.client_id,
  mode: provider.mode,
  external_host: provider.external_host,
  internal_host: provider.internal_host,
  cookie_domain: provider.cookie_domain,
  ...(application === undefined ? {} : { application: applicationFacts(application) }),
});

const applicationFacts = (application: ApplicationRow): JsonObject => ({
  pk: application.uuid,
  name: application.name,
  slug: application.slug,
  group: application.group_name,
  meta_launch_url: application.meta_launch_url,
  meta_description: application.meta_description,
  meta_publisher: application.meta_publisher,
});

function parsed(text: string): JsonObject {
  const value = JSON.parse(text) as Json;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}
