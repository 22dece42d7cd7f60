/** The built-in scope mappings (spec/server.md 4.2). They are computed natively; their expressions are for reading. */
import { randomUUID } from 'node:crypto';
import type { Db } from '../storage/database.ts';

interface ManagedMapping {
  managed: string;
  name: string;
  scope_name: string;
  description: string;
  expression: string;
  /** attached to every proxy provider on each save (spec/server.md 3.3) */
  forced: boolean;
}

const OAUTH2 = 'goauthentik.io/providers/oauth2/scope-';
const NAME = 'authentik default OAuth Mapping:';

export const MANAGED_MAPPINGS: readonly ManagedMapping[] = [
  {
    managed: `${OAUTH2}openid`,
    name: `${NAME} OpenID 'openid'`,
    scope_name: 'openid',
    description: '',
    expression: 'return {}',
    forced: true,
  },
  {
    managed: `${OAUTH2}email`,
    name: `${NAME} OpenID 'email'`,
    scope_name: 'email',
    description: 'Email address',
    expression: 'return {"email": request.user.email, "email_verified": False}',
    forced: true,
  },
  {
    managed: `${OAUTH2}profile`,
    name: `${NAME} OpenID 'profile'`,
    scope_name: 'profile',
    description: 'General Profile Information',
    expression: [
      'return {',
      '    "name": request.user.name,',
      '    "given_name": request.user.name,',
      '    "preferred_username": request.user.username,',
      '    "nickname": request.user.username,',
      '    "groups": [group.name for group in request.user.groups.all()],',
      '}',
    ].join('\n'),
    forced: true,
  },
  {
    managed: `${OAUTH2}entitlements`,
    name: `${NAME} Application Entitlements`,
    scope_name: 'entitlements',
    description: 'Application entitlements',
    expression: [
      'entitlements = [entitlement.name for entitlement in request.user.app_entitlements(provider.application)]',
      'return {"entitlements": entitlements, "roles": entitlements}',
    ].join('\n'),
    forced: true,
  },
  {
    managed: `${OAUTH2}offline_access`,
    name: `${NAME} OpenID 'offline_access'`,
    scope_name: 'offline_access',
    description: 'Access to request new tokens without interaction',
    expression: 'return {}',
    forced: false,
  },
  {
    managed: `${OAUTH2}authentik_api`,
    name: `${NAME} authentik API access`,
    scope_name: 'goauthentik.io/api',
    description: 'authentik API access on behalf of your user',
    expression: 'return {}',
    forced: false,
  },
  {
    managed: 'goauthentik.io/providers/proxy/scope-proxy',
    name: `${NAME} Proxy outpost`,
    scope_name: 'ak_proxy',
    description: 'authentik Proxy - User information',
    expression: [
      'return {',
      '    "ak_proxy": {',
      '        "user_attributes": request.user.group_attributes(request),',
      '        "is_superuser": request.user.is_superuser,',
      '    }',
      '}',
    ].join('\n'),
    forced: true,
  },
];

/** Adds mappings that are not there yet and brings the others to this program's text. */
export async function ensureScopeMappings(db: Db): Promise<void> {
  for (const { forced: _, ...mapping } of MANAGED_MAPPINGS) {
    await db
      .insertInto('scope_mapping')
      .values({ uuid: randomUUID(), ...mapping })
      .onConflict((c) => c.column('managed').doUpdateSet(mapping))
      .execute();
  }
}

/** Attaches the mappings every proxy provider has; others stay. */
export async function attachForced(db: Db, providerId: number): Promise<void> {
  const forced = MANAGED_MAPPINGS.filter((mapping) => mapping.forced).map((mapping) => mapping.managed);
  const rows = await db.selectFrom('scope_mapping').select('uuid').where('managed', 'in', forced).execute();
  for (const { uuid } of rows) {
    await db
      .insertInto('provider_scope_mapping')
      .values({ provider_id: providerId, mapping_uuid: uuid })
      .onConflict((c) => c.doNothing())
      .execute();
  }
}

/** Distinct scope names attached to a provider, sorted. */
export async function scopeNames(db: Db, providerId: number): Promise<string[]> {
  const rows = await db
    .selectFrom('scope_mapping')
    .innerJoin('provider_scope_mapping', 'provider_scope_mapping.mapping_uuid', 'scope_mapping.uuid')
    .where('provider_id', '=', providerId)
    .select('scope_name')
    .distinct()
    .orderBy('scope_name')
    .execute();
  return rows.map((row) => row.scope_name);
}
