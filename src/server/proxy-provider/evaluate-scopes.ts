/** The built-in scope mappings, computed (spec/server.md 4.2 and 4.3). */
import { entitlementsOf } from '../access/entitlements.ts';
import { deepMerge, mergedAttributes } from '../directory/attributes.ts';
import type { Attributes } from '../directory/attributes.ts';
import { directGroups, isSuperuser } from '../directory/membership.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, ProviderRow, UserRow } from '../storage/rows.ts';
import { mappingsOf } from './providers.ts';

export interface ScopeRequest {
  provider: ProviderRow;
  application: ApplicationRow;
  user: UserRow;
  scopes: readonly string[];
  /**
   * which attributes go into `ak_proxy.user_attributes` (docs/architecture.md, decision 9): `filtered`, those an
   * official outpost needs for headers and Basic; `none`, for our own, which get headers beside the token
   */
  attributes?: 'filtered' | 'none';
}

type Mapping = (db: Db, request: ScopeRequest) => Promise<Attributes> | Attributes;

const nothing: Mapping = () => ({});

const BUILT_IN: Readonly<Record<string, Mapping>> = {
  'goauthentik.io/providers/oauth2/scope-openid': nothing,
  'goauthentik.io/providers/oauth2/scope-offline_access': nothing,
  'goauthentik.io/providers/oauth2/scope-authentik_api': nothing,
  'goauthentik.io/providers/oauth2/scope-email': (_, { user }) => ({ email: user.email, email_verified: false }),
  'goauthentik.io/providers/oauth2/scope-profile': async (db, { user }) => ({
    name: user.name,
    given_name: user.name,
    preferred_username: user.username,
    nickname: user.username,
    groups: (await directGroups(db, user.id)).map((group) => group.name),
  }),
  'goauthentik.io/providers/oauth2/scope-entitlements': async (db, { user, application }) => {
    const entitlements = await entitlementsOf(db, user, application);
    return { entitlements, roles: entitlements };
  },
  'goauthentik.io/providers/proxy/scope-proxy': async (db, request) => ({
    ak_proxy: {
      user_attributes: await proxyAttributes(db, request),
      is_superuser: await isSuperuser(db, request.user.id),
    },
  }),
};

/** Claims the protocol itself makes (RFC 7519 4.1, OpenID Connect Core 2): no mapping replaces them. */
const PROTOCOL_CLAIMS =
  'iss sub aud exp nbf iat jti azp nonce auth_time acr amr sid at_hash c_hash s_hash uid scope client_id active'.split(
    ' ',
  );

/**
 * @returns the claims of the attached mappings whose scope was granted, in the order of scope names, deep-merged
 */
export async function evaluateScopes(db: Db, request: ScopeRequest): Promise<Attributes> {
  let claims: Attributes = {};
  for (const mapping of await mappingsOf(db, request.provider.id)) {
    const evaluate = BUILT_IN[mapping.managed ?? ''];
    if (evaluate !== undefined && request.scopes.includes(mapping.scope_name)) {
      claims = deepMerge(claims, await evaluate(db, request));
    }
  }
  for (const name of PROTOCOL_CLAIMS) delete claims[name];
  return claims;
}

async function proxyAttributes(db: Db, { provider, user, attributes }: ScopeRequest): Promise<Attributes> {
  if (attributes === 'none') return {};
  const needed = ['additionalHeaders'];
  if (provider.basic_auth_enabled === 1) {
    needed.push(provider.basic_auth_user_attribute, provider.basic_auth_password_attribute);
  }
  const merged = await mergedAttributes(db, user);
  return Object.fromEntries(Object.entries(merged).filter(([name]) => needed.includes(name)));
}
